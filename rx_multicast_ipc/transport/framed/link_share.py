"""Whether a stream takes nearly all that a link carries, although others want it too. Pure: time is passed in."""

from __future__ import annotations

from typing import Final

_SPAN: Final = 0.25
"""Seconds over which it is measured what comes through, at least."""

_MOST: Final = 0.7
"""The part of what the link carries that leaves too little to others."""

_LEAST_SHARE: Final = 0.1

_LEAST_KEPT: Final = 0.9
"""The part of the rate that is kept at least, beside the part of the window, where the window is what limits it."""


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
        self._rate = 0.0
        self._tried: tuple[float, int] | None = None

    def takes_most(self, seen: int, window: int, trip: float, now: float, *, contended: bool) -> bool:
        """Whether it does, so that its window is to give way if that is what limits it; asked every round trip.

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
        self._rate = rate
        return contended and rate > _MOST * self._capacity

    def on_gave_way(self, window: int) -> None:
        """The window, of so many bytes before, gives way to that."""
        self._tried = self._rate, window
        self._settles = True

    def _learn(self, rate_before: float, window_before: int, rate: float, window: int) -> None:
        """The window gave way: what part of the queue was its own, if that of the others stayed."""
        less = window / window_before
        kept = rate / rate_before
        if less < 1 and kept > _LEAST_KEPT * less:  # what others take is no more than that; the sender paused
            ours = min(max((1 - less / kept) / (1 - less), _LEAST_SHARE), 1.0)
            self._capacity = max(self._capacity, rate_before / ours)
