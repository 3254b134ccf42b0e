// The plot of values: a line a series.
import { make, setText, svg } from "./page.js";
import { BUCKET, COLOURS, PLOT_SECONDS } from "./store.js";
import { count, numberText } from "./words.js";

const STROKE = 1.5; // pixels of width, at least, that one stroke of a line stands for
const SPARSE = 60; // values of a line that are few enough to be marked each
const DASHES = ["", "6 3", "2 3", "8 3 2 3"]; // of lines that share a colour

export class ValuePlot {
  hidden = new Set(); // names of series that were switched off

  constructor(box, store, redraw) {
    this.store = store;
    this.redraw = redraw;
    this.box = box;
    this.svg = svg("svg", { role: "img", "aria-label": "Values over the last minute" });
    this.grid = svg("g");
    this.lines = svg("g");
    this.svg.append(this.grid, this.lines);
    this.plot = make("div", { className: "plot" }, this.svg,
      make("span", { className: "axis left", textContent: `${PLOT_SECONDS} s ago` }), make("span", { className: "axis right", textContent: "now" }));
    this.legend = make("ul", { className: "legend", ariaLabel: "Series" });
    this.remark = make("p", { className: "remark" });
    box.append(make("div", { className: "chart" }, this.plot, this.remark), this.legend);
  }

  // Before anything is changed: else the page is laid out for it in between.
  measure() {
    this.size = [this.plot.clientWidth, this.plot.clientHeight];
  }

  // `series` as in the store, or as it was when the view was paused.
  draw({ series, at, failed, reason, leftOut }) {
    this.box.hidden = series.length === 0 && failed === 0;
    setText(this.remark, remark(failed, reason, leftOut));
    this.remark.hidden = !this.remark.textContent;
    this.#drawLegend(series);
    if (this.box.hidden) return;
    if (!this.size[0]) this.measure(); // it was hidden until now
    const [width, height] = this.size;
    if (!width) return;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const shown = series.filter(({ name }) => !this.hidden.has(name));
    const { low, high, step } = scale(shown);
    const x = (number) => tenth(width * (1 - (at - number * BUCKET) / PLOT_SECONDS));
    const y = (value) => tenth(height - 6 - ((value - low) / (high - low)) * (height - 22));
    this.#drawGrid(low, high, step, width, y);
    this.lines.replaceChildren(...shown.flatMap((one) => lines(one, width, x, y)));
  }

  // Anew only when it changed: text is what a page lays out slowest.
  #drawGrid(low, high, step, width, y) {
    const drawn = [low, high, step, width, y(low)].join();
    if (this.drawnGrid === drawn) return;
    this.drawnGrid = drawn;
    const ticks = Array.from({ length: Math.round((high - low) / step) + 1 }, (_, index) => low + index * step);
    const grid = ticks.flatMap((tick) => {
      const text = svg("text", { class: "tick", x: 2, y: y(tick) - 3 });
      text.textContent = numberText(tick, step);
      return [svg("line", { class: "grid", x1: 0, x2: width, y1: y(tick), y2: y(tick) }), text];
    });
    this.grid.replaceChildren(...grid);
  }

  #drawLegend(series) {
    while (this.legend.children.length > series.length) this.legend.lastChild.remove();
    while (this.legend.children.length < series.length) this.legend.append(this.#makeEntry());
    series.forEach((one, index) => {
      const button = this.legend.children[index].firstChild;
      const [sample, name, last] = button.children;
      if (button.index !== one.index) {
        button.index = one.index;
        sample.replaceChildren(svg("line", { class: `colour-${one.index % COLOURS}`, "stroke-dasharray": dashes(one.index), x1: 0, x2: 18, y1: 5, y2: 5 }));
      }
      setText(name, one.name);
      setText(last, numberText(one.buckets.at(-1)[3]));
      const pressed = String(!this.hidden.has(one.name));
      if (button.ariaPressed !== pressed) button.ariaPressed = pressed;
    });
  }

  #makeEntry() {
    const name = make("span", { className: "name" });
    const toggle = () => {
      if (!this.hidden.delete(name.textContent)) this.hidden.add(name.textContent);
      this.redraw();
    };
    const sample = svg("svg", { class: "sample", viewBox: "0 0 18 10", "aria-hidden": "true" });
    return make("li", {}, make("button", { type: "button", title: "Show or hide it", onclick: toggle }, sample, name, make("span", { className: "last" })));
  }
}

function remark(failed, reason, leftOut) {
  const parts = [];
  if (failed) parts.push(`${count(failed)} without a value: ${reason}`);
  if (leftOut) parts.push(`${count(leftOut)} values of more series are not shown`);
  return parts.join("; ");
}

const tenth = (number) => Math.round(number * 10) / 10;
const dashes = (index) => DASHES[Math.floor(index / COLOURS) % DASHES.length];
const lowest = (series) => series.reduce((least, { buckets }) => buckets.reduce((low, [, value]) => Math.min(low, value), least), Infinity);
const highest = (series) => series.reduce((most, { buckets }) => buckets.reduce((high, [, , value]) => Math.max(high, value), most), -Infinity);

function scale(series) {
  let low = lowest(series);
  let high = highest(series);
  if (low > high) [low, high] = [0, 1];
  if (low === high) [low, high] = [low - (Math.abs(low) * 0.1 || 1), high + (Math.abs(high) * 0.1 || 1)];
  const rough = (high - low) / 3;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * [1, 2, 2.5, 5, 10].find((factor) => factor * unit >= rough * 0.999);
  return { low: Math.floor(low / step) * step, high: Math.ceil(high / step) * step, step };
}

// At most one stroke for a pixel and a half, from the least to the greatest value there; groups keep their places as they move.
function lines({ index, buckets }, width, x, y) {
  const together = Math.max(1, Math.ceil((STROKE * PLOT_SECONDS) / BUCKET / width));
  const corners = [];
  let before = 0;
  for (let first = 0, next; first < buckets.length; first = next) {
    const group = Math.floor(buckets[first][0] / together);
    let [, low, high, last] = buckets[first];
    for (next = first + 1; next < buckets.length && Math.floor(buckets[next][0] / together) === group; next++) {
      low = Math.min(low, buckets[next][1]);
      high = Math.max(high, buckets[next][2]);
      last = buckets[next][3];
    }
    const at = x(buckets[next - 1][0]);
    if (low === high) corners.push(`${at},${y(last)}`);
    else if (high - before < before - low) corners.push(`${at},${y(high)} ${at},${y(low)}`);
    else corners.push(`${at},${y(low)} ${at},${y(high)}`);
    before = low === high ? last : high - before < before - low ? low : high;
  }
  const look = `colour-${index % COLOURS}`;
  const line = svg("polyline", { class: `value ${look}`, "stroke-dasharray": dashes(index), points: corners.join(" ") });
  if (buckets.length > SPARSE) return [line];
  return [line, svg("path", { class: `mark ${look}`, d: buckets.map(([number, , , last]) => `M${x(number)},${y(last)}h0`).join("") })];
}
