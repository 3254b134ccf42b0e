"""A lock that lets a test do something at the very moment at which it is released."""

from __future__ import annotations

import threading
from collections.abc import Callable


class InterposedLock:
    """Stands in for ``threading.Lock``, made by :func:`interposed`."""

    def __init__(self, before: Callable[[], None], after: Callable[[], None]) -> None:
        self._lock = threading.Lock()
        self._before = before
        self._after = after
        self.locked = self._lock.locked
        self.acquire = self._lock.acquire

    def release(self) -> None:
        self._before()
        self._lock.release()
        self._after()


class Moment:
    """Something that is to be done once, when it is reached after being armed."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self.armed = False

    def __call__(self) -> None:
        if self.armed:
            self.armed = False
            self._action()
