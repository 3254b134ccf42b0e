"""How much may be on the way, and how fast it goes out: by the delay that it causes, and not by losses alone.

What a link cannot carry at once waits in its queue, and the round trip grows. The window grows while the queue is
shorter than a target, and shrinks while it is longer, as in LEDBAT (RFC 6817); it starts by doubling each round trip.
Lost packets alone say nothing: a radio link loses them without being full. While a queue stands they say that it is
full, and the window gives way as TCP's does, but never below what the link holds without a queue.

A queue of our own gets shorter as the window shrinks, and no less comes through. Where less does, and the queue stays,
it is somebody else's: of traffic that fills it until it overflows, as most of TCP does. Who gave way to that would get
nothing. So the window is then the one from before, and grows and gives way as such traffic does (CUBIC, RFC 9438);
after a while it is tried anew whether the other one has gone. Traffic that fills no queue, as TCP with BBR, would
then get nothing in a deep one: so the window gives way, too, where most of the queue is ours, as :mod:`.link_share`
tells.

With several receivers, the one with the longest queue before it decides. Packets go out evenly, a window over a round
trip, so that short queues are enough.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Final

from .link_share import PART, LinkShare, Turn

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

_CUT: Final = 0.7
"""What is left of a window in which something got lost while a queue stood, at least."""

_CUT_FIRST: Final = 0.4
"""The same for the first time, after the window has doubled."""

_GROWTH: Final = 0.4
"""Packets a cubic second, by which the window grows beside traffic that fills queues: CUBIC's C."""

_PATIENCE: Final = 8
"""Round trips for which the window shrinks before it is looked whether that helped."""

_OURS: Final = 0.7
"""The part of its rate that a stream keeps at least while its window shrinks, if the queue is its own."""

_STRIFE: Final = 100
"""Round trips until it is tried again."""

_BURST: Final = 10
"""Packets that may go out at once, however slow the link (RFC 6928)."""

_SHORTEST_ACCRUAL: Final = 0.0005
"""Seconds that the right to send accrues for at a time, as long as there is some."""

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
        self._queue_before = 0.0
        self._limited = False
        self._lost = False
        self._shrinking = 0  # round trips
        self._strife = 0  # round trips left
        self._window_before = 0
        self._rate_before = 0.0
        self._seen = self._seen_before = 0
        self._round_began = now
        self._longest_trip = 0.0
        self._is_newcomer = True
        self._gave_way = False
        self._most = 0.0
        self._gave_way_at = now
        self._share = LinkShare(now)
        # The window, its most, and seconds since it gave way.
        self._before_trial: tuple[int, float, float] = self.window, 0.0, 0.0
        self._queues: dict[Hashable, float] = {}
        self._trips: dict[Hashable, float] = {}
        self._round_ends = now
        self._credit = float(_BURST * packet_size)
        self._credited_at = now
        self.holds = rate is not None

    def on_round_trip(self, receiver: Hashable, seconds: float, least: float, seen: int, now: float) -> None:
        """A receiver whose shortest round trip is ``least`` saw a packet, up to byte ``seen`` of the stream."""
        self._seen = max(self._seen, seen)
        queue = seconds - least
        self._queues[receiver] = min(self._queues.get(receiver, queue), queue)
        self._trips[receiver] = min(self._trips.get(receiver, seconds), seconds)
        if now >= self._round_ends:
            self._end_round(now)

    def on_limited(self) -> None:
        """The window kept something from being sent."""
        self._limited = True

    def on_lost(self, sent_at: float) -> None:
        """A receiver lacks a packet that went out then, for the first time."""
        if sent_at > self._gave_way_at:  # else the window has given way to that
            self._lost = True

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
        rate = (self._seen - self._seen_before) / max(now - self._round_began, 1e-6)
        self._seen_before, self._round_began = self._seen, now
        queue, trip = max(self._queues.values()), max(self._trips.values())
        self.round_trip = trip if not self.round_trip else 0.75 * self.round_trip + 0.25 * trip
        self.holds = self._rate is not None or self.round_trip > _SHORTEST_ROUND
        standing, self._queue_before = min(queue, self._queue_before), queue
        if standing > _TARGET / 2:
            self._doubling = False
        if self._lost and (queue if self._doubling else standing) > _TARGET / 4:
            if self._strife:
                self.window = self._before_trial[0] if self._share.tries else self.window
                self._share.on_overflow(self._seen, now)
            self._give_way(max(_CUT if self._gave_way or self._strife else _CUT_FIRST, 1 - queue / trip), now)
        elif self._strife:
            self._longest_trip = max(self._longest_trip, trip)
            self._strife -= 1
            if queue < _TARGET / 2 and trip < self._longest_trip / 2:
                self._strife = 0  # the queue was emptied
            if self._is_newcomer and rate > self._rate_before / 2:
                self._is_newcomer = False  # it has its share
                self._most, self._gave_way_at = float(self.window), now
            self._share_link(trip, now)
            if not self._share.tries:
                self._grow_beside_others(now)
        elif standing > _TARGET:
            self._shrink(queue, rate, now)
        else:
            self._shrinking, self._is_newcomer = 0, True
            if self._limited and queue < (_TARGET / 2 if self._doubling else _TARGET):
                self._grow(queue)
        self.window = min(max(self.window, _LEAST * self._packet_size), _MOST)
        self._limited = False
        self._lost = False
        self._queues.clear()
        self._trips.clear()
        self._round_ends = now + max(self.round_trip, trip, _SHORTEST_ROUND)

    def _give_way(self, part: float, now: float) -> None:
        """The queue is full: keep a part of the window."""
        self._most, self._gave_way_at = float(self.window), now
        self._is_newcomer, self._gave_way, self._doubling = False, True, False
        self.window = int(part * self.window)
        self._window_before = int(part * self._window_before)

    def _share_link(self, trip: float, now: float) -> None:
        """Let others that fill no queue have a part of the link."""
        turn = self._share.look(self._seen, trip, now, limited=self._limited and not self._is_newcomer)
        if turn is Turn.BEGINS:
            self._before_trial = self.window, self._most, now - self._gave_way_at
            self.window = int(PART * self.window)
        elif turn is not Turn.NONE:
            self.window, self._most, since = self._before_trial
            self._gave_way_at = now - since
            if turn is Turn.OURS:
                self._give_way(PART, now)

    def _grow(self, queue: float) -> None:
        """The queue is shorter than it should be."""
        if self._doubling:
            self.window += self.window
            return
        self.window += int(2 * (_TARGET - queue) / _TARGET * self._packet_size)
        if queue < _TARGET / 2:  # what made it shrink was no queue, but a receiver that came late to its packets
            self.window = max(self.window, (self.window + self._window_before) // 2)

    def _shrink(self, queue: float, rate: float, now: float) -> None:
        """The queue is longer than it should be."""
        if not self._shrinking:
            self._window_before, self._rate_before = self.window, rate
        self._shrinking += 1
        if self._shrinking % _PATIENCE or rate > _OURS * self._rate_before:
            self.window = int(self.window * max(0.5, 1 + (_TARGET - queue) / _TARGET / 4))
        else:  # and it is not ours
            self._shrinking, self._strife, self._longest_trip = 0, _STRIFE, 0.0
            self.window = self._window_before
            self._share.restart(self._seen, now)
            self._most, self._gave_way_at = float(self.window), now

    def _grow_beside_others(self, now: float) -> None:
        if not self._limited:
            return
        if self._is_newcomer:  # as TCP begins
            self.window += self.window // 2
            return
        most = self._most / self._packet_size
        falls_for = (most * (1 - _CUT) / _GROWTH) ** (1 / 3)
        target = _GROWTH * (now - self._gave_way_at + self.round_trip - falls_for) ** 3 + most
        least = self.window + self._packet_size // 2  # as TCP did before CUBIC, which gave way further
        self.window = int(min(max(target * self._packet_size, least), 1.5 * self.window))

    def _pace(self) -> float:
        """Bytes a second."""
        pace = math.inf
        if self.round_trip > _SHORTEST_ROUND:
            pace = (2.0 if self._doubling else 1.25) * self.window / self.round_trip
        return pace if self._rate is None else min(pace, self._rate)

    def _accrue(self, now: float) -> None:
        if now - self._credited_at < _SHORTEST_ACCRUAL and self._credit > 0:
            return  # later, all at once
        pace = self._pace()
        most = max(_BURST * self._packet_size, pace * _BURST_TIME)
        if pace == math.inf:
            self._credit = float(_BURST * self._packet_size)
        else:
            self._credit = min(most, self._credit + (now - self._credited_at) * pace)
        self._credited_at = now
