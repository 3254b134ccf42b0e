"""What the links of a virtual network do to datagrams: latency, loss, duplication, order, and partitions."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import lru_cache
from random import Random
from typing import Final, NamedTuple, TypedDict

import msgspec

from ...errors import InvalidOption
from ...message import Family
from ...validation.arguments import is_number, shown

_IP_HEADER: Final[dict[Family, int]] = {"IPv4": 20, "IPv6": 40}
"""Bytes a packet (RFC 791, RFC 8200)."""

_FRAGMENT_HEADER: Final[dict[Family, int]] = {"IPv4": 0, "IPv6": 8}
"""Bytes more where the packet is a fragment."""

_UDP_HEADER: Final = 8

_LEAST_MTU: Final = 576
"""What every IPv4 host must take (RFC 791); an IPv6 link carries 1280 at least."""


class LinkOptions(TypedDict, total=False):
    """The keywords of :class:`Link`."""

    latency: float
    jitter: float
    loss: float
    duplication: float
    reordering: float
    bandwidth: float | None
    mtu: int


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """How datagrams fare from one host to another.

    Attributes:
        latency: seconds on the way.
        jitter: up to so many seconds more, drawn for each datagram. It does not change their order.
        loss: the fraction of packets that get lost, 0 to 1. A datagram beyond the MTU is several packets, and
            lost with any of them.
        duplication: the fraction of datagrams that arrive twice.
        reordering: the fraction of datagrams that are held back, for up to latency and jitter once more, and may
            be overtaken; so one of the two must be there.
        bandwidth: bytes a second, headers among them, one datagram after the other; None for no limit.
        mtu: bytes of the largest packet; larger datagrams go in fragments.
    """

    latency: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    bandwidth: float | None = None
    mtu: int = 1500

    def __post_init__(self) -> None:
        for name in ("latency", "jitter"):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value < math.inf:
                raise InvalidOption(f"{name} is a number of seconds, 0 or more, not {shown(value)}")
        for name in ("loss", "duplication", "reordering"):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value <= 1:
                raise InvalidOption(f"{name} is a fraction from 0 to 1, such as 0.3 for 30 %, not {shown(value)}")
        if self.bandwidth is not None and not (is_number(self.bandwidth) and self.bandwidth > 0):
            raise InvalidOption(f"bandwidth is bytes a second, more than 0, or None, not {shown(self.bandwidth)}")
        if not isinstance(self.mtu, int) or isinstance(self.mtu, bool) or self.mtu < _LEAST_MTU:
            raise InvalidOption(f"mtu is a whole number of bytes, {_LEAST_MTU} or more, not {shown(self.mtu)}")
        if self.reordering and not (self.latency or self.jitter):
            raise InvalidOption(
                "reordering needs latency or jitter: without them nothing is on its way to be overtaken"
            )

    def passage(self, payload: int, family: Family) -> Passage:
        """What it does to datagrams with so many bytes of payload."""
        return _passage(self, payload, family)


class Passage(NamedTuple):
    """What a link does to datagrams of one size.

    Attributes:
        seconds: that one takes to be put on the link, one after the other.
        survival: the fraction that is not lost.
        latency, jitter, duplication, reordering: as of the link.
    """

    seconds: float
    survival: float
    latency: float
    jitter: float
    duplication: float
    reordering: float


class Links:
    """The links between every two hosts, and what cuts them: each host's interface that is down, and a partition.

    Every link is of one kind unless it was given one of its own. What stays on a host takes no time and is not lost.

    Args:
        link: what every link is like at first.
        seed: of everything that is drawn.

    Attributes:
        lost: copies of datagrams that were lost so far.
        duplicated: those that were made more of.
        cut: those that a partition, or an interface that was down, stopped.
        are_cut: whether any link is.
    """

    def __init__(self, link: Link, seed: int | str) -> None:
        self.lost = self.duplicated = self.cut = 0
        self.are_cut = False
        self._draw = Random(seed).random
        self._usual = link
        self._own: dict[tuple[str, str], Link] = {}
        self._sides: dict[str, int] = {}
        self._down: set[str] = set()
        self._free: defaultdict[str, dict[str, float]] = defaultdict(dict)
        self._last_arrival: defaultdict[str, dict[str, float]] = defaultdict(dict)

    def change(self, hosts: Collection[str], one_way: bool, options: LinkOptions) -> None:
        """Change the link between two hosts, or, with no hosts, every link that has none of its own."""
        if not hosts:
            if one_way:
                raise InvalidOption("one_way needs the two hosts of a link, from the first of which it leads")
            self._usual = msgspec.structs.replace(self._usual, **options)
            return
        if len(hosts) != 2:
            raise InvalidOption(f"a link joins two hosts, not {len(hosts)}; name two, or none for every link")
        one, other = hosts
        for pair in ((one, other),) if one_way else ((one, other), (other, one)):
            self._own[pair] = msgspec.structs.replace(self._own.get(pair, self._usual), **options)

    def partition(self, sides: Iterable[Iterable[str]]) -> None:
        """Cut the network into sides; hosts that are in none are together on one of their own."""
        placed: dict[str, int] = {}
        for number, side in enumerate(sides, start=1):
            for host in side:
                if placed.setdefault(host, number) != number:
                    raise InvalidOption(f"host {host} cannot be on two sides of a partition")
        self._sides = placed
        self._note_cuts()

    def heal(self) -> None:
        """Make the network whole again."""
        self._sides = {}
        self._note_cuts()

    def take_down(self, host: str) -> bool:
        """Take a host's interface down; whether it was up."""
        was_up = host not in self._down
        self._down.add(host)
        self._note_cuts()
        return was_up

    def bring_up(self, host: str) -> bool:
        """Bring a host's interface up; whether it was down."""
        was_down = host in self._down
        self._down.discard(host)
        self._note_cuts()
        return was_down

    def is_down(self, host: str) -> bool:
        return host in self._down

    def is_cut(self, source: str, target: str) -> bool:
        """Whether the link between two hosts is."""
        return target in self._down or source in self._down or self._sides.get(source, 0) != self._sides.get(target, 0)

    def arrivals(
        self, source: str, targets: Iterable[str], size: int, family: Family, now: float
    ) -> list[tuple[int, ...]]:
        """When the copies of one datagram that is sent now arrive at each of these hosts, in virtual microseconds.

        None for one to whom it is lost, two where it is doubled.

        Args:
            size: bytes of payload.
            now: virtual seconds.
        """
        usual = self._usual.passage(size, family)
        at_once = (round(now * 1_000_000),)
        is_cut, own, draw = self.are_cut, self._own, self._draw
        times: list[tuple[int, ...]] = []
        for target in targets:
            if source == target:
                times.append(at_once)
                continue
            if is_cut and self.is_cut(source, target):
                self.cut += 1
                times.append(())
                continue
            link = own.get((source, target)) if own else None
            passage = usual if link is None else link.passage(size, family)
            seconds, survival, _, _, duplication, _ = passage
            departure = now
            if seconds:
                free = self._free[source]
                departure = free[target] = max(now, free.get(target, 0.0)) + seconds
            if survival < 1.0 and draw() >= survival:
                self.lost += 1
                times.append(())
            elif not duplication or draw() >= duplication:
                times.append((self._arrival(passage, source, target, departure),))
            else:
                self.duplicated += 1
                first = self._arrival(passage, source, target, departure)
                times.append((first, self._arrival(passage, source, target, departure)))
        return times

    def _note_cuts(self) -> None:
        self.are_cut = bool(self._sides or self._down)

    def _arrival(self, passage: Passage, source: str, target: str, departure: float) -> int:
        _, _, latency, jitter, _, reordering = passage
        arrival = departure + latency
        if jitter:
            arrival += self._draw() * jitter
        if reordering and self._draw() < reordering:
            arrival += self._draw() * (latency + jitter)
        elif jitter:
            last = self._last_arrival[source]
            before = last.get(target, 0.0)
            if arrival < before:
                arrival = before
            last[target] = arrival
        return round(arrival * 1_000_000)


@lru_cache(maxsize=1024)  # as costly as all else that is done for a datagram
def _passage(link: Link, payload: int, family: Family) -> Passage:
    packets, size = _packets(payload + _UDP_HEADER, link.mtu, family)
    return Passage(
        seconds=0.0 if link.bandwidth is None else size / link.bandwidth,
        survival=(1.0 - link.loss) ** packets,
        latency=link.latency,
        jitter=link.jitter,
        duplication=link.duplication,
        reordering=link.reordering,
    )


def _packets(datagram: int, mtu: int, family: Family) -> tuple[int, int]:
    """How many packets a datagram of so many bytes takes, and their bytes in all."""
    header = _IP_HEADER[family]
    if datagram <= mtu - header:
        return 1, datagram + header
    header += _FRAGMENT_HEADER[family]
    last = mtu - header
    room = last // 8 * 8  # fragments begin at multiples of 8 bytes
    count = 1 + max(1, -(-(datagram - last) // room))
    return count, datagram + count * header
