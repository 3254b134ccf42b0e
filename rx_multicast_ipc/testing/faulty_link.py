"""A bad link, seeded: what becomes of each datagram that comes by it."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from random import Random
from typing import TypedDict

import msgspec

from ..errors import InvalidOption
from ..message import Message
from ..validation.arguments import is_number, shown


class FaultOptions(TypedDict, total=False):
    """The keywords of :class:`FaultyTransport`: what goes wrong on the way to it; nothing by default.

    Attributes:
        loss: the fraction of datagrams that get lost, 0 to 1.
        duplication: the fraction that arrive twice.
        reordering: the fraction that the next datagram overtakes, unless none comes within 0.1 s.
        corruption: the fraction that arrive with one bit flipped.
        latency: seconds that everything is late, beside the time that it takes anyway.
        jitter: up to so many seconds more, drawn for each datagram. It does not change their order.
        seed: of all that is drawn.
    """

    loss: float
    duplication: float
    reordering: float
    corruption: float
    latency: float
    jitter: float
    seed: int | str


class FaultCounts(msgspec.Struct, kw_only=True):
    """What was done to the datagrams that arrived.

    Attributes:
        lost: datagrams that never arrive.
        duplicated: datagrams that arrive twice.
        corrupted: datagrams with a bit that is wrong.
        reordered: datagrams that another one overtook.
        delayed: datagrams, copies among them, that ``latency`` or ``jitter`` made late; also those that were still
            on their way when the transport closed.
    """

    lost: int = 0
    duplicated: int = 0
    corrupted: int = 0
    reordered: int = 0
    delayed: int = 0

    def __add__(self, other: FaultCounts) -> FaultCounts:
        return FaultCounts(
            **{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__},
        )


class CheckedFaults(msgspec.Struct, frozen=True, kw_only=True):
    """:class:`FaultOptions`, complete and checked."""

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    corruption: float = 0.0
    latency: float = 0.0
    jitter: float = 0.0
    seed: int | str = 0

    def __post_init__(self) -> None:
        for name in ("loss", "duplication", "reordering", "corruption"):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value <= 1:
                raise InvalidOption(f"{name} is a fraction from 0 to 1, such as 0.3 for 30 %, not {shown(value)}")
        for name in ("latency", "jitter"):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value < math.inf:
                raise InvalidOption(f"{name} is a number of seconds, 0 or more, not {shown(value)}")
        if not isinstance(self.seed, int | str):
            raise InvalidOption(f"seed is a whole number or a text, not {shown(self.seed)}")


class FaultyLink:
    """Where the datagrams of one kind and interface meet their fates, by a generator of random numbers of their own.

    Each takes the same count of numbers, whatever its fate, so that more of one fault leaves the others as they were.

    Attributes:
        late: what is on its way, in the order of its delivery.
        held: what waits to be overtaken: nothing, or a datagram with its copies.
        newly_held: whether ``held`` is yet to be given a time.
    """

    def __init__(self, options: CheckedFaults, seed: str, counts: FaultCounts) -> None:
        self._options = options
        self._counts = counts
        self._draw = Random(seed).random
        self._last_arrival = 0.0
        self.late: deque[Message] = deque()
        self.held: list[Parcel] = []
        self.newly_held = False

    def carry(self, message: Message) -> Iterator[Parcel]:
        """What comes out of the link when ``message`` goes in."""
        options, counts = self._options, self._counts
        loss, duplication, reordering, corruption, bit, jitter, copy_jitter = [self._draw() for _ in range(7)]
        if loss < options.loss:
            counts.lost += 1
            return
        if corruption < options.corruption and message.data:
            counts.corrupted += 1
            message = msgspec.structs.replace(message, data=_flip(message.data, bit))
        parcels = [self._parcel(message, jitter)]
        if duplication < options.duplication:
            counts.duplicated += 1
            parcels.append(self._parcel(message, copy_jitter))
        if self.held:
            counts.reordered += 1
            parcels += self.held
            self.held = []
        elif reordering < options.reordering:
            self.held = parcels
            self.newly_held = True
            return
        yield from parcels

    def _parcel(self, message: Message, jitter: float) -> Parcel:
        wait = self._options.latency
        if self._options.jitter:
            wait = max(wait + jitter * self._options.jitter, self._last_arrival - message.received_at)
            self._last_arrival = message.received_at + wait
        if not wait:
            return self, wait, message
        return self, wait, msgspec.structs.replace(message, received_at=message.received_at + wait)


Parcel = tuple[FaultyLink, float, Message]
"""A datagram, the link that it came by, and how many seconds it is late."""


def _flip(data: bytes, where: float) -> bytes:
    """``data`` with one bit flipped, ``where`` of the way into it."""
    place, bit = divmod(int(where * len(data) * 8), 8)
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
