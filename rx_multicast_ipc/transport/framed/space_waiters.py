"""Threads and actions that wait until there is space to send again."""

from __future__ import annotations

import threading
from collections.abc import Callable


class SpaceWaiters:
    """All who wait for space. Used with the lock held.

    Args:
        lock: of the end. A thread that waits lets go of it meanwhile.

    Attributes:
        threads: how many wait.
        actions: that are to run once there is space; whoever runs them takes them away.
    """

    def __init__(self, lock: threading.RLock) -> None:
        self.threads = 0
        self.actions: list[Callable[[], None]] = []
        self._changed = threading.Condition(lock)

    def wait(self, seconds: float) -> None:
        """Let the calling thread wait until it is woken, so many seconds at most."""
        self.threads += 1
        try:
            self._changed.wait(seconds)
        finally:
            self.threads -= 1

    def wake_threads(self) -> None:
        """Let the threads look again."""
        if self.threads:
            self._changed.notify_all()

    def take_actions(self) -> list[Callable[[], None]]:
        """The actions, which wait no more."""
        actions, self.actions = self.actions, []
        return actions
