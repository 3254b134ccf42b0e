"""The group's socket on one interface."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, NamedTuple

from ...group import Group
from ...message import Address
from . import host_addresses, kernel_features, own_filter, socket_options, socket_plans
from .interfaces import Nic
from .platform import PLATFORM

_ALL_HOSTS: Final = "224.0.0.1"
"""Every host of a network (RFC 1112). macOS gives it to each socket of the port, by whichever interface it came: its
kernel looks at a socket's memberships for other groups alone (``udp_input`` in bsd/netinet/udp_usrreq.c)."""


class OwnSends(NamedTuple):
    """What a transport sent to its group.

    Attributes:
        datagrams: how many.
        packets: as how many the kernel saw them: a GSO batch is one.
    """

    datagrams: int = 0
    packets: int = 0


class Listener:
    """Hears the group on one interface and nowhere else. Raises ``CannotOpen`` and leaves nothing open.

    Args:
        group: which.
        nic: where.
        receive_buffer: bytes to ask for.
        gro: whether datagrams that were sent together may arrive together.

    Attributes:
        nic: where, and whether that works.
        address: where datagrams that leave there come from; ``""`` if none can.
        in_doubt: whether the last look found no address any more.
        socket: to be read.
        only: the index of the interface, if the socket also gives what came by others; else 0.
        filters_own: whether the socket itself keeps this transport's own datagrams out.
    """

    def __init__(self, group: Group, nic: Nic, receive_buffer: int, gro: bool) -> None:
        self._group = group
        self.nic = nic
        self.address = host_addresses.source_address(group, nic)
        self.in_doubt = False
        self.socket, self.only = _open(group, nic, receive_buffer, gro)
        self._keeps_batches = _keeps_batches(self.socket)
        self._own_before: OwnSends | None = None
        self.filters_own = False

    def ignore(self, addresses: Iterable[Address], sent: OwnSends) -> None:
        """Keep datagrams from ``addresses`` out, of which ``sent`` were sent so far."""
        self.filters_own = own_filter.attach(self.socket, addresses)
        if self.filters_own and self._own_before is None:
            self._own_before = sent

    def dropped(self, sent: OwnSends) -> int | None:
        """Datagrams that the kernel dropped because the receive buffer was full; None where it does not tell.

        Args:
            sent: what the transport sent to the group so far, which the filter dropped, and the kernel counted.
        """
        counted = socket_options.kernel_drops(self.socket)
        before = self._own_before
        if counted is None or before is None:
            return counted
        own = sent.packets - before.packets if self._keeps_batches else sent.datagrams - before.datagrams
        return max(0, counted - own)

    def rejoin(self) -> None:
        """Leave and join, so that the system reports the membership anew, also to a switch that no router asks.

        The kernel reports only what changes for the whole machine: nothing while another socket is in the group.
        What arrives between the two, some microseconds, is lost.
        """
        self.leave()
        with suppress(OSError):  # an interface that just went away: the notice of it is on its way
            socket_options.apply(self.socket, socket_plans.membership(self._group, self.nic))

    def leave(self) -> None:
        """Hear nothing new; what has arrived can still be read."""
        with suppress(OSError):  # the interface may be gone
            socket_options.apply(self.socket, socket_plans.membership(self._group, self.nic, leave=True))


def _open(group: Group, nic: Nic, receive_buffer: int, gro: bool) -> tuple[socket.socket, int]:
    """The socket, and the one interface to hear if it gives what came by others, too."""
    features = kernel_features.current()
    everywhere = group.is_broadcast or (PLATFORM == "darwin" and group.address == _ALL_HOSTS)
    apart = features.multicast_all(group.family) and not everywhere
    plan = socket_plans.receive_plan(
        group, nic, receive_buffer, gro=gro and apart and features.udp_gro, tells=not apart
    )
    opened = socket_options.open_socket(group, plan)
    if not apart:
        return opened, nic.number
    if socket_options.hears_others(opened, group):  # a sandbox since then
        opened.close()
        kernel_features.give_up("ip_multicast_all" if group.family == "IPv4" else "ipv6_multicast_all")
        return _open(group, nic, receive_buffer, gro)
    return opened, 0


def _keeps_batches(opened: socket.socket) -> bool:
    """Whether a GSO batch reaches the socket as one packet (udp(7), UDP_GRO)."""
    try:
        return bool(opened.getsockopt(kernel_features.SOL_UDP, kernel_features.UDP_GRO))
    except OSError:
        return False
