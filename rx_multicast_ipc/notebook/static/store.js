// What came: the last rows, the last minute's counts, the senders.
import { Row } from "./row.js";

const HISTORY_ROWS = 2000;
const HISTORY_BYTES = 32 << 20;
const RATE_SECONDS = 1; // rates are means over this long
const MOST_SENDERS = 200; // remembered

export const PLOT_SECONDS = 60;
export const BUCKET = 0.05; // seconds that one bucket of values covers
export const COLOURS = 6; // in live.css; later senders are grey
export const BYTES = Symbol("bytes");

export function decode([head, payloads]) {
  return [JSON.parse(new TextDecoder().decode(head)), new Uint8Array(payloads.buffer, payloads.byteOffset, payloads.byteLength)];
}

export class Store {
  rows = []; // oldest first
  points = []; // {at, total, bytes, dropped, counts: Map of sender to items so far}
  senders = new Map(); // name to {name, colour, items, bytes, at}; the last heard last
  series = new Map(); // name to {name, index, buckets: [number, low, high, last][]}, in the order of their first value
  head = null;
  arrived = 0;
  #held = 0;
  #listeners = new Set();

  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  receive(head, payloads) {
    const known = this.head?.total ?? 0;
    this.head = head;
    this.arrived = Date.now();
    this.#addRows(head, payloads, known);
    for (const [name, items, bytes] of head.senders) this.#count(name, items, bytes, head.at);
    if (head.others[0]) this.#count("others", ...head.others, head.at);
    this.#addPoint(head);
    this.#addValues(head);
    this.#tell();
  }

  // All that a plot of values needs, as it is now.
  get values() {
    const { failed = 0, reason = "", left_out: leftOut = 0 } = this.head?.values ?? {};
    const series = [...this.series.values()].map((one) => ({ ...one, buckets: one.buckets.slice() }));
    return { series, at: this.head?.at ?? 0, failed, reason, leftOut };
  }

  clear() {
    this.rows = [];
    this.#held = 0;
    this.points = this.points.slice(-1).map((point) => ({ ...point, counts: new Map() }));
    this.senders.clear();
    this.series.clear();
    this.#tell();
  }

  colour(name) {
    return this.senders.get(name)?.colour ?? COLOURS;
  }

  // Items a second over the last second of `points`, of one sender or of all.
  rate(name = null, points = this.points, last = points.length - 1) {
    if (last < 1) return 0;
    let first = last - 1;
    while (first > 0 && points[last].at - points[first].at < RATE_SECONDS - 0.05) first--;
    const value = (point) => (name === null ? point.total : name === BYTES ? point.bytes : (point.counts.get(name) ?? 0));
    const seconds = points[last].at - points[first].at;
    return seconds > 0 ? Math.max(0, value(points[last]) - value(points[first])) / seconds : 0;
  }

  #addRows(head, payloads, known) {
    let number = head.total - head.rows.length;
    let offset = 0;
    for (const [at, sender, size, shown, whole, direct, topic] of head.rows) {
      number++;
      const data = payloads.subarray(offset, offset + shown);
      offset += shown;
      if (number <= known && this.rows.length) continue; // told before
      this.rows.push(new Row(number, at, sender, size, data, whole, direct, topic));
      this.#held += shown;
    }
    while (this.rows.length > HISTORY_ROWS || this.#held > HISTORY_BYTES) this.#held -= this.rows.shift().data.length;
  }

  #count(name, items, bytes, at) {
    const sender = this.senders.get(name) ?? { name, colour: this.#freeColour(name), items: 0, bytes: 0 };
    this.senders.delete(name); // to the end of the map
    this.senders.set(name, { ...sender, items: sender.items + items, bytes: sender.bytes + bytes, at });
    if (this.senders.size > MOST_SENDERS) this.senders.delete(this.senders.keys().next().value);
  }

  #freeColour(name) {
    if (name === "others") return COLOURS;
    const taken = new Set([...this.senders.values()].map((sender) => sender.colour));
    let colour = 0;
    while (taken.has(colour) && colour < COLOURS) colour++;
    return colour;
  }

  #addPoint(head) {
    if (this.points.length && head.at <= this.points.at(-1).at) {
      this.points = []; // the clock was set back
      this.series.clear();
    }
    const counts = new Map([...this.senders.values()].map((sender) => [sender.name, sender.items]));
    this.points.push({ at: head.at, total: head.total, bytes: head.bytes, dropped: head.dropped ?? 0, counts });
    while (this.points[0].at < head.at - PLOT_SECONDS - RATE_SECONDS) this.points.shift();
  }

  #addValues(head) {
    for (const [name, buckets] of head.values.series) {
      const one = this.series.get(name) ?? { name, index: this.#freeIndex(name), buckets: [] };
      this.series.set(name, one);
      for (const bucket of buckets) {
        const last = one.buckets.at(-1)?.[0] ?? -Infinity;
        if (bucket[0] === last) one.buckets.pop(); // it has grown since it was told
        if (bucket[0] >= last) one.buckets.push(bucket);
      }
    }
    const oldest = (head.at - PLOT_SECONDS - RATE_SECONDS) / BUCKET;
    for (const one of this.series.values()) {
      const gone = one.buckets.findIndex(([number]) => number >= oldest);
      if (gone) one.buckets.splice(0, gone < 0 ? one.buckets.length : gone);
      if (!one.buckets.length) this.series.delete(one.name);
    }
  }

  // A sender's line has the sender's colour, if no other line has it.
  #freeIndex(name) {
    const taken = new Set([...this.series.values()].map(({ index }) => index));
    const own = this.colour(name);
    if (own < COLOURS && !taken.has(own)) return own;
    let index = 0;
    while (taken.has(index)) index++;
    return index;
  }

  #tell() {
    for (const listener of this.#listeners) listener();
  }
}
