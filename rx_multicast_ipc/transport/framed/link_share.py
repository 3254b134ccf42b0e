"""Whether most of a queue that others fill, too, is a stream's own: told by a smaller window. Pure: time is passed in.

A queue lets through of each as it holds of each. So a smaller window lets as much less through where nearly all of the
queue is of others, and hardly less where nearly all is the stream's own. A trial tells, a few seconds apart; where it
was in vain, the window is then what it was. Nothing is remembered of the link: it may become slower or faster.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Final

PART: Final = 0.7
"""What the window is to be of what it was, for a trial."""

_MOST: Final = 0.7
"""The part of the queue that leaves too little to others."""

_KEPT: Final = PART / (1 - _MOST * (1 - PART))
"""The part of the rate that is kept where that much of the queue is the stream's own."""

_SPAN: Final = 0.25
"""Seconds over which it is measured what comes through, at least."""

_PAUSE: Final = 16
_AFTER_OVERFLOW: Final = 40
"""Spans from a trial in vain, or a queue that overflowed, to the next trial."""


class Turn(Enum):
    """What is to be done.

    Attributes:
        NONE: nothing.
        BEGINS: make the window :data:`PART` of what it is, for a trial.
        OURS: leave it so. The trial is over, and most of the queue was the stream's own.
        OTHERS: make it what it was. The trial is over, in vain.
    """

    NONE = auto()
    BEGINS = auto()
    OURS = auto()
    OTHERS = auto()


class LinkShare:
    """The trials of a stream.

    Args:
        now: seconds.

    Attributes:
        tries: whether one is under way, so that the window is to stay as it is.
    """

    def __init__(self, now: float) -> None:
        self.tries = False
        self._settles = False
        self._pause: int = 0
        self._began_at: float = now
        self._seen_before: int = 0
        self._rate: float = 0.0

    def look(self, seen: int, trip: float, now: float, *, limited: bool) -> Turn:
        """Begin a trial, or end it; called every round trip.

        Args:
            seen: bytes of the stream that came through.
            trip: seconds of a round trip.
            now: seconds.
            limited: whether the window was what limited the stream.
        """
        if not limited:
            tried = self.tries
            self.restart(seen, now)
            return Turn.OTHERS if tried else Turn.NONE
        seconds = now - self._began_at
        if seconds < max(_SPAN, trip):
            return Turn.NONE
        rate, rate_before = (seen - self._seen_before) / seconds, self._rate
        self._began_at, self._seen_before, self._rate = now, seen, rate
        if self.tries:
            if self._settles:
                self._settles, self._rate = False, rate_before
                return Turn.NONE
            self.tries = False
            if rate > _KEPT * rate_before:
                return Turn.OURS
            self._pause = _PAUSE
            return Turn.OTHERS
        if self._pause:
            self._pause -= 1
            return Turn.NONE
        self.tries = self._settles = True
        return Turn.BEGINS

    def restart(self, seen: int, now: float) -> None:
        """What was measured tells nothing."""
        self.tries = False
        self._began_at, self._seen_before = now, seen

    def on_overflow(self, seen: int, now: float) -> None:
        """The queue has overflowed, and the window gave way to that: who else is there fills it."""
        self.restart(seen, now)
        self._pause = _AFTER_OVERFLOW
