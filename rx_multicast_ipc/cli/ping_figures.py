"""What a run of pings found out about each peer."""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection
from itertools import pairwise
from typing import Any, Final

import msgspec

from ..message import Address

_REMEMBERED: Final = 10_000
"""Pings whose answers are still taken; an answer to an older one counts as lost."""


class RoundTrips(msgspec.Struct, frozen=True):
    """Round-trip times, in milliseconds.

    Attributes:
        minimum, median, maximum: of all.
        p99: 99 of 100 were no longer (nearest rank).
        jitter: the mean absolute difference of two successive ones: the D of RFC 3550 section 6.4.1, averaged over
            all instead of smoothed; 0 for a single one.
    """

    minimum: float
    median: float
    p99: float
    maximum: float
    jitter: float

    @classmethod
    def of(cls, seconds: Collection[float]) -> RoundTrips:
        """Of at least one, in seconds and in order of arrival."""
        times = [second * 1e3 for second in seconds]
        ordered = sorted(times)
        count = len(ordered)
        steps = [abs(after - before) for before, after in pairwise(times)]
        return cls(
            minimum=ordered[0],
            median=(ordered[(count - 1) // 2] + ordered[count // 2]) / 2,
            p99=ordered[math.ceil(0.99 * count) - 1],
            maximum=ordered[-1],
            jitter=sum(steps) / len(steps) if steps else 0.0,
        )


class PeerFigures(msgspec.Struct, frozen=True):
    """What is known about one peer at the end.

    Attributes:
        address, port: where it answers from.
        sent: pings that it was sent and has had time to answer.
        received: of these, answered.
        lost: of these, not answered.
        duplicates: answers beyond the first to a ping.
        first: the first ping that it answered: more than 1 for one that came late, or lost the first.
        ms: round trips.
    """

    address: str
    port: int
    sent: int
    received: int
    lost: int
    duplicates: int
    first: int
    ms: RoundTrips


class Answer(msgspec.Struct, frozen=True):
    """One answer.

    Attributes:
        address, port: whose.
        sequence: to which ping.
        ms: round trip, in milliseconds.
        duplicate: whether this peer had answered this ping before.
    """

    address: str
    port: int
    sequence: int
    ms: float
    duplicate: bool


class _Peer:
    def __init__(self, first: int) -> None:
        self.first = first
        self.duplicates = 0
        self.round_trips = array("d")


class Figures:
    """Counts pings and answers. Times are seconds on a clock of the caller's that only goes forward."""

    def __init__(self) -> None:
        self.sent = 0
        self._under_way: dict[int, tuple[float, set[Address]]] = {}
        self._peers: dict[Address, _Peer] = {}

    def ping(self, now: float) -> int:
        """The next ping is sent; returns its sequence number, 1 for the first."""
        self.sent += 1
        self._under_way[self.sent] = now, set()
        self._under_way.pop(self.sent - _REMEMBERED, None)
        return self.sent

    def answer(self, peer: Address, sequence: int, now: float) -> Answer | None:
        """``peer`` answered; None for what was never asked, or too long ago."""
        if sequence not in self._under_way:
            return None
        sent_at, answered = self._under_way[sequence]
        figures = self._peers.setdefault(peer, _Peer(sequence))
        duplicate = peer in answered
        answered.add(peer)
        if duplicate:
            figures.duplicates += 1
        else:
            figures.round_trips.append(now - sent_at)
        return Answer(*peer, sequence, (now - sent_at) * 1e3, duplicate)

    def peers(self, now: float, patience: float) -> list[PeerFigures]:
        """Everybody who answered, in order of appearance; pings younger than ``patience`` seconds may still be."""
        return [self._figures(address, peer, now - patience) for address, peer in self._peers.items()]

    def _figures(self, address: Address, peer: _Peer, late: float) -> PeerFigures:
        awaited = sum(sent_at > late and address not in answered for sent_at, answered in self._under_way.values())
        received = len(peer.round_trips)
        sent = self.sent - awaited
        times: Any = RoundTrips.of(peer.round_trips)
        return PeerFigures(*address, sent, received, sent - received, peer.duplicates, peer.first, times)
