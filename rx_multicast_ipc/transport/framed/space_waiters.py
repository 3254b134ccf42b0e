"""Threads and actions that wait until there is space to send again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from ..latch import Latch


class SpaceWaiters:
    """All who wait for space. Used with the lock of the end held, but for :meth:`pass_on`.

    Args:
        lock: of the end.

    Attributes:
        threads: that wait: each of them beside the lock, until what it waits for is set.
        actions: that are to run once there is space.
    """

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self.threads: list[Latch] = []
        self.actions: list[Callable[[], None]] = []

    def new_thread(self) -> Latch:
        """What a thread that is to wait has to wait for, without the lock, for a while; then it is to be forgotten."""
        latch = Latch()
        self.threads.append(latch)
        return latch

    def forget_thread(self, latch: Latch) -> None:
        """A thread waits no more, or looks itself."""
        with suppress(ValueError):  # it was woken
            self.threads.remove(latch)

    def wake_threads(self) -> None:
        """Let the threads look again."""
        while self.threads:
            self.threads.pop().set()

    def pass_on(self, run: Callable[[Callable[[], None]], None]) -> None:
        """Have the actions that wait by now run: each is passed to ``run``, and waits no more.

        From any thread, with the lock or without; ``run`` is called as this is.
        """
        actions: list[Callable[[], None]] = []
        try:
            with self._lock:
                actions, self.actions = self.actions, []
            while actions:
                run(actions[0])
                del actions[0]
        except BaseException:
            with self._lock:
                self.actions[:0] = actions  # the one amid it, too: to look again costs less than to wait for ever
            raise
