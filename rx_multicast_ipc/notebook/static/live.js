// The front end of rx_multicast_ipc.notebook.live: one store a widget, one view a place on the page.
// What a stranger sent reaches the page as textContent only. Pause, filter, inspection and clear need no kernel.
import { inspect } from "./inspector.js";
import { make, setText, swatch } from "./page.js";
import { Plot } from "./plot.js";
import { Filter } from "./row.js";
import { BYTES, COLOURS, Store, decode } from "./store.js";
import { Table } from "./table.js";
import { ValuePlot } from "./values.js";
import { bytesText, count, rateText } from "./words.js";

const SHOWN_SENDERS = 50;
const STALLED_AFTER = 3000; // milliseconds

export default () => {
  const store = new Store();
  return {
    initialize({ model }) {
      model.on("msg:custom", (_content, buffers) => store.receive(...decode(buffers)));
      model.send("hello");
    },
    render({ model, el }) {
      const view = new View(store, model.get("title"), el);
      return () => view.close();
    },
  };
};

class View {
  filter = new Filter();
  frozen = null; // {rows, points, values, total} while paused
  selected = null;
  rows = []; // that pass the filter, oldest first
  #looked = 0; // number of the newest row that the filter saw
  #drawing = 0;

  constructor(store, title, el) {
    this.store = store;
    this.#build(title, el);
    this.plot = new Plot(this.plotBox, store);
    this.values = new ValuePlot(this.valuesBox, store, () => this.draw());
    this.table = new Table(this.tableBox, store, (row) => this.select(row));
    const unlisten = store.listen(() => this.draw());
    const resize = new ResizeObserver(() => this.draw());
    resize.observe(this.root);
    const watch = setInterval(() => this.#drawState(), 1000);
    this.close = () => {
      unlisten();
      resize.disconnect();
      clearInterval(watch);
      cancelAnimationFrame(this.#drawing);
    };
    this.draw();
  }

  // At the next frame: a page that is hidden or behind draws less often, and never what is stale.
  draw() {
    this.#drawing ||= requestAnimationFrame(() => {
      this.#drawing = 0;
      this.#drawNow();
    });
  }

  pause() {
    const { rows, points, head } = this.store;
    this.frozen = this.frozen ? null : { rows: rows.slice(), points: points.slice(), values: this.store.values, total: head?.total ?? 0 };
    this.#refilter(!this.frozen);
  }

  clear() {
    if (this.frozen) this.frozen = { ...this.frozen, rows: [], points: [], values: { ...this.frozen.values, series: [] } };
    this.select(null);
    this.store.clear();
    this.#refilter();
  }

  select(row) {
    this.selected = row;
    this.inspector.replaceChildren(...(row ? inspect(row, this.store.colour(row.sender), () => this.select(null)) : []));
    this.inspector.hidden = !row;
    this.draw();
  }

  setFilter(changes) {
    const { pattern, isRegex, sender } = { ...this.filter, ...changes };
    this.filter = new Filter(pattern, isRegex, sender);
    this.#refilter();
  }

  #refilter(toTop = true) {
    this.rows = [];
    this.#looked = 0;
    if (toTop) this.table.toTop();
    this.draw();
  }

  #takeRows() {
    const rows = this.frozen?.rows ?? this.store.rows;
    const oldest = rows.length ? rows[0].number : Infinity;
    let gone = 0;
    while (gone < this.rows.length && this.rows[gone].number < oldest) gone++;
    this.rows.splice(0, gone);
    let first = rows.length;
    while (first > 0 && rows[first - 1].number > this.#looked) first--;
    const added = rows.slice(first).filter((row) => this.filter.matches(row));
    this.rows.push(...added);
    this.#looked = rows.at(-1)?.number ?? this.#looked;
    return added.length;
  }

  #build(title, el) {
    const figure = (name, label) => {
      this[name] = make("span", { className: "number", textContent: "0" });
      return make("div", { className: `figure ${name}` }, this[name], make("span", { className: "label", textContent: label }));
    };
    const button = (name, label, tip, act) =>
      (this[name] = make("button", { type: "button", className: name, textContent: label, title: tip, onclick: act }));
    this.status = make("span", { className: "status" });
    this.input = make("input", {
      type: "search", placeholder: "Filter by text, topic or sender", ariaLabel: "Filter", spellcheck: false,
      oninput: () => this.setFilter({ pattern: this.input.value }),
    });
    const toggleRegex = () => {
      this.setFilter({ isRegex: !this.filter.isRegex });
      this.regexButton.ariaPressed = String(this.filter.isRegex);
    };
    this.chip = make("button", { type: "button", className: "chip", title: "Show every sender", hidden: true, onclick: () => this.setFilter({ sender: null }) });
    this.matched = make("span", { className: "matched", role: "status" });
    this.plotBox = make("div", { className: "plot" });
    this.valuesBox = make("div", { className: "values", hidden: true });
    this.senderList = make("ul", { className: "senders", ariaLabel: "Senders" });
    this.tableBox = make("div", { className: "table", tabIndex: 0, role: "region", ariaLabel: "Messages, the newest first" });
    this.inspector = make("section", { className: "inspector", hidden: true, ariaLabel: "Payload" });
    this.root = make("div", { className: "rxm-live", "data-lm-suppress-shortcuts": "true" },
      make("header", {},
        make("div", { className: "title" }, make("strong", { textContent: title }), this.status),
        figure("rate", "messages/s"), figure("byteRate", "payload"), figure("total", "messages"), figure("bytes", "in all"), figure("dropped", "dropped by kernel")),
      this.valuesBox,
      make("div", { className: "meters" }, this.plotBox, this.senderList),
      make("div", { className: "tools" },
        button("pauseButton", "Pause", "Stop the table and the plot; the counters go on", () => this.pause()),
        button("clearButton", "Clear", "Forget what is shown; the totals stay", () => this.clear()),
        this.input,
        button("regexButton", ".*", "Regular expression", toggleRegex),
        this.chip, this.matched),
      make("div", { className: "body" }, this.tableBox, this.inspector));
    this.regexButton.ariaPressed = "false";
    el.replaceChildren(this.root);
  }

  #drawNow() {
    const { store, frozen } = this;
    this.values.measure();
    this.plot.measure();
    const points = frozen?.points ?? store.points;
    const about = store.head?.estimated ? "≈ " : "";
    setText(this.rate, rateText(store.rate()));
    setText(this.byteRate, `${bytesText(store.rate(BYTES))}/s`);
    setText(this.total, count(store.head?.total ?? 0));
    setText(this.bytes, about + bytesText(store.head?.bytes ?? 0));
    const dropped = store.head?.dropped ?? null;
    setText(this.dropped, dropped === null ? "–" : count(dropped));
    this.dropped.parentElement.hidden = dropped === null;
    this.dropped.parentElement.classList.toggle("bad", dropped > 0);
    this.#drawState();
    this.values.draw(frozen?.values ?? store.values);
    this.plot.draw(points);
    this.#drawSenders(points);
    this.#drawTools();
    const added = this.#takeRows();
    this.table.draw(this.rows, added, this.selected);
    setText(this.matched, this.filter.error ? `No regular expression: ${this.filter.error}` : this.filter.isOn ? `${count(this.rows.length)} of the last ${count((frozen?.rows ?? store.rows).length)}` : "");
  }

  #drawState() {
    const { head, arrived } = this.store;
    const live = head?.state === "live";
    const quiet = Date.now() - arrived;
    const stalled = live && quiet > STALLED_AFTER;
    this.status.className = `status ${stalled ? "stalled" : (head?.state ?? "waiting")}`;
    const words = { completed: "completed", failed: head?.error || "failed", stopped: "stopped", live: this.frozen ? "paused" : "live" };
    setText(this.status, !head ? "waiting for the kernel" : stalled ? `no news for ${Math.round(quiet / 1000)} s` : words[head.state]);
  }

  #drawTools() {
    const fresh = this.frozen ? (this.store.head?.total ?? 0) - this.frozen.total : 0;
    setText(this.pauseButton, this.frozen ? `Resume (${count(fresh)} new)` : "Pause");
    this.pauseButton.ariaPressed = String(this.frozen !== null);
    this.chip.hidden = this.filter.sender === null;
    setText(this.chip, `${this.filter.sender} ×`);
    this.input.classList.toggle("bad", Boolean(this.filter.error));
  }

  #drawSenders(points) {
    const { store } = this;
    const listed = [...store.senders.values()]
      .map((sender) => ({ ...sender, rate: store.rate(sender.name, points) }))
      .sort((one, other) => one.colour - other.colour || other.rate - one.rate)
      .slice(0, SHOWN_SENDERS);
    const busiest = Math.max(1e-9, ...listed.map((sender) => sender.rate));
    while (this.senderList.children.length > listed.length) this.senderList.lastChild.remove();
    while (this.senderList.children.length < listed.length) this.senderList.append(this.#makeSender());
    listed.forEach((sender, index) => {
      const item = this.senderList.children[index];
      const [dot, name, rate, bar] = item.firstChild.children;
      dot.className = `swatch colour-${sender.colour}`;
      setText(name, sender.name);
      setText(rate, `${rateText(sender.rate)}/s`);
      bar.className = `bar colour-${sender.colour}`;
      bar.style.width = `${(100 * sender.rate) / busiest}%`;
      item.firstChild.title = `${store.head.estimated ? "about " : ""}${count(sender.items)} messages, ${bytesText(sender.bytes)}; click to see this sender alone`;
      item.firstChild.ariaPressed = String(this.filter.sender === sender.name);
    });
  }

  #makeSender() {
    const name = make("span", { className: "name" });
    const choose = () => this.setFilter({ sender: this.filter.sender === name.textContent ? null : name.textContent });
    const part = (className) => make("span", { className });
    return make("li", {}, make("button", { type: "button", onclick: choose }, swatch(COLOURS), name, part("per-second"), part("bar")));
  }
}
