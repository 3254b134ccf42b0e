"""How far something has come, below the cell that waits for it."""

from __future__ import annotations

import sys
import time
from typing import Any

_SHORTEST = 0.5
"""Seconds: what is over sooner needs no bar."""


class Progress:
    """A bar in a notebook's output while something runs; nothing anywhere else.

    Args:
        seconds: how long it is going to take.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._started = time.monotonic()
        self._handle: Any = None

    @property
    def watched(self) -> bool:
        """Whether this is a notebook, and it takes long enough to be looked at."""
        ipython: Any = sys.modules.get("IPython")  # a notebook has imported it; nobody else needs it
        shell = None if ipython is None else ipython.get_ipython()
        return self._seconds >= _SHORTEST and getattr(shell, "kernel", None) is not None

    def show(self, count: int) -> None:
        """Tell how many came by now."""
        passed = self._passed
        text = f"{count:,} in {passed:.1f} of {self._seconds:g} s"
        bar = f'<progress max="{self._seconds}" value="{passed:.2f}" style="vertical-align:middle"></progress>'
        self._display({"text/plain": text, "text/html": f"{bar} {text}"})

    def end(self, count: int) -> None:
        """Tell how many came in all, if anything was shown."""
        if self._handle is not None:
            self._display({"text/plain": f"{count:,} in {self._passed:.1f} s"})

    @property
    def _passed(self) -> float:
        return min(self._seconds, time.monotonic() - self._started)

    def _display(self, bundle: dict[str, str]) -> None:
        if self._handle is None:
            self._handle = sys.modules["IPython"].display.display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)
