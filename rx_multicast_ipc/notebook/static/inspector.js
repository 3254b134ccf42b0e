// One payload as JSON, as text and in hexadecimal.
import { make, swatch } from "./page.js";
import { Literal } from "./row.js";
import { count, hexDump, timeText } from "./words.js";

export function inspect(row, colour, close) {
  const ways = {};
  if (row.json !== undefined) ways.JSON = () => make("div", { className: "tree" }, tree(row.json));
  if (row.text !== null) ways.Text = () => make("pre", { textContent: row.text });
  ways.Hex = () => make("pre", { textContent: hexDump(row.data) });
  const content = make("div", { className: "content", tabIndex: 0 });
  const tabs = Object.entries(ways).map(([name, show]) => {
    const tab = make("button", { type: "button", role: "tab", textContent: name });
    tab.onclick = () => {
      for (const other of tabs) other.ariaSelected = String(other === tab);
      content.replaceChildren(show());
    };
    return tab;
  });
  tabs[0].onclick();
  const size = row.size === null ? "" : ` · ${count(row.size)} bytes`;
  const topic = row.topic ? ` · ${row.topic}` : "";
  const direct = row.direct ? " · to this process alone" : "";
  const cut = row.data.length < row.whole ? `first ${count(row.data.length)} of ${count(row.whole)} bytes` : "";
  return [
    make("div", { className: "heading" },
      make("strong", { textContent: `#${count(row.number)}` }), swatch(colour),
      make("span", { className: "name", textContent: row.sender }),
      make("button", { type: "button", className: "close", textContent: "×", title: "Close", ariaLabel: "Close", onclick: close })),
    make("div", { className: "facts", textContent: `${timeText(row.at)}${topic}${size}${direct}` }, ...(cut ? [make("em", { textContent: ` · ${cut}` })] : [])),
    make("div", { className: "tabs", role: "tablist" }, ...tabs),
    content,
  ];
}

function tree(value, key = null, open = true) {
  const label = key === null ? [] : [make("span", { className: "key", textContent: key }), ": "];
  if (value === null || typeof value !== "object" || value instanceof Literal) {
    const [kind, text] = value instanceof Literal ? ["number", value.source] : [value === null ? "null" : typeof value, JSON.stringify(value)];
    return make("div", { className: "leaf" }, ...label, make("span", { className: kind, textContent: text }));
  }
  const entries = Object.entries(value);
  const brackets = Array.isArray(value) ? `[${entries.length}]` : `{${entries.length}}`;
  const branch = make("details", {}, make("summary", {}, ...label, make("span", { className: "brackets", textContent: brackets })));
  branch.ontoggle = () => { // children are made when they are first seen
    if (branch.open && branch.children.length === 1) branch.append(...entries.map(([name, child]) => tree(child, name, false)));
  };
  branch.open = open && entries.length > 0;
  return branch;
}
