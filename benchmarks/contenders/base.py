"""What a contender gives to be measured, and what several of them need."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

TICK = 0.001
"""Seconds between two bursts of a paced sender."""


class Sender(Protocol):
    """Sends; made in a process of its own."""

    def send(self, payload: bytes, count: int, rate: float | None) -> float:
        """Send ``count`` messages at ``rate`` a second (None: as fast as it goes); seconds that it took."""
        ...

    def close(self) -> None: ...


class Receiver(Protocol):
    """Receives, from when it is made; made in a process of its own.

    Attributes:
        count: messages received so far.
    """

    count: int

    def close(self) -> None: ...


def paced(burst: Callable[[int], None], count: int, rate: float | None) -> float:
    """Call ``burst`` with how many to send now, in even ticks; seconds that it took."""
    started = time.perf_counter()
    if rate is None:
        burst(count)
        return time.perf_counter() - started
    sent = 0
    while sent < count:
        due = min(count, int((time.perf_counter() - started) * rate) + 1)
        if due > sent:
            burst(due - sent)
            sent = due
        pause = started + (sent + 1) / rate - time.perf_counter()
        time.sleep(max(pause, min(TICK, (count - sent) / rate)))
    return time.perf_counter() - started
