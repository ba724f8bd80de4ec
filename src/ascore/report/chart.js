// Draws a chart with uPlot: curves with bands, labels beside them, zoom, and values to read.
// page.js comes after it, in the same function.
const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
const LINE = 15; // distance of labels beside the curves, in pixels
const STEPS = 60; // stops of the arrow keys across a chart

const colour = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const make = (name, attributes = {}, ...inside) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...inside);
  return element;
};
const minus = (text) => text.replace("-", "−");
const exact = (value) =>
  minus(value.toLocaleString("en", { maximumSignificantDigits: 5 }));
const short = (value) =>
  Math.abs(value) < 1e4
    ? exact(value)
    : minus(value.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 4 }));
const UNITS = ["B", "kB", "MB", "GB", "TB"];
const bytes = (value) => {
  const power = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(value) / 3)));
  return `${exact(Number((value / 1000 ** power).toPrecision(3)))} ${UNITS[power]}`;
};
const ruler = document.createElement("canvas").getContext("2d");
// Round numbers on a logarithmic axis: 1, 2 and 5 of each power of ten, or the powers alone.
const decades = (min, max) => {
  const few = Math.log10(max / min) < 2.5;
  const list = [];
  for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); power += 1) {
    for (const digit of few ? [1, 2, 5] : [1]) list.push(digit * 10 ** power);
  }
  return list.filter((value) => value >= min && value <= max);
};
const width = (text) => {
  ruler.font = FONT;
  return ruler.measureText(text).width;
};
const inkOf = (name) => (name === "#000000" ? colour("--ink") : name);

let model = JSON.parse(document.getElementById("data").textContent);
const shown = new Map(); // "chapter code" -> whether the setting is drawn

// Index of the entry of an ascending list that is nearest to a value.
const nearest = (list, value) => {
  let low = 0;
  let high = list.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (list[middle] <= value) low = middle;
    else high = middle;
  }
  return value - list[low] <= list[high] - value ? low : high;
};

class Chart {
  constructor(host) {
    this.host = host;
    this.chapter = Number(host.dataset.chapter);
    this.name = host.dataset.chart;
    this.span = null; // what is shown of the horizontal axis; null = all
    this.place = null; // where the arrow keys are
    this.plot = make("div", { class: "plot", tabindex: "0", role: "group" });
    this.plot.setAttribute("aria-roledescription", "chart");
    this.tip = make("div", { class: "tip", hidden: "" });
    this.spoken = make("div", { class: "hidden", "aria-live": "polite" });
    this.tools = make("div", { class: "tools" });
    this.tool("+", "Zoom in", () => this.zoom(0.5));
    this.tool("−", "Zoom out", () => this.zoom(2));
    this.tool("←", "Move left", () => this.move(-0.25));
    this.tool("→", "Move right", () => this.move(0.25));
    this.tool("All", "Show all", () => this.show(null));
    this.tools.append(make("span", { class: "note pointer" }, "or drag across the chart"));
    this.host.replaceChildren(this.plot, this.tools, this.spoken);
    this.plot.append(this.tip);
    this.plot.addEventListener("keydown", (event) => this.key(event));
    this.plot.addEventListener("blur", () => this.hide());
    new ResizeObserver(() => this.fit()).observe(host);
  }

  tool(text, label, action) {
    const name = `${label}: ${this.spec().title}`;
    const button = make("button", { type: "button", "aria-label": name, title: label }, text);
    button.addEventListener("click", action);
    this.tools.append(button);
  }

  spec() {
    return model.chapters[this.chapter].charts.find((chart) => chart.id === this.name);
  }

  // The curves to draw, with their styles.
  curves() {
    const spec = this.spec();
    const styles = spec.styles || model.chapters[this.chapter].settings;
    return spec.curves
      .map((curve, k) => ({ ...curve, style: styles[k] }))
      .filter((c) => c.x.length && (spec.styles || shown.get(`${this.chapter} ${c.style.code}`)));
  }

  fit() {
    const now = this.plot.clientWidth;
    if (now === 0 || now === this.width) return;
    this.width = now;
    this.draw();
  }

  draw() {
    const spec = this.spec();
    if (!this.width || !spec) return;
    const before = this.chart && this.chart.cursor;
    const pointed = before && before.left >= 0 ? { left: before.left, top: before.top } : null;
    if (this.chart) this.chart.destroy();
    this.marks = spec.marks.map(([label, value]) => ({ label, value }));
    this.drawn = this.curves();
    const usable = (x) => Number.isFinite(x) && (!spec.log || x > 0);
    const across = [...new Set(this.drawn.flatMap((c) => c.x))].filter(usable);
    this.across = across.sort((a, b) => a - b);
    const at = new Map(this.across.map((x, k) => [x, k]));
    const column = (xs, values) => {
      const full = new Array(this.across.length).fill(null);
      xs.forEach((x, k) => at.has(x) && (full[at.get(x)] = values[k]));
      return full;
    };
    const data = [this.across];
    const series = [{}];
    const bands = [];
    const add = (values, options) => {
      data.push(values);
      series.push({ scale: "y", spanGaps: true, points: { show: false }, ...options });
      return series.length - 1;
    };
    for (const { label, value } of this.marks) {
      add(this.across.map(() => value), { label, stroke: colour("--muted"), width: 1, dash: [4, 3] });
    }
    for (const curve of this.drawn) {
      const stroke = inkOf(curve.style.colour);
      if (curve.low) {
        const high = add(column(curve.x, curve.high), { width: 0 });
        const low = add(column(curve.x, curve.low), { width: 0 });
        bands.push({ series: [high, low], fill: `${stroke}2b` });
      }
      const few = curve.x.length === 1;
      add(column(curve.x, curve.mid), {
        label: curve.style.label,
        stroke,
        width: 2,
        dash: curve.style.dash,
        points: { show: few, size: 7, fill: stroke },
      });
    }
    const axis = {
      stroke: colour("--muted"),
      font: FONT,
      labelFont: FONT,
      grid: { stroke: colour("--grid"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1, size: 4 },
      values: (chart, splits) => splits.map((v) => (v === null ? "" : short(v))),
    };
    const options = {
      width: this.width,
      height: this.height(spec),
      padding: [10, () => this.margin(), 0, 0],
      legend: { show: false },
      scales: {
        x: { time: false, distr: spec.log ? 3 : 1, range: () => this.ends() },
        y: { range: () => this.heights() },
      },
      axes: [
        {
          ...axis,
          label: spec.xlabel,
          labelSize: 18,
          size: 30,
          space: 44,
          ...(spec.log ? { splits: (chart, number, min, max) => decades(min, max) } : {}),
          values: (chart, splits) => splits.map((x) => (x === null ? "" : this.tick(x))),
        },
        {
          ...axis,
          size: (chart, values) => 12 + Math.max(20, ...(values || []).map((v) => width(v))),
        },
      ],
      series,
      bands,
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false },
        bind: { dblclick: () => () => this.show(null) },
      },
      hooks: {
        draw: [(chart) => this.label(chart)],
        setCursor: [(chart) => this.point(chart)],
        setSelect: [(chart) => this.select(chart)],
      },
    };
    this.chart = new uPlot(options, data, this.plot);
    this.name_it(spec);
    if (pointed) this.chart.setCursor(pointed);
  }

  tick(x) {
    return this.spec().log ? bytes(x) : short(x);
  }

  // A place on the horizontal axis in words.
  at(x) {
    const { log, xlabel } = this.spec();
    return log ? `${bytes(x)} ${xlabel.replace("bytes ", "")}` : `${exact(x)} ${xlabel}`;
  }

  name_it(spec) {
    const what = `${spec.title}, ${spec.unit}, against ${spec.xlabel}. ${spec.note}`;
    const how = "Arrow keys read values, plus and minus zoom, 0 shows all.";
    this.plot.setAttribute("aria-label", `${what} ${how}`);
  }

  height(spec) {
    if (this.host.closest(".grid, details")) return 210;
    return this.width < 480 ? 270 : 340;
  }

  whole() {
    const all = this.across;
    if (!all.length) return [1, 10];
    const first = all[0];
    const last = all[all.length - 1];
    if (first < last) return [first, last];
    return this.spec().log ? [first / 2, first * 2] : [first - 1, first + 1];
  }

  ends() {
    return this.span || this.whole();
  }

  // The vertical axis: all that is shown of the curves, and marks that are not far from them.
  heights() {
    const [from, to] = this.ends();
    let low = Infinity;
    let high = -Infinity;
    for (const curve of this.drawn) {
      curve.x.forEach((x, k) => {
        if (x < from || x > to) return;
        low = Math.min(low, curve.mid[k], curve.low ? curve.low[k] : Infinity);
        high = Math.max(high, curve.mid[k], curve.high ? curve.high[k] : -Infinity);
      });
    }
    const { range } = this.spec();
    if (low > high) [low, high] = range || [0, 1];
    const reach = 2 * Math.max(high - low, 0.05 * Math.abs(high));
    const near = this.marks.filter((m) => m.value >= low - reach && m.value <= high + reach);
    low = Math.min(low, ...near.map((m) => m.value));
    high = Math.max(high, ...near.map((m) => m.value));
    if (range) [low, high] = [Math.max(low, range[0]), Math.min(high, range[1])];
    if (!(high > low)) [low, high] = [Math.min(low, high), Math.min(low, high)];
    const pad = 0.06 * (high - low) || 0.06 * Math.abs(high) || 1;
    return [low - pad, high + pad];
  }

  // What is written beside the curves: names, or codes where names would take too much room.
  labels() {
    const most = (this.width < 480 ? 0.3 : 0.24) * this.width;
    const names = this.drawn.map((curve) => curve.style.label);
    const long = names.some((name) => width(name) > most);
    const full = this.marks.map((m) => `${m.label} ${exact(Number(m.value.toPrecision(3)))}`);
    const wide = full.some((text) => width(text) > most);
    return [
      ...this.drawn.map((curve, k) => ({
        text: long ? curve.style.code : names[k],
        ink: colour("--ink"),
        value: this.last(curve),
        line: inkOf(curve.style.colour),
      })),
      ...this.marks.map((mark, k) => ({
        text: wide ? mark.label : full[k],
        ink: colour("--muted"),
        value: mark.value,
        line: colour("--muted"),
      })),
    ].filter((label) => Number.isFinite(label.value));
  }

  last(curve) {
    const to = this.ends()[1];
    let value = NaN;
    curve.x.forEach((x, k) => x <= to && (value = curve.mid[k]));
    return value;
  }

  margin() {
    return 34 + Math.max(0, ...this.labels().map((label) => width(label.text)));
  }

  label(chart) {
    const { ctx, bbox } = chart;
    const ratio = uPlot.pxRatio || devicePixelRatio;
    const bottom = bbox.top + bbox.height;
    const step = LINE * ratio;
    const labels = this.labels().map((label) => {
      const y = chart.valToPos(label.value, "y", true);
      const off = y > bottom + 1 ? "↓ " : y < bbox.top - 1 ? "↑ " : "";
      return { ...label, text: off + label.text, at: Math.min(bottom, Math.max(bbox.top, y)) };
    });
    labels.sort((a, b) => a.at - b.at);
    labels.forEach((label, k) => {
      label.y = k ? Math.max(label.at, labels[k - 1].y + step) : label.at;
    });
    for (let k = labels.length - 1; k >= 0; k -= 1) {
      const limit = k === labels.length - 1 ? bottom : labels[k + 1].y - step;
      labels[k].y = Math.min(labels[k].y, limit);
    }
    const edge = bbox.left + bbox.width;
    ctx.save();
    ctx.font = FONT.replace("12px", `${12 * ratio}px`);
    ctx.textBaseline = "middle";
    ctx.textAlign = "left";
    ctx.setLineDash([]);
    for (const { text, ink, line, at, y } of labels) {
      ctx.strokeStyle = line;
      ctx.lineWidth = ratio;
      ctx.beginPath();
      ctx.moveTo(edge, at);
      ctx.lineTo(edge + 10 * ratio, y);
      ctx.stroke();
      ctx.fillStyle = ink;
      ctx.fillText(text, edge + 14 * ratio, y);
    }
    ctx.restore();
  }

  // ------------------------------------------------------------------ zoom

  select(chart) {
    const { left, width: wide } = chart.select;
    if (wide < 4) return;
    const span = [chart.posToVal(left, "x"), chart.posToVal(left + wide, "x")];
    chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.show(span);
  }

  // Positions on the axis, on which zooming is even for logarithms too.
  scaled(value) {
    return this.spec().log ? Math.log(value) : value;
  }

  unscaled(value) {
    return this.spec().log ? Math.exp(value) : value;
  }

  zoom(factor) {
    const [from, to] = this.ends().map((value) => this.scaled(value));
    const middle = this.place === null ? (from + to) / 2 : this.scaled(this.place);
    this.limited(middle - (middle - from) * factor, middle + (to - middle) * factor);
  }

  move(share) {
    const [from, to] = this.ends().map((value) => this.scaled(value));
    const [first, last] = this.whole().map((value) => this.scaled(value));
    const way = Math.max(first - from, Math.min(last - to, share * (to - from)));
    this.limited(from + way, to + way);
  }

  limited(from, to) {
    const [first, last] = this.whole().map((value) => this.scaled(value));
    const span = [Math.max(from, first), Math.min(to, last)];
    const all = span[0] <= first && span[1] >= last;
    if (all) this.show(null);
    else if (span[1] - span[0] > (last - first) / 1e4) this.show(span.map((v) => this.unscaled(v)));
  }

  show(span) {
    this.span = span;
    if (!this.chart) return;
    const [min, max] = this.ends();
    this.chart.setScale("x", { min, max });
  }

  // ------------------------------------------------------------------ reading values

  rows(x) {
    const curves = this.drawn.map((curve) => {
      const k = nearest(curve.x, x);
      const ends = curve.low ? ` [${exact(curve.low[k])}, ${exact(curve.high[k])}]` : "";
      return [curve.style.code, curve.style.label, exact(curve.mid[k]) + ends];
    });
    return [...curves, ...this.marks.map((m) => ["", m.label, exact(m.value)])];
  }

  point(chart) {
    const { left, idx } = chart.cursor;
    if (left === null || left === undefined || left < 0 || !this.across.length || idx === null) {
      this.hide();
      return;
    }
    const x = this.across[nearest(this.across, chart.posToVal(left, "x"))];
    const caption = make("caption", {}, this.at(x));
    const body = make("tbody");
    for (const [code, label, value] of this.rows(x)) {
      const head = make("th", { scope: "row" }, [code, label].filter(Boolean).join(" "));
      body.append(make("tr", {}, head, make("td", { class: "num" }, value)));
    }
    this.tip.replaceChildren(make("table", {}, caption, body));
    this.tip.hidden = false;
    const offset = chart.over.offsetLeft + left;
    const right = offset + 16 + this.tip.offsetWidth <= this.width;
    const start = right ? offset + 16 : Math.max(0, offset - 16 - this.tip.offsetWidth);
    this.tip.style.left = `${start}px`;
    this.tip.style.top = `${chart.over.offsetTop + 8}px`;
  }

  hide() {
    this.tip.hidden = true;
  }

  step(way) {
    const [from, to] = this.ends();
    const inside = this.across.filter((x) => x >= from && x <= to);
    if (!inside.length) return;
    const stride = Math.max(1, Math.round(inside.length / STEPS));
    const now = this.place === null ? (way > 0 ? -stride : inside.length - 1 + stride)
      : nearest(inside, this.place);
    const next = Math.max(0, Math.min(inside.length - 1, now + way * stride));
    this.place = inside[next];
    const top = this.chart.over.clientHeight / 2;
    this.chart.setCursor({ left: this.chart.valToPos(this.place, "x"), top });
    const values = this.rows(this.place).map(([, label, value]) => `${label} ${value}`);
    this.spoken.textContent = `${this.at(this.place)}: ${values.join(", ")}`;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = {
      ArrowLeft: () => (event.shiftKey ? this.move(-0.25) : this.step(-1)),
      ArrowRight: () => (event.shiftKey ? this.move(0.25) : this.step(1)),
      Home: () => ((this.place = null), this.step(1)),
      End: () => ((this.place = null), this.step(-1)),
      "+": () => this.zoom(0.5),
      "=": () => this.zoom(0.5),
      "-": () => this.zoom(2),
      0: () => this.show(null),
      Escape: () => this.hide(),
    };
    if (!Object.hasOwn(actions, event.key)) return;
    actions[event.key]();
    event.preventDefault();
  }
}
