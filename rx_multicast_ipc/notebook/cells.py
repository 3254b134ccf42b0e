"""Which cell of a notebook is running, and the end of what an earlier run of it left open."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Hashable
from typing import Any, NamedTuple, Protocol


class Closable(Protocol):
    """What can be closed."""

    def close(self) -> None: ...


class Execution(NamedTuple):
    """One run of one cell.

    Attributes:
        cell: its id; where the front end tells none, its code.
        run: the request that runs it.
    """

    cell: Hashable
    run: Hashable


class Cells:
    """Closes what a cell opened when that cell runs again, and all of it when the process ends.

    It keeps what it is given until then, or until :meth:`forget`.
    """

    def __init__(self) -> None:
        self._opened: dict[Closable, Execution | None] = {}
        self._shell: Any = None

    def keep(self, opened: Closable) -> None:
        """Remember ``opened`` for the cell that is running, if one is."""
        shell = _shell()
        if shell is not None and shell is not self._shell:
            shell.events.register("pre_run_cell", self._close_earlier)
            self._shell = shell
        if not self._opened:
            atexit.register(self._close_all)
        self._opened[opened] = current_execution()

    def forget(self, opened: Closable) -> None:
        """It was closed."""
        if self._opened.pop(opened, self) is not self and not self._opened:
            atexit.unregister(self._close_all)

    def _close_earlier(self, _info: object = None) -> None:
        running = current_execution()
        for opened, execution in list(self._opened.items()):
            if running is not None and execution is not None and execution.cell == running.cell:
                opened.close()

    def _close_all(self) -> None:
        for opened in list(self._opened):
            opened.close()


def current_execution() -> Execution | None:
    """The run of the cell that is running; None outside a notebook's kernel."""
    request = getattr(_shell(), "parent_header", None)
    if not request or "header" not in request:
        return None
    cell = request.get("metadata", {}).get("cellId") or request.get("content", {}).get("code")
    return Execution(cell, request["header"].get("msg_id"))


def _shell() -> Any:
    ipython: Any = sys.modules.get("IPython")  # a notebook has imported it; nobody else needs it
    return None if ipython is None else ipython.get_ipython()
