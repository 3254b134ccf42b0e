"""What is told of the datagrams of a virtual network."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ...message import Address


class Datagram(NamedTuple):
    """One datagram that a host sent.

    Attributes:
        sent_at: virtual seconds.
        source: the sender's ``(address, port)``.
        destination: the group's, or the one receiver's.
        payload: its bytes.
    """

    sent_at: float
    source: Address
    destination: Address
    payload: bytes


class Traffic(msgspec.Struct, frozen=True):
    """What became of the datagrams of a virtual network. A datagram to a group is a copy for each host that hears it.

    Attributes:
        sent: datagrams.
        delivered: copies that reached a receive buffer; where several channels of a host hear the group, one for each.
        lost: copies that links lost.
        duplicated: copies that links made more of.
        cut: copies that a partition, or an interface that was down, stopped.
    """

    sent: int = 0
    delivered: int = 0
    lost: int = 0
    duplicated: int = 0
    cut: int = 0
