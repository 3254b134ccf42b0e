"""SIGTERM and SIGHUP: they end a command as Ctrl-C does, so that it closes, and tells what it has counted."""

from __future__ import annotations

import signal
from collections.abc import Generator
from contextlib import contextmanager, suppress
from types import FrameType

ENDING = tuple(signal.Signals[name] for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""``timeout``, ``kill``, service managers and container engines send the first, a terminal that is closed the other."""


@contextmanager
def ended_by_signals() -> Generator[list[int]]:
    """Within it each of them raises ``KeyboardInterrupt``; gives a list of those that came.

    One that the caller ignores, as ``nohup`` does, stays ignored, and a second one ends the process at once.
    """
    came: list[int] = []
    caught: list[signal.Signals] = []

    def end(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        came.append(number)
        raise KeyboardInterrupt

    with suppress(ValueError):  # not on the main thread: they are its program's own affair
        for each in ENDING:
            if signal.getsignal(each) is signal.SIG_DFL:
                signal.signal(each, end)
                caught.append(each)
    try:
        yield came
    finally:
        for each in caught:
            signal.signal(each, signal.SIG_DFL)
