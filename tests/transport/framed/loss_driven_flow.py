"""Traffic of a kind that fills queues until they overflow, as most of TCP does, beside that of an end."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from .simulation import PACKET, Node, Simulation

_C: Final = 0.4
_BETA: Final = 0.7
_LEAST: Final = 2.0
_TIMEOUT: Final = 0.3


class LossDrivenFlow:
    """CUBIC (RFC 9438) with selective acknowledgements, which has always something to send.

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
        self._window, self._threshold = 10.0, float("inf")
        self._most = self._since = 0.0
        self._on_the_way: OrderedDict[int, float] = OrderedDict()
        self._next = self._recovered = 0
        self._heard_at = network.now
        self._round_trip = 0.1
        self._estimate = 0.0
        self._send()
        self._watch()

    def _send(self) -> None:
        network = self._network
        while len(self._on_the_way) < self._window:
            number = self._next
            self._next += 1
            self._on_the_way[number] = network.now
            left = network.leave(self._beside, PACKET + 66)
            if left is not None:
                network.at(left + 2 * network.latency, lambda number=number: self._on_arrival(number))

    def _on_arrival(self, number: int) -> None:
        sent_at = self._on_the_way.pop(number, None)
        self.arrived += PACKET
        self._heard_at = self._network.now
        if sent_at is not None:
            self._round_trip = self._network.now - sent_at
        lost = [other for other in self._on_the_way if other < number - 2]
        for other in lost:
            del self._on_the_way[other]
        if lost and max(lost) >= self._recovered:
            self._cut(_BETA)
        elif self._window < self._threshold:
            self._window += 1.0
        else:
            self._grow()
        self._send()

    def _grow(self) -> None:
        since = self._network.now - self._since
        falls_for = (self._most * (1 - _BETA) / _C) ** (1 / 3)
        target = _C * (since + self._round_trip - falls_for) ** 3 + self._most
        self._estimate += 3 * (1 - _BETA) / (1 + _BETA) / self._window
        target = min(max(target, self._estimate), 1.5 * self._window)
        if target > self._window:
            self._window += (target - self._window) / self._window

    def _cut(self, to: float) -> None:
        self._most = self._window
        self._window = self._threshold = self._estimate = max(_LEAST, to * self._window)
        self._since = self._network.now
        self._recovered = self._next

    def _watch(self) -> None:
        if self._on_the_way and self._network.now - self._heard_at > max(_TIMEOUT, 2 * self._round_trip):
            self._on_the_way.clear()
            self._cut(0.1)
            self._heard_at = self._network.now
            self._send()
        self._network.at(self._network.now + 0.05, self._watch)
