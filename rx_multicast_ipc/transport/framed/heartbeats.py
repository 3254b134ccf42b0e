"""When a stream says where it stands: soon after its last packet, then ever more slowly, and in the end no more."""

from __future__ import annotations

import math
from typing import Final

_FIRST: Final = 0.004
_SLOWEST: Final = 1.0
"""Seconds between beats: each time twice as many."""

_LAST: Final = 16
"""Beats after the last packet, once everybody known has everything: ten seconds, for those who are not known."""


class Beats:
    """The beats of a stream.

    Attributes:
        at: when the next is due; infinity for never.
        count: how many there were since the last packet.
    """

    def __init__(self) -> None:
        self.at = math.inf
        self.count = 0
        self._pause = _FIRST

    def on_packet(self, now: float) -> None:
        """A packet goes out: it says more than a beat."""
        self.count = 0
        self._pause = _FIRST
        self.at = now + _FIRST

    def hurry(self, now: float) -> None:
        """Begin anew: the stream is about to end."""
        self.count = 0
        self._pause = _FIRST
        self.at = min(self.at, now + _FIRST)

    def next(self, now: float, *, wanted: bool) -> bool:
        """One goes out now; whether another one will, which depends on whether somebody may want more than the last."""
        self.count += 1
        self._pause = min(2 * self._pause, _SLOWEST)
        goes_on = wanted or self.count < _LAST
        self.at = now + self._pause if goes_on else math.inf
        return goes_on
