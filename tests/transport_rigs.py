"""Every kind of transport that this package has, to be held to the promises of all."""

from __future__ import annotations

import errno
from collections.abc import Callable
from itertools import count
from typing import Any

from msgspec.structs import replace

from rx_multicast_ipc import ChannelOptions, Group, Key, Message, Reliable
from rx_multicast_ipc.key import Keys
from rx_multicast_ipc.message import Address
from rx_multicast_ipc.testing import VirtualClock
from rx_multicast_ipc.testing.conformance import Rig
from rx_multicast_ipc.transport import Hears, OpenTransport, Transport, TransportWrapper
from rx_multicast_ipc.transport.framed.open_framed import OpenFramed
from rx_multicast_ipc.transport.framed.packet_port import PacketPort
from rx_multicast_ipc.transport.opening import sealing
from rx_multicast_ipc.transport.udp.transport import UdpTransport
from rx_multicast_ipc.transport.virtual.host import VirtualHost
from rx_multicast_ipc.transport.virtual.link import Link
from rx_multicast_ipc.transport.virtual.network import Wire

Wrap = Callable[[Transport], Transport]
"""Puts something around a transport."""


def udp(wrap: Wrap | None = None) -> Rig:
    return Rig(
        _wrapped(UdpTransport, wrap), cannot_open=Group.of(interface="no-such-interface"), break_down=_break_down
    )


def virtual(wrap: Wrap | None = None) -> Rig:
    """Each end on a host of its own."""
    clock = VirtualClock()
    wire = Wire(clock, Link(latency=0.01))
    hosts = count(1)

    def open_transport(group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> Transport:
        host = VirtualHost(wire, f"10.0.0.{next(hosts)}")
        return host(group, options, hears)

    def disturb(transport: Transport) -> None:
        address, _ = transport.sender_address
        wire.take_down(address)
        wire.bring_up(address)

    return Rig(
        _wrapped(open_transport, wrap),
        group=Group.of(interface="default"),
        pass_time=lambda: clock.advance_by(0.005),
        concurrent=False,
        disturb=disturb,
    )


def framed(rig: Rig) -> Rig:
    """Reliable ends around those of another rig."""
    rig.open_transport = OpenFramed(rig.open_transport, Reliable(largest=100_000))
    return rig


def beside_packets(rig: Rig) -> Rig:
    """Ends of another rig, with packets of other kinds beside their messages."""
    rig.open_transport = OpenFramed(rig.open_transport, None)
    return rig


def enveloped(rig: Rig, *, reliable: bool = False) -> Rig:
    """Ends around those of another rig that speak in packets with an envelope around each."""
    options = Reliable(largest=100_000) if reliable else None
    rig.open_transport = OpenFramed(rig.open_transport, options, Reversal)
    return rig


def sealed(rig: Rig, *, reliable: bool = False) -> Rig:
    """Ends around those of another rig that share a key."""
    options = Reliable(largest=100_000) if reliable else None
    rig.open_transport = OpenFramed(rig.open_transport, options, sealing((Key.new(),)))
    return rig


class Reversal:
    """An envelope that turns packets around, after four bytes of its own."""

    overhead = 4
    settled_at = 0.0

    def attach(self, port: PacketPort) -> None:
        pass

    def announce(self) -> None:
        pass

    def wrap(self, packet: bytes, destination: Address | None) -> bytes:
        return b"test" + packet[::-1]

    def open(self, batch: list[Message]) -> list[Message]:
        return [replace(each, data=each.data[:3:-1]) for each in batch if each.data.startswith(b"test")]

    def change_keys(self, keys: Keys) -> None:
        pass

    def counts(self) -> dict[str, int]:
        return {}


def _wrapped(open_transport: OpenTransport, wrap: Wrap | None) -> OpenTransport:
    if wrap is None:
        return open_transport

    def open_and_wrap(group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> Transport:
        return wrap(open_transport(group, options, hears))

    return open_and_wrap


def _break_down(transport: Transport) -> None:
    """The next read of a live transport is its last."""
    live: Any = transport
    while isinstance(live, TransportWrapper):
        live = live.inner
    live._fault = OSError(errno.EIO, "Input/output error")
