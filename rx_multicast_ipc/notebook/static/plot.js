// The plot of rates.
import { make, setText, svg } from "./page.js";
import { COLOURS, PLOT_SECONDS } from "./store.js";
import { count } from "./words.js";

// Rates over the last minute, the senders one above the other, and marks where the kernel dropped messages.
export class Plot {
  constructor(box, store) {
    this.store = store;
    this.svg = svg("svg", { role: "img", "aria-label": "Messages a second over the last minute" });
    this.top = make("span", { className: "axis top" });
    this.half = make("span", { className: "axis half" });
    box.append(this.svg, this.top, this.half, make("span", { className: "axis left", textContent: `${PLOT_SECONDS} s ago` }), make("span", { className: "axis right", textContent: "now" }));
    this.box = box;
  }

  measure() {
    this.size = [this.box.clientWidth, this.box.clientHeight];
  }

  draw(points) {
    const [width, height] = this.size;
    if (!width) return;
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    const end = points.at(-1)?.at ?? 0;
    const x = (point) => (width * (1 - (end - point.at) / PLOT_SECONDS)).toFixed(1);
    const bands = this.#bands(points);
    const top = niceAbove(Math.max(1, ...(bands.at(-1)?.upper ?? [])));
    const y = (rate) => (height - (rate / top) * (height - 14)).toFixed(1);
    setText(this.top, `${count(top)}/s`);
    setText(this.half, `${top < 2 ? (top / 2).toFixed(1) : count(top / 2)}/s`);
    const grid = [top, top / 2].map((rate) => svg("line", { class: "grid", x1: 0, x2: width, y1: y(rate), y2: y(rate) }));
    const areas = bands.map(({ colour, lower, upper }) => {
      const above = points.slice(1).map((point, index) => `${x(point)},${y(upper[index])}`);
      const below = points.slice(1).map((point, index) => `${x(point)},${y(lower[index])}`).reverse();
      return svg("polygon", { class: `area colour-${colour}`, points: [...above, ...below].join(" ") });
    });
    const drops = points.slice(1).flatMap((point, index) => this.#drop(point.dropped - points[index].dropped, x(point), height));
    this.svg.replaceChildren(...grid, ...areas, ...drops);
  }

  #bands(points) {
    if (points.length < 2) return [];
    const sums = new Map(); // of the grey ones together
    const total = points.slice(1).map((_, index) => this.store.rate(null, points, index + 1));
    for (const { name, colour } of this.store.senders.values()) {
      if (colour < COLOURS) sums.set(colour, points.slice(1).map((_, index) => this.store.rate(name, points, index + 1)));
    }
    let lower = total.map(() => 0);
    const bands = [...sums].sort(([one], [other]) => one - other).map(([colour, rates]) => {
      const upper = lower.map((low, index) => Math.min(total[index], low + rates[index]));
      const band = { colour, lower, upper };
      lower = upper;
      return band;
    });
    return [...bands, { colour: COLOURS, lower, upper: total }];
  }

  #drop(dropped, x, height) {
    if (dropped <= 0) return [];
    const title = svg("title");
    title.textContent = `the kernel dropped ${count(dropped)}`;
    const mark = svg("g", { class: "drop" });
    mark.append(svg("line", { x1: x, x2: x, y1: 0, y2: height }), svg("path", { d: `M${x},8 l-5,-8 h10 z` }), title);
    return [mark];
  }
}

function niceAbove(value) {
  const unit = 10 ** Math.floor(Math.log10(value));
  return unit * [1, 1.5, 2, 3, 4, 5, 6, 8, 10].find((step) => step * unit >= value * 0.999);
}
