"""Something that happens once, and that many may wait for."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Final

_LONGEST_WAIT: Final = 0.1
"""Seconds: one that was interrupted as it passed the latch on is made up for after this."""


class Latch:
    """Closed until it is set; then open for good.

    Not ``threading.Event``, whose lock a signal that interrupts a wait can leave held.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self._is_set = False

    @property
    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        """Let all pass who wait; idempotent."""
        self._is_set = True
        if self._lock.locked():
            with suppress(RuntimeError):  # somebody else did
                self._lock.release()

    def wait(self, seconds: float) -> bool:
        """Wait until it is set, for so many seconds at most; whether it is."""
        deadline = time.monotonic() + seconds
        while not self._is_set:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            if self._lock.acquire(timeout=min(left, _LONGEST_WAIT)):
                with suppress(RuntimeError):  # a second set() did, which found it locked by this wait
                    self._lock.release()
        return self._is_set
