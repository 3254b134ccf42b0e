"""Runs the notebooks and stores what they showed in them: ``python -m tests.notebook.store_outputs``.

So that they can be read where nothing runs, such as on a code host. A live view is stored as a picture: what the kernel
told its front end is given to that front end in Chromium, and photographed. Needs the extra ``notebook-test``.
"""

# pyright: basic

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from ..helpers import ROOT
from .conftest import CHROMIUM
from .front_end_page import FrontEndPage

VIEW = "application/vnd.jupyter.widget-view+json"
WIDTH = 900


class Client(NotebookClient):
    """Runs a notebook, and keeps what live views were told.

    Attributes:
        told: the parts of every update, by the view's model.
    """

    def __init__(self, notebook: Any) -> None:
        super().__init__(notebook, timeout=60, kernel_name="python3")
        self.told: dict[str, list[list[bytes]]] = {}
        self.titles: dict[str, str] = {}

    def handle_comm_msg(self, outs: Any, msg: Any, cell_index: int) -> None:
        content = msg["content"]
        data = content.get("data", {})
        if "title" in data.get("state", {}):
            self.titles[content["comm_id"]] = data["state"]["title"]
        if data.get("method") == "custom" and msg.get("buffers"):
            self.told.setdefault(content["comm_id"], []).append([bytes(part) for part in msg["buffers"]])
        super().handle_comm_msg(outs, msg, cell_index)


@contextmanager
def chromium_page() -> Iterator[Any]:
    """A light page that is as wide as a notebook."""
    sync_playwright = import_module("playwright.sync_api").sync_playwright
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser.new_page(viewport={"width": WIDTH, "height": 800}, color_scheme="light")
        browser.close()


def picture(page: Any, title: str, updates: list[list[bytes]]) -> str:
    """What a view showed after its last update, as PNG in base64."""
    shown = FrontEndPage(page, title)
    for parts in updates:
        shown.show(parts)
    return base64.b64encode(page.locator(".rxm-live").screenshot()).decode()


def store(path: Path, page: Any) -> None:
    """Run one notebook, and write it with its outputs."""
    notebook: Any = nbformat.read(path, 4)
    client = Client(notebook)
    client.execute()
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    seen: set[str] = set()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            model = output.get("data", {}).pop(VIEW, {}).get("model_id")
            if model is not None and model not in seen:
                seen.add(model)
                output.data["image/png"] = picture(page, client.titles[model], client.told[model])
    nbformat.write(notebook, path)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, chromium_page() as page:
        os.environ["IPYTHONDIR"] = folder
        for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
            store(path, page)
            print(path.name, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
