"""What a run of pings found out about each peer."""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection
from itertools import pairwise
from typing import Any, Final

import msgspec

from ..message import Address
from ..strangers.bounded_map import BoundedMap

_PEERS: Final = 1_000
"""Peers that are told apart; beyond it, who has not answered for longest is forgotten."""

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
    def __init__(self, first: int, number: int) -> None:
        self.first = first
        self.number = number
        self.duplicates = 0
        self.round_trips = array("d")
        self._answered = bytearray()  # a bit a ping

    def has_answered(self, sequence: int) -> bool:
        byte, bit = divmod(sequence, 8)
        return byte < len(self._answered) and bool(self._answered[byte] >> bit & 1)

    def answers(self, sequence: int) -> None:
        byte, bit = divmod(sequence, 8)
        self._answered.extend(bytes(max(0, byte + 1 - len(self._answered))))
        self._answered[byte] |= 1 << bit


class Figures:
    """Counts pings and answers. Times are seconds on a clock of the caller's that only goes forward."""

    def __init__(self) -> None:
        self.sent = 0
        self._under_way: dict[int, float] = {}
        self._peers: BoundedMap[Address, _Peer] = BoundedMap(_PEERS)

    @property
    def forgot_some(self) -> bool:
        """Whether there were too many peers to tell of all."""
        return self._peers.forgotten > 0

    def ping(self, now: float) -> int:
        """The next ping is sent; returns its sequence number, 1 for the first."""
        self.sent += 1
        self._under_way[self.sent] = now
        self._under_way.pop(self.sent - _REMEMBERED, None)
        return self.sent

    def answer(self, peer: Address, sequence: int, now: float) -> Answer | None:
        """``peer`` answered; None for what was never asked, or too long ago."""
        sent_at = self._under_way.get(sequence)
        if sent_at is None:
            return None
        figures = self._peers.use(peer, lambda _: _Peer(sequence, len(self._peers) + self._peers.forgotten))
        duplicate = figures.has_answered(sequence)
        if duplicate:
            figures.duplicates += 1
        else:
            figures.answers(sequence)
            figures.round_trips.append(now - sent_at)
        return Answer(*peer, sequence, (now - sent_at) * 1e3, duplicate)

    def peers(self, now: float, patience: float) -> list[PeerFigures]:
        """Everybody who answered, in order of appearance; pings younger than ``patience`` seconds may still be."""
        in_order = sorted(self._peers.items(), key=lambda item: item[1].number)
        return [self._figures(address, peer, now - patience) for address, peer in in_order]

    def _figures(self, address: Address, peer: _Peer, late: float) -> PeerFigures:
        awaited = sum(at > late and not peer.has_answered(number) for number, at in self._under_way.items())
        received = len(peer.round_trips)
        sent = self.sent - awaited
        times: Any = RoundTrips.of(peer.round_trips)
        return PeerFigures(*address, sent, received, sent - received, peer.duplicates, peer.first, times)
