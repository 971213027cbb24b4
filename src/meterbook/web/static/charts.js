// Draws the charts of a page: each .chart-canvas names the JSON of its figure, and Plotly's script
// comes only when there is one to draw. Colours are names of the stylesheet's tokens ("@import"),
// looked up here, so a change between light and dark only needs drawing anew.

const canvases = () => [...document.querySelectorAll(".chart-canvas[data-figure]")];
let loading = null;

// Plotly writes style attributes and style elements, which the page's policy forbids as markup;
// through the CSS object model it allows the same.
function writeStylesThroughTheObjectModel() {
  const { setAttribute } = Element.prototype;
  Element.prototype.setAttribute = function (name, text) {
    if (name === "style") this.style.cssText = text;
    else setAttribute.call(this, name, text);
  };
  const { createElement } = document;
  document.createElement = function (name, options) {
    if (name !== "style") return createElement.call(document, name, options);
    const sheet = new CSSStyleSheet();
    document.adoptedStyleSheets.push(sheet);
    return Object.defineProperties(createElement.call(document, "link"), {
      sheet: { value: sheet },
      textContent: { set: (rules) => sheet.replaceSync(rules) },
    });
  };
}

function load(address) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(script);
  });
}

const probe = document.createElement("span");
probe.hidden = true;
document.body.append(probe);

function colour(token) {
  probe.style.color = `var(--${token})`;
  return getComputedStyle(probe).color;
}

function painted(part) {
  if (typeof part === "string") return part[0] === "@" ? colour(part.slice(1)) : part;
  if (Array.isArray(part)) return part.map(painted);
  if (part === null || typeof part !== "object") return part;
  return Object.fromEntries(Object.entries(part).map(([name, inner]) => [name, painted(inner)]));
}

async function draw(canvas) {
  const figure = painted(JSON.parse(document.getElementById(canvas.dataset.figure).textContent));
  const config = { displayModeBar: false, responsive: true, scrollZoom: false, ...figure.config };
  // A chart that is drawn anew keeps what the reader zoomed into.
  const layout = { uirevision: "kept", ...figure.layout, font: { ...figure.layout.font, family: getComputedStyle(document.body).fontFamily } };
  canvas.classList.add("is-drawn");
  await window.Plotly.react(canvas, figure.data, layout, config);
  canvas.dataset.drawn = "yes";
}

async function loadPlotly() {
  writeStylesThroughTheObjectModel();
  await load(document.getElementById("plotly-script").href);
}

export async function redraw() {
  if (!canvases().length) return;
  await (loading ??= loadPlotly());
  await Promise.all(canvases().map(draw));
}

if (canvases().length) {
  await redraw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}
