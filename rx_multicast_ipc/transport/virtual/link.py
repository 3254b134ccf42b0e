"""What a link between two hosts of a virtual network does to datagrams."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, NamedTuple, TypedDict

import msgspec

from ...errors import InvalidOption
from ...message import Family

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
            if not _is_number(value) or not 0 <= value < math.inf:
                raise InvalidOption(f"{name} is a number of seconds, 0 or more, not {value!r}")
        for name in ("loss", "duplication", "reordering"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value <= 1:
                raise InvalidOption(f"{name} is a fraction from 0 to 1, such as 0.3 for 30 %, not {value!r}")
        if self.bandwidth is not None and not (_is_number(self.bandwidth) and self.bandwidth > 0):
            raise InvalidOption(f"bandwidth is bytes a second, more than 0, or None, not {self.bandwidth!r}")
        if not isinstance(self.mtu, int) or self.mtu < _LEAST_MTU:
            raise InvalidOption(f"mtu is a whole number of bytes, {_LEAST_MTU} or more, not {self.mtu!r}")
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


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
