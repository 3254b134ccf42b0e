"""Whether a stream takes nearly all that a link carries, although others want it too. Pure: time is passed in."""

from __future__ import annotations

from typing import Final

_SPAN: Final = 0.25
"""Seconds over which it is measured what comes through, at least."""

_MOST: Final = 0.7
"""The part of what the link carries that leaves too little to others."""

_LEAST_SHARE: Final = 0.1


class LinkShare:
    """What a stream gets of a link, beside what the link carries.

    That is known from when the stream was alone, or told from what becomes of its rate as its window gives way: if the
    queue is its own, nearly as much comes through; if it is of others, as much less as the window is smaller.

    Args:
        now: seconds.
    """

    def __init__(self, now: float) -> None:
        self._capacity = 0.0
        self._began_at = now
        self._seen = 0
        self._settles = False
        self._tried: tuple[float, int] | None = None

    def takes_most(self, seen: int, window: int, trip: float, now: float, *, contended: bool) -> bool:
        """Whether the window is to give way, so that others get more; asked every round trip.

        Args:
            seen: bytes of the stream that came through.
            window: bytes.
            trip: seconds of a round trip.
            now: seconds.
            contended: whether others fill the queue.
        """
        seconds = now - self._began_at
        if seconds < max(_SPAN, trip):
            return False
        rate = (seen - self._seen) / seconds
        self._began_at, self._seen = now, seen
        if self._settles:
            self._settles = False
            return False
        if self._tried is not None:
            self._learn(*self._tried, rate, window)
            self._tried = None
        if not contended:
            self._capacity = max(self._capacity, rate)
        elif rate > _MOST * self._capacity:
            self._tried = rate, window
            self._settles = True
            return True
        return False

    def _learn(self, rate_before: float, window_before: int, rate: float, window: int) -> None:
        """The window gave way: what part of the queue was its own, if that of the others stayed."""
        less = window / window_before
        kept = max(rate / rate_before, 1e-3)
        if less < 1:
            ours = min(max((1 - less / kept) / (1 - less), _LEAST_SHARE), 1.0)
            self._capacity = max(self._capacity, rate_before / ours)
