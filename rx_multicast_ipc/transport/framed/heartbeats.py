"""When a stream says where it stands: soon after its last packet, then ever more slowly, and in the end no more."""

from __future__ import annotations

import math
from typing import Final

_FIRST: Final = 0.004
_SLOWEST: Final = 1.0
"""Seconds between beats: each time twice as many."""

_DOUBLINGS: Final = 8
"""After so many it is the slowest."""

_LAST: Final = 16
"""Beats after the last packet, once everybody known has everything: ten seconds, for those who are not known."""


class Beats:
    """The beats of a stream.

    Attributes:
        at: when to look whether one is due; infinity for never.
        count: how many there were since the last packet.
        packet_at: when that went out. Who sends one notes it here, or calls :meth:`on_packet` where ``count`` is not 0.
    """

    def __init__(self) -> None:
        self.at = math.inf
        self.count = _LAST
        self.packet_at = -math.inf

    def on_packet(self, now: float) -> None:
        """A packet goes out: it says more than a beat."""
        self.packet_at = now
        self.at = now + _FIRST
        self.count = 0

    def hurry(self, now: float) -> None:
        """Begin anew: the stream is about to end."""
        self.count = 0
        self.at = min(self.at, now + _FIRST)

    def ask(self, now: float) -> None:
        """One is wanted now, whatever went out."""
        self.packet_at = -math.inf
        self.at = min(self.at, now)

    def is_due(self, now: float) -> bool:
        """Whether one is to go out now; if packets did since ``at`` was set, that is put off."""
        if now < self.at:
            return False
        if not self.count and self.packet_at + _FIRST > now:
            self.at = self.packet_at + _FIRST
            return False
        return True

    def next(self, now: float, *, wanted: bool) -> bool:
        """One goes out now; whether another one will, which depends on whether somebody may want more than the last."""
        self.count += 1
        goes_on = wanted or self.count < _LAST
        self.at = now + min(_FIRST * 2 ** min(self.count, _DOUBLINGS), _SLOWEST) if goes_on else math.inf
        return goes_on
