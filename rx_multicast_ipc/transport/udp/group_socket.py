"""The group's socket on one interface."""

from __future__ import annotations

import socket
from contextlib import suppress

from ...group import Group
from . import batch, socket_options
from .interfaces import Nic


class Listener:
    """Hears the group on one interface and nowhere else. Raises ``CannotOpen`` and leaves nothing open.

    Args:
        group: which.
        nic: where.
        receive_buffer: bytes to ask for.
        trains: whether datagrams that were sent together may arrive together.

    Attributes:
        nic: where, and whether that works.
        address: where datagrams that leave there come from; ``""`` if none can.
        in_doubt: whether the last look found no address any more.
        socket: to be read.
    """

    def __init__(self, group: Group, nic: Nic, receive_buffer: int, trains: bool) -> None:
        self._group = group
        self.nic = nic
        self.address = socket_options.source_address(group, nic)
        self.in_doubt = False
        plan = socket_options.receive_plan(group, nic, receive_buffer, trains=trains and batch.HAS_BATCHES)
        self.socket: socket.socket = socket_options.open_socket(group, plan)

    def rejoin(self) -> None:
        """Leave and join, so that the system reports the membership anew, also to a switch that no router asks.

        The kernel reports only what changes for the whole machine: nothing while another socket is in the group.
        What arrives between the two, some microseconds, is lost.
        """
        self.leave()
        with suppress(OSError):  # an interface that just went away: the notice of it is on its way
            socket_options.apply(self.socket, socket_options.membership(self._group, self.nic))

    def leave(self) -> None:
        """Hear nothing new; what has arrived can still be read."""
        with suppress(OSError):  # the interface may be gone
            socket_options.apply(self.socket, socket_options.membership(self._group, self.nic, leave=True))
