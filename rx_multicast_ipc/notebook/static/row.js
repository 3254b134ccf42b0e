// One message or value, and what can be read in its bytes.
import { hex } from "./words.js";

const PREVIEW = 200; // characters of a payload in the table

export class Row {
  constructor(number, at, sender, size, data, whole, direct, topic) {
    Object.assign(this, { number, at, sender, size, data, whole, direct, topic });
  }

  // The payload as text; null if it is none.
  get text() {
    if (this.decoded === undefined) {
      try {
        this.decoded = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(this.data, { stream: this.data.length < this.whole });
        // eslint-disable-next-line no-control-regex
        if (/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]/.test(this.decoded)) this.decoded = null;
      } catch {
        this.decoded = null;
      }
    }
    return this.decoded;
  }

  get searched() {
    return this.text ?? hex(this.data);
  }

  get preview() {
    if (this.whole === 0) return "(empty)";
    if (this.text === null) return hex(this.data.subarray(0, PREVIEW / 4)) + (this.whole > PREVIEW / 4 ? " …" : "");
    const line = this.text.slice(0, PREVIEW).replace(/[\r\n\t]+/g, " ⏎ ");
    return this.text.length > PREVIEW || this.data.length < this.whole ? `${line} …` : line;
  }

  // The payload as JSON, numbers as they were written; undefined if it is none.
  get json() {
    if (this.text === null || !/^\s*[[{]/.test(this.text)) return undefined;
    try {
      return JSON.parse(this.text, (_key, value, context) => (typeof value === "number" && context?.source ? new Literal(context.source) : value));
    } catch {
      return undefined;
    }
  }
}

export class Literal {
  constructor(source) {
    this.source = source;
  }
}

// Which rows are shown. A pattern that is no regular expression shows all, and says so.
export class Filter {
  error = "";
  #test = null;

  constructor(pattern = "", isRegex = false, sender = null) {
    Object.assign(this, { pattern, isRegex, sender });
    if (!pattern) return;
    try {
      const regex = new RegExp(isRegex ? pattern : pattern.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "i");
      this.#test = (text) => regex.test(text);
    } catch (error) {
      this.error = error.message;
    }
  }

  get isOn() {
    return this.#test !== null || this.sender !== null;
  }

  matches(row) {
    return (this.sender === null || row.sender === this.sender) && (!this.#test || this.#test(row.searched) || this.#test(row.sender) || this.#test(row.topic));
  }
}
