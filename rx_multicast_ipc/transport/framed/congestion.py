"""How much may be on the way, and how fast it goes out: by the delay that it causes, not by what is lost.

What a link cannot carry at once waits in its queue, and the round trip grows. The window grows while the queue is
shorter than a target, and shrinks while it is longer, as in LEDBAT (RFC 6817); it starts by doubling each round trip.
Lost packets alone say nothing: a radio link loses them without being full. While a queue stands, they say that it is
full. With several receivers, the one with the longest queue before it decides. Packets go out evenly, a window over a
round trip, so that short queues are enough.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Final

_TARGET: Final = 0.02
"""Seconds of queueing that the window aims at (RFC 6817 permits 0.1 at most): a queue of 25 packets at 10 Mbit/s
holds 0.03."""

_START: Final = 16
_LEAST: Final = 8
"""Packets in the window."""

_MOST: Final = 1 << 28
"""Bytes in the window."""

_SHORTEST_ROUND: Final = 0.001
"""Seconds: below that the clock of a busy machine says little."""

_MOST_LOST: Final = 0.05
"""The part of a window that may get lost while a queue stands."""

_BURST: Final = 10
"""Packets that may go out at once, however slow the link (RFC 6928)."""

_BURST_TIME: Final = 0.002
"""Seconds of sending that may go out at once: timers are not finer."""


class Congestion:
    """The window and the pace of one stream.

    Args:
        packet_size: bytes of a full packet.
        rate: bytes a second at most; None for no limit.
        now: seconds, as everywhere here by a clock of the caller.

    Attributes:
        window: bytes that may be on the way.
        round_trip: seconds, of the receiver furthest away; 0 before it was measured.
        holds: whether the pace limits anything.
    """

    def __init__(self, packet_size: int, rate: float | None, now: float) -> None:
        self._packet_size = packet_size
        self._rate = rate
        self.window = _START * packet_size
        self.round_trip = 0.0
        self._doubling = True
        self._limited = False
        self._lost = 0
        self._queues: dict[Hashable, float] = {}
        self._trips: dict[Hashable, float] = {}
        self._round_ends = now
        self._credit = float(_BURST * packet_size)
        self._credited_at = now
        self.holds = rate is not None

    def on_round_trip(self, receiver: Hashable, seconds: float, least: float, now: float) -> None:
        """A packet was seen by a receiver whose shortest round trip is ``least``."""
        queue = seconds - least
        self._queues[receiver] = min(self._queues.get(receiver, queue), queue)
        self._trips[receiver] = min(self._trips.get(receiver, seconds), seconds)
        if now >= self._round_ends:
            self._end_round(now)

    def on_limited(self) -> None:
        """The window kept something from being sent."""
        self._limited = True

    def on_lost(self, size: int) -> None:
        """A receiver lacks a packet."""
        self._lost += size

    def on_sent(self, size: int, now: float) -> None:
        if self.holds:
            self._accrue(now)
            self._credit -= size

    def wait(self, now: float) -> float:
        """Seconds until the next packet may go out, as far as the pace is concerned."""
        if not self.holds:
            return 0.0
        self._accrue(now)
        return 0.0 if self._credit > 0 else (self._packet_size - self._credit) / self._pace()

    def _end_round(self, now: float) -> None:
        queue, trip = max(self._queues.values()), max(self._trips.values())
        self.round_trip = trip if not self.round_trip else 0.75 * self.round_trip + 0.25 * trip
        self.holds = self._rate is not None or self.round_trip > _SHORTEST_ROUND
        if queue > _TARGET / 2:
            self._doubling = False
        off = (_TARGET - queue) / _TARGET
        if queue > _TARGET / 4 and self._lost > _MOST_LOST * self.window:
            self.window = int(0.7 * self.window)
        elif off < 0:
            self.window = int(self.window * max(0.5, 1 + off / 4))
        elif self._limited:
            self.window += self.window if self._doubling else int(2 * off * self._packet_size)
        self.window = min(max(self.window, _LEAST * self._packet_size), _MOST)
        self._limited = False
        self._lost = 0
        self._queues.clear()
        self._trips.clear()
        self._round_ends = now + max(self.round_trip, _SHORTEST_ROUND)

    def _pace(self) -> float:
        """Bytes a second."""
        pace = math.inf
        if self.round_trip > _SHORTEST_ROUND:
            pace = (2.0 if self._doubling else 1.25) * self.window / self.round_trip
        return pace if self._rate is None else min(pace, self._rate)

    def _accrue(self, now: float) -> None:
        if now == self._credited_at:
            return
        pace = self._pace()
        most = max(_BURST * self._packet_size, pace * _BURST_TIME)
        if pace == math.inf:
            self._credit = float(_BURST * self._packet_size)
        else:
            self._credit = min(most, self._credit + (now - self._credited_at) * pace)
        self._credited_at = now
