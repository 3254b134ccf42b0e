"""When the receiver of a stream tells its sender what it has: after so many packets, or a while after one. Pure."""

from __future__ import annotations

import math
from random import Random
from typing import Final

from .repair_requests import SMALL_GROUP, MissingPackets

_ENOUGH: Final = 8192
"""What is owed before it is told, in a small group: less than the least window of a sender."""

FOR_EACH: Final = 48
AT_MOST: Final = 1024
"""What is owed for a packet beside its bytes, and at most: so that it is told of eight large ones, or of 64 with 80."""

_DELAY: Final = 0.01
"""Seconds at most from a packet to its acknowledgement; more in a large group."""

_SLOWEST: Final = 1.0


class StatusTiming:
    """When a status is due, whatever it asks for besides.

    Args:
        missing: of the stream; knows how many receivers it has.
        random: for waits in a large group.

    Attributes:
        at: when; infinity for not before another packet comes.
        owed: for what came and was not told of: what :meth:`on_packet` adds to it.
        enough: as much of it, and :meth:`look` is to be called, now or a moment later.
    """

    def __init__(self, missing: MissingPackets, random: Random) -> None:
        self.at = math.inf
        self._missing = missing
        self._random = random
        self.owed = 0
        self.enough = 1

    def on_packet(self, size: int, now: float) -> None:
        """A packet came."""
        self.owed += min(size + FOR_EACH, AT_MOST)
        if self.owed >= self.enough:
            self.look(now)

    def look(self, now: float) -> float:
        """Decide when to tell of what came; returns :attr:`at`."""
        missing = self._missing
        self.enough = _ENOUGH if missing.in_small_group else _ENOUGH * missing.members // SMALL_GROUP
        if self.owed >= self.enough:
            self.at = now
        elif self.at == math.inf:
            self.at = now + self._delay * (1.0 if missing.in_small_group else 0.5 + self._random.random())
        return self.at

    def hurry(self, now: float) -> None:
        """The sender is to be told now."""
        self.at = min(self.at, now)

    def on_asked(self, now: float) -> None:
        """The sender asks: it is told at once or, in a large group, within the usual time."""
        wait = 0.0 if self._missing.in_small_group else self._random.random() * self._delay
        self.at = min(self.at, now + wait)

    def on_told(self) -> None:
        """The sender is told of everything that came."""
        self.at = math.inf
        self.owed, self.enough = 0, 1

    @property
    def _delay(self) -> float:
        """Seconds to an acknowledgement, so that the sender gets no more of them from a large group."""
        return min(_DELAY * max(1.0, self._missing.members / SMALL_GROUP), _SLOWEST)
