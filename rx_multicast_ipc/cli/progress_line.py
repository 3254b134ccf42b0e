"""A progress line on a terminal."""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import Final, TextIO

from ..strangers.printable_text import printable

_PAUSE: Final = 0.1
"""Seconds between two changes of the line."""

_BAR: Final = 30


class Status:
    """One line on standard error that is written over and over; nothing at all where that is no terminal."""

    def __init__(self) -> None:
        self._stream: TextIO | None = sys.stderr if sys.stderr is not None and sys.stderr.isatty() else None
        self._moves = os.environ.get("TERM") != "dumb"  # else it has nothing that writes over a line
        self._next = time.monotonic() + _PAUSE  # what is over by then needs no status
        self._shown = False

    @property
    def watched(self) -> bool:
        """Whether it is shown."""
        return self._stream is not None

    @property
    def due(self) -> bool:
        """Whether it is shown, and time for a change."""
        return self._stream is not None and self._moves and time.monotonic() >= self._next

    def show(self, text: str) -> None:
        """Change the line, if it is due."""
        if self._stream is not None and self.due:
            self._next = time.monotonic() + _PAUSE
            self._shown = True
            self._stream.write(f"\r{printable(text)[: self._columns]}\x1b[K")
            self._stream.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self._stream is not None and self._shown:
            self._shown = False
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    @property
    def _columns(self) -> int | None:
        """Characters that fit on one line of the terminal, as wide as it is now; None where that is not known."""
        with suppress(OSError, ValueError):
            if self._stream is not None:
                return max(0, os.get_terminal_size(self._stream.fileno()).columns - 1) or None
        return None


def bar(part: float) -> str:
    """``part``, 0 to 1, as a picture and per cent."""
    full = int(min(part, 1.0) * _BAR)
    return f"[{'#' * full}{'-' * (_BAR - full)}] {part:4.0%}"


def amount(count: int, what: str, many: str = "") -> str:
    """``1,234 messages``, and ``1 message``."""
    return f"{count:,} {what if count == 1 else many or what + 's'}"
