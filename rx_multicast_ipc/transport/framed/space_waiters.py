"""Threads and actions that wait until there is space to send again."""

from __future__ import annotations

from collections.abc import Callable

from ..latch import Latch


class SpaceWaiters:
    """All who wait for space. Used with the lock of the end held.

    Attributes:
        threads: that wait: each of them beside the lock, until what it waits for is set.
        actions: that are to run once there is space.
    """

    def __init__(self) -> None:
        self.threads: list[Latch] = []
        self.actions: list[Callable[[], None]] = []

    def new_thread(self) -> Latch:
        """What a thread that is to wait has to wait for, without the lock; it looks itself from time to time."""
        latch = Latch()
        self.threads.append(latch)
        return latch

    def wake_threads(self) -> None:
        """Let the threads look again."""
        while self.threads:
            self.threads.pop().set()

    def pass_on(self, run: Callable[[Callable[[], None]], None]) -> None:
        """Have the actions that wait by now run: each is passed to ``run``, and waits no more."""
        for _ in range(len(self.actions)):
            if not self.actions:  # `run` passed them on itself
                break
            action = self.actions[0]
            del self.actions[0]  # no call in between
            try:
                run(action)
            except BaseException:
                self.actions.insert(0, action)  # to look once more costs less than to wait for ever
                raise
