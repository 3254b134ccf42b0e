"""Traffic of a kind that sends as much as it takes the link to hold, as TCP with BBR, beside that of an end."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from .simulation import PACKET, Node, Simulation

_SIZE: Final = PACKET + 66
_BEGIN: Final = 2.885
"""The gain by which it doubles its rate each round trip."""

_CYCLE: Final = (1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
_ROUNDS: Final = 10
"""Round trips for which the highest rate is remembered."""

_MEMORY: Final = 10.0
"""Seconds for which the shortest round trip is."""

_PAUSE: Final = 0.2
"""Seconds for which it nearly stops, to see that one again."""

_LEAST: Final = 4
"""Packets in its window."""


class ModelDrivenFlow:
    """BBR (draft-cardwell-iccrg-bbr-congestion-control-00), which has always something to send.

    Args:
        network: with a bandwidth.
        beside: the end whose link it shares.

    Attributes:
        arrived: bytes so far.
    """

    def __init__(self, network: Simulation, beside: Node) -> None:
        self.arrived = 0
        self._network = network
        self._beside = beside
        self._on_the_way: OrderedDict[int, tuple[float, int, float]] = OrderedDict()
        self._next = 0
        self._heard_at = self._phase_began = self._next_at = network.now
        self._round = self._round_ends = 0
        self._rates: dict[int, float] = {}
        self._trip, self._trip_at = float("inf"), network.now
        self._gain = _BEGIN
        self._phase = -2  # -2 begins, -1 drains, then which of the cycle
        self._full_rate, self._full_rounds = 0.0, 0
        self._paused_until = 0.0
        self._waits = self._stopped = False
        self._send()
        self._watch()

    def stop(self) -> None:
        """Send nothing more."""
        self._stopped = True

    @property
    def _rate(self) -> float:
        return max(self._rates.values(), default=0.0)

    @property
    def _held(self) -> float:
        """Packets that the link holds."""
        return self._rate * self._trip / _SIZE if self._rates else 10.0

    @property
    def _window(self) -> float:
        if self._paused_until:
            return _LEAST
        return max(_LEAST, (_BEGIN if self._phase < 0 else 2.0) * self._held)

    def _send(self) -> None:
        network = self._network
        while len(self._on_the_way) < self._window and not self._stopped:
            if network.now < self._next_at:
                if not self._waits:
                    self._waits = True
                    network.at(self._next_at, self._go_on)
                return
            number = self._next
            self._next += 1
            self._on_the_way[number] = network.now, self.arrived, self._heard_at
            self._next_at = network.now + (_SIZE / (self._gain * self._rate) if self._rates else 0.0)
            left = network.leave(self._beside, _SIZE)
            if left is not None:
                network.at(left + 2 * network.latency, lambda number=number: self._on_arrival(number))

    def _go_on(self) -> None:
        self._waits = False
        self._send()

    def _on_arrival(self, number: int) -> None:
        now = self._network.now
        self.arrived += _SIZE
        self._heard_at = now
        sent = self._on_the_way.pop(number, None)
        for other in [other for other in self._on_the_way if other < number - 2]:
            del self._on_the_way[other]
        if sent is not None:
            sent_at, arrived, heard_at = sent
            if arrived >= self._round_ends:
                self._round += 1
                self._round_ends = self.arrived
                self._rates = {when: rate for when, rate in self._rates.items() if when > self._round - _ROUNDS}
                self._end_round()
            rate = (self.arrived - arrived) / max(now - heard_at, 1e-6)
            self._rates[self._round] = max(self._rates.get(self._round, 0.0), rate)
            self._on_trip(now - sent_at, now)
        self._turn(now)
        self._send()

    def _on_trip(self, seconds: float, now: float) -> None:
        is_old = now - self._trip_at > _MEMORY
        if seconds <= self._trip or (is_old and self._paused_until):
            self._trip, self._trip_at = seconds, now
        elif is_old and not self._paused_until:
            self._paused_until = now + _PAUSE + 2 * self._network.latency
        if self._paused_until and now >= self._paused_until:
            self._paused_until, self._trip_at = 0.0, now

    def _end_round(self) -> None:
        """As long as it begins: whether the link is full."""
        if self._rate > 1.25 * self._full_rate:
            self._full_rate, self._full_rounds = self._rate, 0
        else:
            self._full_rounds += 1
        if self._phase == -2 and self._full_rounds >= 3:
            self._phase, self._gain = -1, 1 / _BEGIN

    def _turn(self, now: float) -> None:
        inflight = len(self._on_the_way)
        if self._phase == -2:
            return
        lasted = now - self._phase_began > self._trip
        if self._phase == -1:
            ends = inflight <= self._held
        elif self._gain > 1:
            ends = lasted and inflight >= 1.25 * self._held
        else:
            ends = lasted or (self._gain < 1 and inflight <= self._held)
        if ends:
            self._phase = (self._phase + 1) % len(_CYCLE)
            self._phase_began, self._gain = now, _CYCLE[self._phase]

    def _watch(self) -> None:
        if self._on_the_way and self._network.now - self._heard_at > 0.5:
            self._on_the_way.clear()
            self._heard_at = self._network.now
            self._send()
        self._network.at(self._network.now + 0.05, self._watch)
