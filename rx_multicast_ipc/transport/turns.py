"""A lock for each of what is opened once and shared: who opens one thing keeps nobody who opens another waiting."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from weakref import WeakValueDictionary


class Turns:
    """Locks by key, each kept for as long as somebody holds or wants it. After a fork, make another one."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal handler may open while its thread does
        self._turns: WeakValueDictionary[Hashable, threading.RLock] = WeakValueDictionary()

    def of(self, key: Hashable) -> threading.RLock:
        """The lock that whoever opens ``key`` is to hold, so that others find what was opened."""
        with self._lock:
            turn = self._turns.get(key)
            if turn is None:
                turn = self._turns[key] = threading.RLock()
            return turn
