"""Every notebook runs from its first cell to its last, as a reader would run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .helpers import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

SHOWN = {
    "1_first_message": ["<Message b'hello' from 127.0.0.1:", "Welcome Ann!", "['JOIN:BOB', 'LEAVE:BOB']", ": ended>"],
    "2_live_traffic": [": 0 so far, live>", "'mean': ", " so far, stopped>", "dropped=0"],
    "3_marbles_in_virtual_time": ["'a' was expected at 0.1 s and came at 0.2 s", "179 beats, and 1815.01 s"],
    "4_loss_and_latency": ["lost: ", "latency: 0.05", "lost=0, duplicated=0, cut=27)"],
}
"""Something that each notebook's outputs say, in this order."""

CELL_PATIENCE = 60
"""Seconds for a cell."""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
    for cell in notebook["cells"]:
        assert cell["metadata"] == {}
        assert cell.get("outputs", []) == []
        assert cell.get("execution_count") is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_it_is_about(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ipykernel", reason="needs the extra [test]")
    nbclient: Any = pytest.importorskip("nbclient", reason="needs the extra [test]")
    nbformat: Any = pytest.importorskip("nbformat", reason="needs the extra [test]")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook: Any = nbformat.read(path, 4)
    nbclient.NotebookClient(notebook, timeout=CELL_PATIENCE, kernel_name="python3").execute()
    shown = "\n".join(text_of(output) for cell in notebook.cells for output in cell.get("outputs", []))
    for text in SHOWN[path.stem]:
        assert text in shown
        shown = shown[shown.index(text) :]


def text_of(output: Any) -> str:
    assert output.output_type != "error"
    assert output.get("name") != "stderr", output.text
    return output.text if output.output_type == "stream" else output.data["text/plain"]
