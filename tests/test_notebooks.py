"""Every notebook runs from its first cell to its last, as a reader would run it, and shows what is stored in it.

``python -m tests.notebook.store_outputs`` stores it anew.
"""

from __future__ import annotations

import base64
import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from .helpers import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

IN_VIRTUAL_TIME = {"3_marbles_in_virtual_time", "4_loss_and_latency"}
"""Notebooks whose outputs are the same at every run; those of others differ in numbers, and in what these draw."""

CELL_PATIENCE = 60
"""Seconds for a cell."""

VIEW = "application/vnd.jupyter.widget-view+json"


def stored(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_as_it_was_run_from_the_first_cell_to_the_last(path: Path) -> None:
    notebook = stored(path)
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    assert all(cell["metadata"] == {} for cell in notebook["cells"])
    counts = [cell["execution_count"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert counts == [*range(1, len(counts) + 1)]


def test_live_views_are_stored_as_pictures_and_nothing_that_needs_a_kernel() -> None:
    bundles = [
        output["data"]
        for path in NOTEBOOKS
        for cell in stored(path)["cells"]
        for output in cell.get("outputs", [])
        if "data" in output
    ]
    assert not any(VIEW in bundle for bundle in bundles)
    pictures = [base64.b64decode(text_of(bundle["image/png"])) for bundle in bundles if "image/png" in bundle]
    assert len(pictures) == 2
    for picture in pictures:
        assert picture.startswith(b"\x89PNG")
        width, height = (int.from_bytes(picture[at : at + 4]) for at in (16, 20))
        assert width > 600
        assert height > 400


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_shows_what_is_stored_in_it(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ipykernel", reason="needs the extra [test]")
    nbclient: Any = pytest.importorskip("nbclient", reason="needs the extra [test]")
    nbformat: Any = pytest.importorskip("nbformat", reason="needs the extra [test]")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook: Any = nbformat.read(path, 4)
    # On a busy machine what one cell prints comes in several pieces.
    nbclient.NotebookClient(notebook, timeout=CELL_PATIENCE, kernel_name="python3", coalesce_streams=True).execute()
    exact = path.stem in IN_VIRTUAL_TIME
    for before, after in zip(stored(path)["cells"], notebook.cells, strict=True):
        source = "".join(before["source"])
        if "to_frame(" in source and find_spec("pandas") is None:
            continue  # it says what to install
        told = [[shown(output, exact=exact) for output in cell.get("outputs", [])] for cell in (before, after)]
        assert told[0] == told[1], source


def shown(output: Any, *, exact: bool) -> Any:
    """What of an output is the same at every run."""
    assert output["output_type"] != "error"
    assert output.get("name") != "stderr", output["text"]
    if output["output_type"] == "stream":
        return text_of(output["text"]) if exact else without_numbers(output["text"])
    data: dict[str, Any] = {kind: text_of(value) for kind, value in output["data"].items() if kind != VIEW}
    if exact:
        return data
    data.pop("image/png", None)  # it stands for the view
    if "text/html" in data or "image/svg+xml" in data:  # a table of sensors' readings, or a picture of their marbles
        return sorted(data)
    return {kind: without_numbers(text) for kind, text in data.items()}


def without_numbers(text: Any) -> str:
    return re.sub(r"\d[\d,]*(\.\d+)?(e[-+]?\d+)?", "0", text_of(text))


def text_of(text: Any) -> str:
    return text if isinstance(text, str) else "".join(text)
