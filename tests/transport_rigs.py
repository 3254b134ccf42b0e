"""Every kind of transport that this package has, to be held to the promises of all."""

from __future__ import annotations

import atexit
import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Any

from msgspec.structs import replace

from rx_multicast_ipc import ChannelOptions, Group, Key, Message, Nats, Reliable, Zenoh
from rx_multicast_ipc.message import Address
from rx_multicast_ipc.option_values.key import Keys
from rx_multicast_ipc.testing import VirtualClock
from rx_multicast_ipc.testing.conformance import Rig
from rx_multicast_ipc.testing.conformance.transport_rig import free_port
from rx_multicast_ipc.transport import Hears, OpenTransport, Transport, TransportWrapper
from rx_multicast_ipc.transport.engine.nats.connection import NatsConnection
from rx_multicast_ipc.transport.engine.nats.transport import NatsTransport
from rx_multicast_ipc.transport.framed.open_framed import OpenFramed
from rx_multicast_ipc.transport.framed.packet_port import PacketPort
from rx_multicast_ipc.transport.opening import open_live, sealing
from rx_multicast_ipc.transport.udp.transport import UdpTransport
from rx_multicast_ipc.transport.virtual.host import VirtualHost
from rx_multicast_ipc.transport.virtual.link import Link
from rx_multicast_ipc.transport.virtual.network import Wire

from .event_loops import read_on_a_loop
from .helpers import ROOT
from .nats_servers import NatsServer, free_tcp_port
from .zenoh_routers import ZenohRouter

Wrap = Callable[[Transport], Transport]
"""Puts something around a transport."""


def udp(wrap: Wrap | None = None) -> Rig:
    group = Group.of(free_port())
    return Rig(
        _wrapped(UdpTransport, wrap),
        group=group,
        cannot_open=Group.of(interface="no-such-interface"),
        break_down=_break_down,
        elsewhere=_elsewhere(group),
    )


def on_a_loop(rig: Rig) -> Rig:
    """Ends of another rig, read on an event loop that runs on a thread of its own."""
    rig.open_transport = read_on_a_loop(rig.open_transport)
    rig.wrap_elsewhere(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.event_loops import read_on_a_loop\n"
        "open_transport = read_on_a_loop(open_transport)\n"
    )
    return rig


def nats() -> Rig:
    """Each end on a connection of its own, so that all goes through the server."""
    server = nats_server()
    group = Group.of(free_port(), interface=server.url)
    return Rig(
        _NatsAlone,
        group=group,
        cannot_open=Group.of(interface=f"nats://127.0.0.1:{free_tcp_port()}"),
        break_down=_fail,
        disturb=_lose_connection,
        elsewhere=_elsewhere(group, server.url),
    )


def nats_together() -> Rig:
    """All ends of this process on one connection, as programs have it."""
    rig = nats()
    rig.open_transport = open_live
    return rig


class _NatsAlone(NatsTransport):
    def __init__(self, group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> None:
        assert isinstance(group.engine, Nats)
        self._alone = NatsConnection(group.engine)
        super().__init__(group, options, hears, self._alone)

    def close(self, *, wait: bool = True) -> None:
        super().close(wait=wait)
        self._alone.close()


def zenoh() -> Rig:
    """Each end on a session of its own, so that all goes through the router."""
    from rx_multicast_ipc.transport.engine.zenoh.connection import ZenohConnection
    from rx_multicast_ipc.transport.engine.zenoh.transport import ZenohTransport

    class ZenohAlone(ZenohTransport):
        def __init__(self, group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> None:
            assert isinstance(group.engine, Zenoh)
            self._alone = ZenohConnection(group.engine)
            super().__init__(group, options, hears, self._alone)

        def close(self, *, wait: bool = True) -> None:
            super().close(wait=wait)
            self._alone.close()

    router = zenoh_router()
    group = Group.of(free_port(), interface=router.url)
    return Rig(
        ZenohAlone,
        group=group,
        cannot_open=Group.of(interface=f"zenoh://127.0.0.1:{free_tcp_port()}"),
        break_down=_fail,
        disturb=lambda _: (router.kill(), router.start()),
        elsewhere=_elsewhere(group, router.url),
    )


def zenoh_together() -> Rig:
    """All ends of this process on one session, as programs have it."""
    rig = zenoh()
    rig.open_transport = open_live
    return rig


_routers: list[ZenohRouter] = []


def zenoh_router() -> ZenohRouter:
    """One for this process, until it ends."""
    if not _routers:
        _routers.append(ZenohRouter())
        atexit.register(_routers[0].kill)
    return _routers[0]


_servers: list[NatsServer] = []


def nats_server() -> NatsServer:
    """One for this process, until it ends."""
    if not _servers:
        _servers.append(NatsServer())
        atexit.register(_servers[0].close)
    return _servers[0]


def _lose_connection(transport: Transport) -> None:
    connection: Any = _innermost(transport)
    with suppress(OSError):
        connection.connection._link._socket.shutdown(socket.SHUT_RDWR)


def _fail(transport: Transport) -> None:
    _innermost(transport).fail(OSError(errno.EIO, "Input/output error"))


def _elsewhere(group: Group, interface: str = "loopback") -> str:
    return (
        "from rx_multicast_ipc import Group\n"
        "from rx_multicast_ipc.transport.opening import open_live as open_transport\n"
        f"group = Group.of({group.port}, {group.address!r}, {interface!r})\n"
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
    rig.wrap_elsewhere(
        "from rx_multicast_ipc import Reliable\n"
        "from rx_multicast_ipc.transport.framed.open_framed import OpenFramed\n"
        "open_transport = OpenFramed(open_transport, Reliable(largest=100_000))\n"
    )
    return rig


def beside_packets(rig: Rig) -> Rig:
    """Ends of another rig, with packets of other kinds beside their messages."""
    rig.open_transport = OpenFramed(rig.open_transport, None)
    rig.wrap_elsewhere(
        "from rx_multicast_ipc.transport.framed.open_framed import OpenFramed\n"
        "open_transport = OpenFramed(open_transport, None)\n"
    )
    return rig


def enveloped(rig: Rig, *, reliable: bool = False) -> Rig:
    """Ends around those of another rig that speak in packets with an envelope around each."""
    options = Reliable(largest=100_000) if reliable else None
    rig.open_transport = OpenFramed(rig.open_transport, options, Reversal)
    rig.wrap_elsewhere(
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.transport_rigs import OpenFramed, Reliable, Reversal\n"
        f"options = {'Reliable(largest=100_000)' if reliable else 'None'}\n"
        "open_transport = OpenFramed(open_transport, options, Reversal)\n"
    )
    return rig


def sealed(rig: Rig, *, reliable: bool = False) -> Rig:
    """Ends around those of another rig that share a key."""
    options = Reliable(largest=100_000) if reliable else None
    secret = os.urandom(32)
    rig.open_transport = OpenFramed(rig.open_transport, options, sealing((Key(secret),)))
    rig.wrap_elsewhere(
        "from rx_multicast_ipc import Key, Reliable\n"
        "from rx_multicast_ipc.transport.framed.open_framed import OpenFramed\n"
        "from rx_multicast_ipc.transport.opening import sealing\n"
        f"options = {'Reliable(largest=100_000)' if reliable else 'None'}\n"
        f"open_transport = OpenFramed(open_transport, options, sealing((Key({secret!r}),)))\n"
    )
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
    _innermost(transport)._fault = OSError(errno.EIO, "Input/output error")


def _innermost(transport: Transport) -> Any:
    while isinstance(transport, TransportWrapper):
        transport = transport.inner
    return transport
