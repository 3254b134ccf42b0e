"""The end of the interpreter, and forks, for every transport that has a thread or descriptors."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from contextlib import suppress
from typing import Any, Final, Protocol

_EXIT_WAIT: Final = 0.5
"""Seconds that the end of the interpreter waits for all of them together; longer only for those that ask for it."""


class ClosesAtExit(Protocol):
    """An open end that does not outlive the process, and that a forked child has no part in."""

    def finish(self, deadline: float) -> None:
        """Begin to deliver what has arrived, and close by ``deadline`` (``time.monotonic`` seconds)."""
        ...

    def wait_ended(self, seconds: float) -> bool:
        """Wait until it let go of all it held; whether it did."""
        ...

    def forget(self) -> None:
        """Let go of the parent's descriptors in a forked child, without waiting for a lock: its threads are gone."""
        ...


_open: dict[ClosesAtExit, float] = {}
_closes_with_worker = False


def add(end: ClosesAtExit, wait: float = _EXIT_WAIT) -> None:
    """From now on ``end`` closes with the interpreter, and is forgotten in forked children.

    Args:
        end: which.
        wait: seconds that the interpreter waits for it at most.
    """
    _open[end] = wait
    _close_with_worker()


def discard(end: ClosesAtExit) -> None:
    """``end`` has closed."""
    _open.pop(end, None)


def _close_with_worker() -> None:
    """Have multiprocessing close all at the end of its worker, if this is one: most end without what atexit knows."""
    global _closes_with_worker
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None and not _closes_with_worker and sys.modules["multiprocessing"].parent_process() is not None:
        util.Finalize(None, _close_after_threads, exitpriority=-1)  # after its own children have ended
        _closes_with_worker = True


def _close_after_threads() -> None:
    """Close all once the threads have ended for which a worker waits only later, and which may still send."""
    while others := [
        each for each in threading.enumerate() if each is not threading.current_thread() and not each.daemon
    ]:
        others[0].join()
    _close_all()


def _close_all() -> None:
    """Close orderly at the end of the interpreter, without waiting for subscribers that do not end.

    What has arrived is delivered first, so that a script may end with the send that its own subscribers hear.
    """
    begun = time.monotonic()
    ends = [(end, begun + wait) for end, wait in list(_open.items())]  # which others leave meanwhile
    for end, deadline in ends:
        with suppress(RuntimeError):  # no thread can be started any more
            end.finish(deadline)
    for end, deadline in ends:
        end.wait_ended(max(0.0, deadline - time.monotonic()))


def _forget_all() -> None:
    global _closes_with_worker
    _closes_with_worker = False
    for end in list(_open):
        end.forget()
    _open.clear()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
