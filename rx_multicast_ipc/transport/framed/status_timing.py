"""When the receiver of a stream tells its sender what it has: after so many packets, or a while after one. Pure."""

from __future__ import annotations

import math
from random import Random
from typing import Final

from .repair_requests import SMALL_GROUP, MissingPackets

_EVERY: Final = 8
"""Packets, if they are of a size that fills a window soon."""

_EVERY_SMALL: Final = 64
_SMALL_PACKETS: Final = 4096
"""Packets, if eight have fewer bytes than that: the sender asks if that is too late for it."""

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
        packets, bytes: that came and were not told of.
        look_after: packets, after which to look whether to tell of them.
        owes_a_look: whether :meth:`look` is to be called.
    """

    def __init__(self, missing: MissingPackets, random: Random) -> None:
        self.at = math.inf
        self.owes_a_look = False
        self._missing = missing
        self._random = random
        self.packets = self.bytes = 0
        self.look_after = 1

    def on_packet(self, size: int, now: float) -> None:
        """A packet came."""
        self.packets += 1
        self.bytes += size
        if self.packets >= self.look_after or self.bytes >= _SMALL_PACKETS:
            self.look(now)

    def look(self, now: float) -> float:
        """Decide when to tell of what came; returns :attr:`at`."""
        missing = self._missing
        every = _EVERY if self.bytes >= _SMALL_PACKETS else _EVERY_SMALL
        self.look_after = every if missing.in_small_group else every * missing.members // SMALL_GROUP
        if self.packets >= self.look_after:
            self.at = now
        elif self.at == math.inf:
            self.at = now + self._delay * (1.0 if missing.in_small_group else 0.5 + self._random.random())
        self.owes_a_look = False
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
        self.packets = self.bytes = 0
        self.look_after = 1

    @property
    def _delay(self) -> float:
        """Seconds to an acknowledgement, so that the sender gets no more of them from a large group."""
        return min(_DELAY * max(1.0, self._missing.members / SMALL_GROUP), _SLOWEST)
