from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rx_multicast_ipc.notebook.cell_lifetime import Cells


class Shell:
    """As much of IPython's as is needed: which request runs, and a call before each cell."""

    def __init__(self) -> None:
        self.parent_header: dict[str, Any] = {}
        self._before: list[Any] = []
        self.events = self

    def register(self, name: str, callback: Any) -> None:
        self._before.append((name, callback))

    def run(self, code: str, cell: str | None = None, deleted: tuple[str, ...] = ()) -> None:
        metadata = {"cellId": cell, "deletedCells": list(deleted)} if cell else {}
        self.parent_header = {"header": {}, "metadata": metadata, "content": {"code": code}}
        for name, callback in self._before:
            assert name == "pre_run_cell"
            callback(None)


class View:
    def __init__(self, cells: Cells) -> None:
        self.closed = False
        self._cells = cells
        cells.keep(self)

    def close(self) -> None:
        self.closed = True
        self._cells.forget(self)


@pytest.fixture
def cells() -> Cells:
    return Cells()


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = Shell()
    monkeypatch.setitem(__import__("sys").modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    return shell


def test_a_cell_that_runs_again_closes_what_it_opened(shell: Shell, cells: Cells) -> None:
    shell.run("live(a); live(b)", "one")
    views = [View(cells), View(cells)]
    shell.run("live(c)", "two")
    other = View(cells)
    assert [view.closed for view in (*views, other)] == [False, False, False]
    shell.run("live(a)", "one")
    assert [view.closed for view in (*views, other)] == [True, True, False]


def test_an_edited_cell_closes_too_though_it_opens_nothing(shell: Shell, cells: Cells) -> None:
    shell.run("live(a)", "one")
    view = View(cells)
    shell.run("1 + 1", "one")
    assert view.closed


def test_a_deleted_cell_closes_with_the_next_that_runs(shell: Shell, cells: Cells) -> None:
    shell.run("live(a)", "one")
    view = View(cells)
    shell.run("1 + 1", "two", deleted=("one",))
    assert view.closed


def test_where_cells_have_no_id_their_code_tells_them_apart(shell: Shell, cells: Cells) -> None:
    shell.run("live(a)")
    one = View(cells)
    shell.run("live(b)")
    two = View(cells)
    shell.run("live(a)")
    assert (one.closed, two.closed) == (True, False)


def test_outside_a_notebook_nothing_is_closed_by_another(cells: Cells) -> None:
    one, two = View(cells), View(cells)
    assert (one.closed, two.closed) == (False, False)
    one.close()
    two.close()
