// The table of messages.
import { make, setText, swatch } from "./page.js";
import { COLOURS } from "./store.js";
import { count, timeText } from "./words.js";

const ROW_HEIGHT = 22; // pixels, as in live.css

// The newest rows first; only those in sight are in the page.
export class Table {
  #shown = [];

  constructor(box, store, select) {
    this.store = store;
    this.select = select;
    this.box = box;
    const head = ["#", "Time", "Sender", "Topic", "Size", "Payload"].map((textContent) => make("th", { textContent, scope: "col", className: textContent.toLowerCase() }));
    this.above = make("tr", { ariaHidden: "true" }, make("td", { colSpan: 5 }));
    this.below = make("tr", { ariaHidden: "true" }, make("td", { colSpan: 5 }));
    this.body = make("tbody", {}, this.above, this.below);
    this.empty = make("p", { className: "empty", textContent: "Nothing to show yet" });
    box.append(make("table", {}, make("thead", {}, make("tr", {}, ...head)), this.body), this.empty);
    box.onscroll = () => this.#fill();
    box.onkeydown = (event) => this.#key(event);
  }

  toTop() {
    this.box.scrollTop = 0;
  }

  draw(rows, added, selected) {
    // Who has scrolled is reading: what is in sight stays there.
    const top = this.box.scrollTop;
    this.rows = rows;
    this.selected = selected;
    this.empty.hidden = rows.length > 0;
    if (added && !this.topics && rows.slice(-added).some((row) => row.topic)) this.#showTopics();
    if (top > 0 && added) {
      this.#fill(top + added * ROW_HEIGHT);
      this.box.scrollTop = top + added * ROW_HEIGHT;
    } else this.#fill();
  }

  #fill(top = this.box.scrollTop) {
    const { rows } = this;
    if (!rows) return;
    const fits = Math.ceil(this.box.clientHeight / ROW_HEIGHT) + 1;
    const first = Math.max(0, Math.min(Math.floor(top / ROW_HEIGHT), rows.length - fits));
    const number = Math.min(fits, rows.length - first);
    while (this.#shown.length > number) this.#shown.pop().remove();
    while (this.#shown.length < number) this.#shown.push(this.#makeRow());
    this.above.firstChild.style.height = `${first * ROW_HEIGHT}px`;
    this.below.firstChild.style.height = `${(rows.length - first - number) * ROW_HEIGHT}px`;
    this.#shown.forEach((element, index) => this.#show(element, rows[rows.length - 1 - first - index], rows[rows.length - 2 - first - index]));
  }

  // From the first message of a topic on: whoever has none needs no column for them.
  #showTopics() {
    this.topics = true;
    this.box.classList.add("topics");
    for (const spacer of [this.above, this.below]) spacer.firstChild.colSpan = 6;
  }

  #show(element, row, before) {
    element.row = row;
    const [number, time, sender, topic, size, payload] = element.children;
    setText(number, count(row.number));
    setText(time, timeText(row.at));
    sender.firstChild.className = `swatch colour-${this.store.colour(row.sender)}`;
    setText(sender.lastChild, row.direct ? `${row.sender} ↩` : row.sender);
    setText(topic, row.topic);
    setText(size, row.size === null ? "" : count(row.size));
    setText(payload, row.preview);
    payload.className = row.whole === 0 ? "none" : row.text === null ? "hex" : "";
    const skipped = before ? row.number - before.number - 1 : 0;
    element.className = skipped > 0 ? "gap" : "";
    const remarks = [...(row.direct ? ["sent to this process alone"] : []), ...(skipped > 0 ? [`${count(skipped)} before it are not shown`] : [])];
    element.title = remarks.join("; ");
    element.ariaSelected = String(row === this.selected);
  }

  #makeRow() {
    const sender = make("td", {}, swatch(COLOURS), make("span"));
    const row = make("tr", {}, make("td", { className: "right" }), make("td"), sender, make("td", { className: "topic" }), make("td", { className: "right" }), make("td"));
    row.onclick = () => this.select(row.row === this.selected ? null : row.row);
    this.below.before(row);
    return row;
  }

  #key(event) {
    const step = { ArrowDown: -1, ArrowUp: 1 }[event.key];
    if (event.key === "Escape") this.select(null);
    else if (!step || !this.rows?.length) return;
    else {
      const at = this.rows.indexOf(this.selected);
      const next = at < 0 ? this.rows.length - 1 : Math.max(0, Math.min(this.rows.length - 1, at + step));
      this.select(this.rows[next]);
      const top = (this.rows.length - 1 - next) * ROW_HEIGHT;
      const room = this.box.clientHeight - 2 * ROW_HEIGHT;
      this.box.scrollTop = Math.max(top - room, Math.min(this.box.scrollTop, top));
    }
    event.preventDefault();
    event.stopPropagation(); // the notebook has keys of its own
  }
}
