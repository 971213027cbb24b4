// New readings move the open page: the server says that there is news, the page is asked for again,
// and what has changed in the parts that are marked takes the place of what was there.

const place = document.querySelector("[data-live]");
const PAUSE_MS = 300; // news come in bursts: one look is enough for all of them

let waiting = null;

async function refresh() {
  waiting = null;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
  if (!answer.ok) return;
  const newer = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live-part]")) {
    const found = newer.querySelector(`[data-live-part="${part.dataset.livePart}"]`);
    if (found && found.innerHTML !== part.innerHTML) part.replaceChildren(...found.childNodes);
  }
  let drawn = false;
  for (const figure of document.querySelectorAll('script[type="application/json"][id$="-figure"]')) {
    const found = newer.getElementById(figure.id);
    if (!found || found.textContent === figure.textContent) continue;
    figure.textContent = found.textContent;
    drawn = true;
  }
  for (const table of document.querySelectorAll("details.behind")) {
    const canvas = table.parentElement.querySelector(".chart-canvas");
    const found = canvas && newer.getElementById(canvas.id)?.parentElement.querySelector("details.behind .table");
    table.querySelector(".table")?.replaceWith(found ?? table.querySelector(".table"));
  }
  if (drawn) {
    const charts = await import(document.querySelector('script[type="module"][src*="/charts.js"]').src);
    await charts.redraw();
  }
  document.documentElement.dataset.liveUpdates = Number(document.documentElement.dataset.liveUpdates ?? 0) + 1;
}

function soon() {
  waiting ??= setTimeout(refresh, PAUSE_MS);
}

if (place) {
  const source = new EventSource(place.dataset.live);
  for (const news of ["reading", "regions", "refresh"]) source.addEventListener(news, soon);
  source.addEventListener("end", () => source.close());
  source.addEventListener("open", () => { document.documentElement.dataset.live = "open"; });
  addEventListener("pagehide", () => source.close());
}
