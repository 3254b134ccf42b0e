"""How long to wait between the messages of a capture, whatever its clock did."""

from __future__ import annotations

from math import inf
from typing import Final

DEFAULT_LONGEST_GAP: Final = 60.0
"""Seconds. What is longer in a capture is more often a clock that was set than silence worth waiting for."""

_STEP: Final = 86_400.0
"""Seconds. A gap of more than a day is a step of the capture's clock, of which nobody knows how long it took."""

_DISORDER: Final = 0.1
"""Seconds by which packets of several queues or processors may be captured out of order."""


class Gaps:
    """The gap before each message of a capture, from the times that the capture gives.

    A time that is earlier than the one before has no gap: packets were captured out of order, or the clock was set
    back. So has one beside a message without a time, which is 0. Where times fall back and return, as where two clocks
    are mixed in one file, the gap is counted from the latest time that there was.

    Args:
        longest: seconds; a longer gap counts as this long, and one of more than a day is none. If infinite, every gap
            is kept.
    """

    def __init__(self, longest: float = inf) -> None:
        self._longest = longest
        self._last = 0.0
        self._latest = 0.0

    def before(self, time: float) -> float:
        """Seconds to wait before the message that was captured at ``time``."""
        if time == 0:
            return 0.0
        last, latest = self._last, self._latest
        if latest - _DISORDER <= time <= latest:
            return 0.0
        self._last = time
        if time > latest:
            self._latest = time
            return self._bounded(time - latest) if latest else 0.0
        return self._bounded(time - last)

    def _bounded(self, gap: float) -> float:
        if gap <= 0 or (gap > _STEP and self._longest < inf):
            return 0.0
        return min(gap, self._longest)
