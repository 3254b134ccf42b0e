"""Which cell of a notebook is running, and the end of what an earlier run of it left open."""

from __future__ import annotations

import atexit
import sys
from typing import Any, NamedTuple, Protocol


class Closable(Protocol):
    """What can be closed."""

    def close(self) -> None: ...


class Request(NamedTuple):
    """What a front end tells with the code that it wants to be run.

    Attributes:
        cell: the cell's id; where the front end tells none, its code.
        deleted: ids of cells that are gone, where it tells them.
    """

    cell: str
    deleted: list[str]


class Cells:
    """Closes what a cell opened when that cell runs again or is deleted, and all of it when the process ends.

    It keeps what it is given until then, or until :meth:`forget`.
    """

    def __init__(self) -> None:
        self._opened: dict[Closable, str | None] = {}
        self._shell: Any = None

    def keep(self, opened: Closable) -> None:
        """Remember ``opened`` for the cell that is running, if one is."""
        shell = _shell()
        if shell is not None and shell is not self._shell:
            shell.events.register("pre_run_cell", self._close_earlier)
            self._shell = shell
        if not self._opened:
            atexit.register(self._close_all)
        request = current_request()
        self._opened[opened] = None if request is None else request.cell

    def forget(self, opened: Closable) -> None:
        """It was closed."""
        if self._opened.pop(opened, self) is not self and not self._opened:
            atexit.unregister(self._close_all)

    def _close_earlier(self, _info: object = None) -> None:
        request = current_request()
        gone = [] if request is None else [request.cell, *request.deleted]
        for opened, cell in list(self._opened.items()):
            if cell in gone:
                opened.close()

    def _close_all(self) -> None:
        for opened in list(self._opened):
            opened.close()


def current_request() -> Request | None:
    """The request that is being run; None outside a notebook's kernel."""
    message = getattr(_shell(), "parent_header", None)
    if not message or "content" not in message:
        return None
    metadata = message.get("metadata", {})
    return Request(metadata.get("cellId") or message["content"].get("code"), metadata.get("deletedCells", []))


def _shell() -> Any:
    ipython: Any = sys.modules.get("IPython")  # a notebook has imported it; nobody else needs it
    return None if ipython is None else ipython.get_ipython()
