"""A network of hosts in virtual time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Unpack

from reactivex import Observable
from reactivex import operators as ops
from reactivex.scheduler import VirtualTimeScheduler

from ..channel import Channel
from ..channel_options import ChannelOptions, complete, group_of, takes_channel_options
from ..errors import InvalidOption
from ..group import DEFAULT_INTERFACE
from ..receiving.hot_source import HotSource
from ..transport.opening import opened_by
from ..transport.virtual.datagram_records import Datagram, Traffic
from ..transport.virtual.host import VirtualHost
from ..transport.virtual.link import Link, LinkOptions
from ..transport.virtual.network import Wire
from ..validation.arguments import check_flag, shown
from ..validation.environment import INTERFACE as INTERFACE_VARIABLE
from .virtual_clock import check_virtual_clock


class VirtualNetwork:
    """Hosts that talk by multicast in the virtual time of a scheduler: no socket, no thread, no sleeping.

    Its channels are ordinary ones, and nothing happens until the scheduler runs (``start``, ``advance_by``).

        scheduler = TestScheduler()
        network = VirtualNetwork(scheduler, latency=0.2, jitter=0.05, loss=0.3, seed=1)
        bot = network.open_channel(host="10.0.0.1")
        player = network.open_channel(host="10.0.0.2")

    Every two hosts are joined by a link. What stays on one host takes no time and is not lost. Errors are those of
    real sockets: ``SendFailed`` from EHOSTUNREACH where no host has the address, from ENETUNREACH where the
    sender's interface is down. Everything happens on the thread that runs the scheduler.

    Args:
        scheduler: its clock, which is also every channel's ``scheduler``.
        seed: of everything that is drawn. The same seed and the same program give the same traffic.
        latency: seconds on the way.
        jitter: up to so many seconds more, drawn for each datagram. It does not change their order.
        loss: the fraction of packets that get lost, 0 to 1. A datagram beyond the MTU is several packets, and is
            lost with any of them.
        duplication: the fraction of datagrams that arrive twice.
        reordering: the fraction of datagrams that are held back, for up to latency and jitter once more, and may
            be overtaken.
        bandwidth: bytes a second, headers among them; None for no limit.
        mtu: bytes of the largest packet, 1500 if not given; larger datagrams go in fragments.

    Raises:
        InvalidOption: a value out of its range, or no virtual clock.
    """

    def __init__(self, scheduler: VirtualTimeScheduler, *, seed: int | str = 0, **link: Unpack[LinkOptions]) -> None:
        self._datagrams: HotSource[Datagram] = HotSource(lambda: None)
        self._to_tell: deque[Datagram] = deque()
        self._telling = False
        check_virtual_clock(scheduler)
        if not isinstance(seed, int | str):
            raise InvalidOption(f"seed is a whole number or a text, not {shown(seed)}")
        self._wire = Wire(scheduler, Link(**link), seed, self._sent)

    @property
    def scheduler(self) -> VirtualTimeScheduler:
        """Its clock."""
        return self._wire.scheduler

    @property
    def datagrams(self) -> Observable[Datagram]:
        """Hot: every datagram at the moment it is sent, whether or not it arrives."""
        return self._datagrams

    def sends(self, channel: Channel) -> Observable[Datagram]:
        """Hot: the datagrams that one channel sends; raises ``InvalidOption`` for what is no channel."""
        if not isinstance(channel, Channel):
            raise InvalidOption(f"sends() takes a channel of this network, not {shown(channel)}")
        source = channel.sender_address
        return self._datagrams.pipe(ops.filter(lambda datagram: datagram.source == source))

    @property
    def traffic(self) -> Traffic:
        """What became of the datagrams so far. What receive buffers dropped is in the channels' ``statistics``."""
        return self._wire.traffic

    @takes_channel_options
    def open_channel(
        self,
        port: int | None = None,
        group: str | None = None,
        *,
        host: str | None = None,
        **options: Unpack[ChannelOptions],
    ) -> Channel:
        """An ordinary channel on one of the network's hosts; any number of them.

        Args:
            port, group: as for :func:`rx_multicast_ipc.open_channel`.
            host: the host's numeric address, which exists by being named. None adds a host of the channel's own:
                10.0.0.1, 10.0.0.2, ... (fd00::1, ... for an IPv6 group).
            **options: see :class:`rx_multicast_ipc.ChannelOptions`. Without an interface it is the whole network; a
                host has the interfaces ``"lo"`` and ``"eth0"``.

        Raises:
            InvalidAddress: no address that a host can have.
            InvalidPort, InvalidGroup, InvalidInterface, InvalidTTL, InvalidOption: another mistake in the call.
        """
        checked = complete({"interface": DEFAULT_INTERFACE, **options})
        joined = group_of(port, group, checked)
        opener = VirtualHost(self._wire, self._wire.hosts.new(joined.family) if host is None else host)
        return Channel(joined, opener, checked)

    def add_host(self, host: str, *, interface: str | None = None) -> str:
        """A host that may do nothing but be sent to; returns its address.

        Args:
            host: its numeric address.
            interface: what its network interface is called: ``"eth0"``, if it was never named.

        Raises:
            InvalidAddress: no address that a host can have.
            InvalidInterface: no name that an interface can have.
        """
        return self._wire.hosts.add(host, interface)

    @contextmanager
    def this_process(self, host: str | None = None) -> Generator[str]:
        """Within the block the process is one of the network's hosts, whose address it gives.

        What calls :func:`messages`, :func:`broadcast`, :func:`send`, :func:`open_channel` or :func:`with_socket` of
        the package is on the virtual network then, without a change: on ``interface="default"`` where the call names
        no interface. What the block opened on that host and left open is closed at its end.

        Args:
            host: its numeric address; None adds a host of its own.
        """
        opener = VirtualHost(self._wire, self._wire.hosts.new("IPv4") if host is None else host)
        opened_before = set(self._wire.ends(opener.address))
        before = os.environ.get(INTERFACE_VARIABLE)
        os.environ[INTERFACE_VARIABLE] = DEFAULT_INTERFACE
        try:
            with opened_by(opener):
                yield opener.address
        finally:
            if before is None:
                del os.environ[INTERFACE_VARIABLE]
            else:
                os.environ[INTERFACE_VARIABLE] = before
            for end in self._wire.ends(opener.address):
                if end not in opened_before:
                    end.close()

    def set_link(self, *hosts: str, one_way: bool = False, **link: Unpack[LinkOptions]) -> None:
        """Change what a link is like, from now on: what is on its way arrives as it would have.

        Args:
            hosts: the two that it joins; none for every link that was not changed on its own.
            one_way: only from the first host to the second.
            link: what changes, as for the network itself.

        Raises:
            InvalidAddress: a host that is not there.
            InvalidOption: a value out of its range, or not two hosts.
        """
        self._wire.set_link(hosts, check_flag("one_way", one_way), link)

    def partition(self, *sides: str | Iterable[str]) -> None:
        """Cut the network into sides that do not hear each other, instead of a partition before.

        What is on its way between two sides is lost, unless they are healed before it arrives.

        Args:
            sides: hosts, one or several a side. Those that are in none are together on one more side.

        Raises:
            InvalidAddress: a host that is not there.
            InvalidOption: a host on two sides.
        """
        self._wire.partition(sides)

    def heal(self) -> None:
        """End the partition."""
        self._wire.heal()

    def take_down(self, host: str) -> None:
        """Take a host's network interface down: it hears nobody, and its sends fail with ENETUNREACH."""
        self._wire.take_down(host)

    def bring_up(self, host: str) -> None:
        """Bring a host's network interface up again."""
        self._wire.bring_up(host)

    def pause(self, host: str) -> None:
        """Stop the reading of a host's channels, as a busy process does: what arrives waits in their receive buffers.

        What does not fit there is dropped and counted (``statistics.dropped``), at the cost a datagram that Linux has.
        """
        self._wire.pause(host)

    def resume(self, host: str) -> None:
        """Let a host's channels read again."""
        self._wire.resume(host)

    def _sent(self, datagram: Datagram) -> None:
        if not self._datagrams.observed:
            return
        self._to_tell.append(datagram)
        if self._telling:  # who is told may send, and all are told in the order of sending
            return
        self._telling = True
        try:
            while self._to_tell:
                self._datagrams.emit((self._to_tell.popleft(),))
        finally:
            self._telling = False
