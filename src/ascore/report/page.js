// Legends, and news from the server of `ascore watch`. Texts reach the page by textContent alone,
// except the parts that this server has escaped.

let { version, shape } = model; // no version: a file, which has no server
let charts = [];
const EVERY = 2000; // milliseconds between questions to the server

// -------------------------------------------------------------------- legends

const swatch = (style) => {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const line = document.createElementNS(space, "line");
  const set = (element, values) =>
    Object.entries(values).forEach(([key, value]) => element.setAttribute(key, value));
  set(svg, { width: 36, height: 10, "aria-hidden": "true" });
  const stroke = style.colour === "#000000" ? "currentColor" : style.colour;
  const dashes = style.dash.join(" ") || "none";
  set(line, { x1: 0, x2: 36, y1: 5, y2: 5, stroke, "stroke-width": 3, "stroke-dasharray": dashes });
  svg.append(line);
  return svg;
};

const legend = (host) => {
  const chapter = Number(host.dataset.chapter);
  const { settings } = model.chapters[chapter];
  const redraw = () => charts.filter((c) => c.chapter === chapter).forEach((c) => c.draw());
  const buttons = settings.map((style) => {
    const key = `${chapter} ${style.code}`;
    if (!shown.has(key)) shown.set(key, style.on);
    const code = make("b", { class: "code" }, style.code);
    const button = make("button", { type: "button" }, swatch(style), code, style.label);
    const press = () => button.setAttribute("aria-pressed", String(shown.get(key)));
    button.addEventListener("click", () => {
      shown.set(key, !shown.get(key));
      press();
      redraw();
    });
    press();
    return button;
  });
  if (settings.some((style) => !style.on)) {
    const count = settings.filter((style) => style.on).length;
    const text = `Drawn are the best ${count} of ${settings.length} settings; press the others to add them.`;
    buttons.push(make("span", { class: "note" }, text));
  }
  host.replaceChildren(...(settings.length > 1 ? buttons : []));
  settings.forEach((style) => {
    const key = `${chapter} ${style.code}`;
    if (!shown.has(key)) shown.set(key, style.on);
  });
};

const start = () => {
  document.querySelectorAll(".legend").forEach(legend);
  charts = [...document.querySelectorAll(".chart")].map((host) => new Chart(host));
};

// -------------------------------------------------------------------- news from the server

const status = document.getElementById("live");
const say = (text) => {
  status.hidden = false;
  if (status.textContent !== text) status.textContent = text;
};
const focusable = "a[href], button, summary, [tabindex]";

// Replaces what an element holds; what was open stays open, what had the focus keeps it.
const replace = (element, markup) => {
  const open = [...element.querySelectorAll("details[open]")].map((d) => d.dataset.key);
  const at = [...element.querySelectorAll(focusable)].indexOf(document.activeElement);
  element.innerHTML = markup;
  element.querySelectorAll("details").forEach((d) => (d.open = open.includes(d.dataset.key)));
  if (at >= 0) element.querySelectorAll(focusable)[at]?.focus({ preventScroll: true });
};

const parts = new Map();

const apply = (news) => {
  document.title = news.title;
  model = news.charts;
  if (shape !== news.shape) {
    replace(document.getElementById("main"), news.skeleton);
    parts.clear();
    start();
  }
  ({ version, shape } = news);
  for (const [name, markup] of Object.entries(news.parts)) {
    const place = document.getElementById(`part-${name}`);
    if (place && parts.get(name) !== markup) replace(place, markup);
    parts.set(name, markup);
  }
  charts.forEach((chart) => chart.draw());
};

const ask = async () => {
  try {
    const answer = await fetch(`data.json?version=${encodeURIComponent(version)}`);
    const news = await answer.json();
    if (news.problem) say(`Not up to date: ${news.problem}`);
    else {
      if (news.version !== version) apply(news);
      say(`Live; last change at ${news.time}.`);
    }
  } catch {
    say("The server does not answer; this is the last state. Start ascore watch again.");
  }
  setTimeout(ask, EVERY);
};

start();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () =>
  charts.forEach((chart) => chart.draw()),
);
if (version) ask();
