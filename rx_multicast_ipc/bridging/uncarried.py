"""What a bridge that stands by has heard, and nobody carried yet."""

from __future__ import annotations

from collections import deque
from typing import Final

MOST: Final = 65_536
"""Messages that are remembered; more are not counted."""


class Uncarried:
    """Messages of one direction that wait to be seen on the other side, by the hashes of their payloads.

    A copy may be heard before the message that it is of, for they come by different sockets.

    Args:
        window: seconds after which a message is not waited for any more.
    """

    def __init__(self, window: float) -> None:
        self._window = window
        self._messages: dict[int, deque[float]] = {}
        self._copies: dict[int, deque[float]] = {}
        self._held = 0

    def hear(self, payload: bytes, now: float) -> None:
        """A message that is to be carried."""
        self._match(payload, now, self._copies, self._messages)

    def hear_copy(self, payload: bytes, now: float) -> None:
        """A message that was carried."""
        self._match(payload, now, self._messages, self._copies)

    def count(self, now: float) -> int:
        """Messages that nobody carried."""
        self.forget_old(now)
        return sum(map(len, self._messages.values()))

    def clear(self) -> None:
        """Begin anew."""
        self._messages.clear()
        self._copies.clear()
        self._held = 0

    def forget_old(self, now: float) -> None:
        """Let go of what is too old."""
        for kept in (self._messages, self._copies):
            for key in [key for key, times in kept.items() if now - times[0] > self._window]:
                times = kept[key]
                while times and now - times[0] > self._window:
                    times.popleft()
                    self._held -= 1
                if not times:
                    del kept[key]

    def _match(self, payload: bytes, now: float, others: dict[int, deque[float]], own: dict[int, deque[float]]) -> None:
        key = hash(payload)
        times = others.get(key)
        if times:
            times.popleft()
            self._held -= 1
            if not times:
                del others[key]
        elif self._held < MOST:
            own.setdefault(key, deque()).append(now)
            self._held += 1
