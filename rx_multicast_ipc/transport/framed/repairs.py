"""The packets of a stream that are to be sent again: which, and when."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from .congestion import Congestion
from .sent_packets import SentPackets

_LEAST_HOLD_OFF: Final = 0.001
"""Seconds between two repairs of one packet, at least."""

_PROMPT: Final = 2
"""Repairs of one packet that go out as soon as may be; before each further one, twice as long a wait."""

_MOST_PATIENT: Final = 16

_UNKNOWN_TRIP: Final = 0.05
"""Seconds that a round trip may take, before it was measured."""


class Repairs:
    """What receivers lack, on its way out: a window of it each round trip at most.

    Args:
        sent: where the packets are.
        congestion: of the stream.

    Attributes:
        repeated: packets that were sent again.
        at: when the next may go out, if there is one.
        numbers: of those that wait to go out.
    """

    def __init__(self, sent: SentPackets, congestion: Congestion) -> None:
        self.repeated = 0
        self.at = 0.0
        self._sent = sent
        self._congestion = congestion
        self.numbers: deque[int] = deque()
        self._queued: set[int] = set()
        self._credit = 0
        self._credit_at = -math.inf

    def __bool__(self) -> bool:
        return bool(self.numbers)

    def ask(self, number: int, missing: int, hold_off: float, now: float) -> None:
        """Queue what is missing, unless a repair may be on its way to whoever asks.

        Args:
            number: of the first bit.
            missing: a bitmap.
            hold_off: seconds that a repair may be on its way.
            now: seconds.
        """
        hold_off = max(hold_off, _LEAST_HOLD_OFF)
        while missing:
            skipped = (missing & -missing).bit_length() - 1
            number += skipped
            sent = self._sent.get(number)
            if (
                sent is not None
                and number not in self._queued
                and now - self._sent.again_at.get(number, -math.inf) >= hold_off * self._patience_with(number)
            ):
                if number not in self._sent.again_at:
                    self._congestion.on_lost(sent.sent_at)
                self.numbers.append(number)
                self._queued.add(number)  # last: one that is only here would never go out
            missing >>= skipped + 1
            number += 1

    def take(self, now: float) -> list[bytes]:
        """Those that may go out now."""
        congestion = self._congestion
        round_trip = max(congestion.round_trip or _UNKNOWN_TRIP, _LEAST_HOLD_OFF)
        if now - self._credit_at >= round_trip:
            self._credit_at, self._credit = now, congestion.window
        ready: list[bytes] = []
        while self.numbers:
            wait = congestion.wait(now)
            if self._credit <= 0:
                wait = max(wait, self._credit_at + round_trip - now, 1e-6)
            if wait:
                self.at = now + wait
                break
            number = self.numbers[0]
            self._queued.discard(number)
            self.numbers.popleft()
            sent = self._sent.get(number)
            if sent is None:
                continue  # too late
            self._sent.again_at[number] = now
            self._sent.times_again[number] = self._sent.times_again.get(number, 0) + 1
            self.repeated += 1
            self._credit -= len(sent.packet)
            congestion.on_sent(len(sent.packet), now)
            ready.append(sent.packet)
        return ready

    def _patience_with(self, number: int) -> int:
        """How many times longer than the first time to wait, before a packet goes out yet again.

        Where repairs get lost again and again, the way is full, and the round trip longer than it was measured.
        """
        times = self._sent.times_again.get(number, 0)
        return 1 if times <= _PROMPT else min(1 << times - _PROMPT, _MOST_PATIENT)

    def on_the_way(self, now: float) -> int:
        """Bytes of the repairs of the last round trip: they are in the queues as well."""
        if now - self._credit_at >= 2 * self._congestion.round_trip:
            return 0
        return max(0, self._congestion.window - self._credit)
