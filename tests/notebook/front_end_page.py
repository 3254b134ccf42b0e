"""The front end of a live view in a browser's page, without a kernel."""

from __future__ import annotations

import base64
from typing import Any

from rx_multicast_ipc.notebook.live_widget import STATIC, front_end

MODEL = """
const handlers = [];
window.sent = [];
const model = {
  get: () => window.title,
  on: (_name, handler) => handlers.push(handler),
  send: (content) => sent.push(content),
};
const view = (text) => new DataView(Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer);
window.update = (parts) => handlers.forEach((handler) => handler({}, parts.map(view)));
window.begin = async (source) => {
  const module = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const widget = module.default();
  widget.initialize({ model });
  window.end = widget.render({ model, el: document.getElementById("here") });
};
"""


class FrontEndPage:
    """Takes the place of a kernel.

    Args:
        page: of playwright; what it shows is replaced.
        title: the view's.
    """

    def __init__(self, page: Any, title: str) -> None:
        self._page = page
        page.set_content(f"<style>{(STATIC / 'live.css').read_text()}</style><div id=here></div>")
        page.evaluate("title => { window.title = title }", title)
        page.add_script_tag(content=MODEL)
        page.evaluate("source => begin(source)", front_end())

    def show(self, parts: list[bytes]) -> None:
        """Give it one update, and wait until it is drawn."""
        self._page.evaluate("parts => update(parts)", [base64.b64encode(part).decode() for part in parts])
        self.drawn()

    def drawn(self) -> None:
        """Wait until what was changed is drawn."""
        self._page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
