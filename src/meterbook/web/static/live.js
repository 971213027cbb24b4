// New readings move the open page: the server says that there is news, the page is asked for again,
// and what has changed in the marked parts is changed in place. Nodes that stay are never replaced,
// so focus, open details, selections and scroll positions are where they were.

const place = document.querySelector("[data-live]");
const PAUSE_MS = 300; // news come in bursts: one look is enough for all of them
const LOOK_AGAIN_MS = 300_000; // ages in words grow old without any news

let waiting = null;
let drawn = false;

function isAlike(old, newer) {
  return old.nodeType === newer.nodeType && old.nodeName === newer.nodeName && old.id === newer.id;
}

function moveAttributes(old, newer) {
  for (const { name } of [...old.attributes]) {
    if (name !== "open" && !newer.hasAttribute(name)) old.removeAttribute(name);
  }
  for (const { name, value } of newer.attributes) {
    if (name !== "open" && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

function move(old, newer) {
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.nodeValue !== newer.nodeValue) old.nodeValue = newer.nodeValue;
  } else if (old.classList.contains("chart-canvas")) {
    old.setAttribute("aria-label", newer.getAttribute("aria-label"));
  } else if (old.nodeName === "SCRIPT") {
    if (old.textContent === newer.textContent) return;
    old.textContent = newer.textContent;
    drawn = true;
  } else if (!["FORM", "NOSCRIPT"].includes(old.nodeName)) { // what is being filled in is the reader's
    moveAttributes(old, newer);
    moveChildren(old, newer);
  }
}

function moveChildren(old, newer) {
  const wanted = [...newer.childNodes];
  for (const [at, child] of wanted.entries()) {
    const here = old.childNodes[at];
    if (here && isAlike(here, child)) {
      move(here, child);
      continue;
    }
    if (here) here.replaceWith(child);
    else old.append(child);
    drawn ||= Boolean(child.querySelector?.(".chart-canvas"));
  }
  while (old.childNodes.length > wanted.length) old.lastChild.remove();
}

async function refresh() {
  waiting = null;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
  if (!answer.ok) return;
  const newer = new DOMParser().parseFromString(await answer.text(), "text/html");
  drawn = false;
  for (const part of document.querySelectorAll("[data-live-part]")) {
    const found = newer.querySelector(`[data-live-part="${part.dataset.livePart}"]`);
    if (found) moveChildren(part, found);
  }
  document.title = newer.title;
  if (drawn) {
    const charts = await import(document.querySelector('script[type="module"][src*="/charts.js"]').src);
    await charts.redraw();
  }
  document.documentElement.dataset.liveUpdates = Number(document.documentElement.dataset.liveUpdates ?? 0) + 1;
}

function soon() {
  // A page that is left meanwhile, or a server that is away, is no fault: the stream comes again.
  waiting ??= setTimeout(() => refresh().catch(() => {}), PAUSE_MS);
}

if (place) {
  const source = new EventSource(place.dataset.live);
  for (const news of ["reading", "poll", "regions", "refresh"]) source.addEventListener(news, soon);
  source.addEventListener("end", () => source.close());
  source.addEventListener("open", () => { document.documentElement.dataset.live = "open"; });
  addEventListener("pagehide", () => source.close());
  setInterval(() => { if (!document.hidden) soon(); }, LOOK_AGAIN_MS);
}
