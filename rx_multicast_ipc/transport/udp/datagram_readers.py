"""What has arrived at a socket, as messages: one system call a datagram, or a GRO batch of them.

What of this is used is what :mod:`.kernel_features` found to work; what is refused later is given up there. Sources:
recvmsg(2), udp(7), cmsg(3), RFC 3542.
"""

from __future__ import annotations

import logging
import socket
import struct
import time
from contextlib import suppress
from functools import lru_cache
from itertools import repeat
from typing import Any, Final, NamedTuple, Protocol

from ...message import Address, Family, Message
from . import host_addresses, kernel_features
from .kernel_features import SOL_UDP, UDP_GRO
from .system_calls import REFUSED

_log = logging.getLogger("rx_multicast_ipc")

LONGEST: Final = 65_536
"""Bytes: no datagram and no GRO batch is longer."""

_MOST: Final = 64
"""Datagrams that are read one by one, before others have their turn."""

MOST_BATCHES: Final = 16
"""GRO batches of one turn: 1 MiB."""

CONTROL_SPACE: Final = 32
"""Bytes for the control message that says how long each datagram of a GRO batch is."""

GRO_SIZE: Final = struct.Struct("=i")

_PKTINFO_SPACE: Final = 64


class Reception(NamedTuple):
    """How the messages of one socket were received: the last fields of each, which are alike.

    Attributes:
        direct, interface, destination: as for :class:`rx_multicast_ipc.Message`.
    """

    direct: bool
    interface: str
    destination: Address


class Reader(Protocol):
    """Takes what has arrived at a non-blocking socket.

    Attributes:
        bytes_read: payload bytes of all messages so far.
    """

    bytes_read: int

    def read(self, opened: socket.socket, reception: Reception) -> list[Message]:
        """Up to a few dozen messages, in order; none if nothing is there. Raises ``OSError``."""
        ...


class PlainReader:
    """One recvfrom a datagram: on every platform.

    Args:
        family: of the sockets that are read.
    """

    def __init__(self, family: Family) -> None:
        self._family: Family = family
        self.bytes_read: int = 0

    def read(self, opened: socket.socket, reception: Reception) -> list[Message]:
        batch: list[Message] = []
        now = 0.0
        try:
            for _ in range(_MOST):
                data, sender = opened.recvfrom(LONGEST)
                now = now or time.time()
                self.bytes_read += len(data)
                batch.append(Message(data, host(sender), sender[1], self._family, now, *reception))
        except BlockingIOError:
            pass
        except OSError:
            if not batch:
                raise
        return batch


class LocalReader(PlainReader):
    """Drops what does not come from a loopback address, as no packet from the wire does (RFC 1122 section 3.2.1.3).

    For the group of a loopback channel where no socket can be bound to it: it hears what the network sends to its port.

    Args:
        family: of the sockets that are read.
    """

    def read(self, opened: socket.socket, reception: Reception) -> list[Message]:
        while batch := super().read(opened, reception):
            local = [message for message in batch if message.address.startswith("127.")]
            self.bytes_read -= sum(len(message.data) for message in batch) - sum(len(message.data) for message in local)
            if local:
                return local
        return []


class MessageReader(PlainReader):
    """One recvmsg a datagram, or a GRO batch of them: where UDP_GRO works and recvmmsg does not.

    Args:
        family: of the sockets that are read.
    """

    def read(self, opened: socket.socket, reception: Reception) -> list[Message]:
        batch: list[Message] = []
        try:
            self.read_each(batch, opened, reception)
        except OSError as error:
            if not batch and error.errno in REFUSED:
                kernel_features.give_up("recvmsg")
                _take_apart(opened)
                return super().read(opened, reception)
            if not batch and not isinstance(error, BlockingIOError):
                raise
        return batch

    def read_each(self, batch: list[Message], opened: socket.socket, reception: Reception, above: int = -1) -> None:
        """Add what arrived to ``batch``, until a datagram is not ``above`` so many bytes. Raises ``OSError``."""
        now = 0.0
        for _ in range(MOST_BATCHES):
            data, ancillary, _, sender = opened.recvmsg(LONGEST, CONTROL_SPACE)
            now = now or time.time()
            self.bytes_read += len(data)
            each = GRO_SIZE.unpack_from(ancillary[0][2])[0] if ancillary else len(data)
            payloads = packed(each, len(data)).unpack(data) if ancillary else (data,)
            fields = (host(sender), sender[1], self._family, now, *reception)
            batch += map(Message, payloads, *map(repeat, fields))
            if each <= above:
                break


class InterfaceReader(PlainReader):
    """One recvmsg a datagram, which says by which interface it came.

    For direct messages on several interfaces; and for a group whose socket also hears what others joined elsewhere.

    Args:
        family: of the sockets that are read, which were set up to tell (IP_PKTINFO; RFC 3542 for IPv6).
        only: the index of the one interface to hear; 0 for all, whose names the messages then have.
    """

    def __init__(self, family: Family, only: int = 0) -> None:
        super().__init__(family)
        self._only = only

    def read(self, opened: socket.socket, reception: Reception) -> list[Message]:
        batch: list[Message] = []
        try:
            for _ in range(_MOST):
                data, ancillary, _, sender = opened.recvmsg(LONGEST, _PKTINFO_SPACE)
                number, address = self._arrived(ancillary)
                if number == self._only or not self._only:
                    by = reception.interface if self._only else _name(number) or reception.interface
                    to = (
                        (address or reception.destination[0], reception.destination[1])
                        if reception.direct
                        else reception.destination
                    )
                    self.bytes_read += len(data)
                    batch.append(
                        Message(data, host(sender), sender[1], self._family, time.time(), reception.direct, by, to)
                    )
        except BlockingIOError:
            pass
        except OSError as error:
            if not batch and error.errno in REFUSED:
                return super().read(opened, reception)
            if not batch:
                raise
        return batch

    def _arrived(self, ancillary: list[tuple[int, int, bytes]]) -> tuple[int, str]:
        """The interface, and the address that it was sent to, in a ``struct in_pktinfo`` or ``in6_pktinfo``.

        They are 0 and ``""`` if there is none.
        """
        for _, _, info in ancillary:
            if self._family == "IPv4":
                return struct.unpack_from("=I", info)[0], socket.inet_ntoa(info[8:12])
            return struct.unpack_from("=I", info, 16)[0], socket.inet_ntop(socket.AF_INET6, info[:16])
        return 0, ""


@lru_cache(maxsize=1024)
def packed(each: int, size: int) -> struct.Struct:
    """Payloads of one size, the last one maybe shorter, side by side."""
    count, rest = divmod(size, each) if each else (0, 0)
    return struct.Struct(f"{each}s" * count + (f"{rest}s" if rest or not count else ""))


def _take_apart(opened: socket.socket) -> None:
    """Let no GRO batches arrive any more, which recvfrom could not tell from datagrams; those that did are lost.

    Raises ``OSError`` where that is refused, too: then nothing can be read right.
    """
    if not opened.getsockopt(SOL_UDP, UDP_GRO):
        return
    opened.setsockopt(SOL_UDP, UDP_GRO, 0)
    lost = 0
    with suppress(BlockingIOError):
        while True:
            opened.recv(LONGEST)
            lost += 1
    if lost:
        _log.warning("%d messages or more were lost: recvmsg, which tells where they end, is refused now", lost)


def _name(number: int) -> str:
    try:
        return socket.if_indextoname(number)
    except OSError:  # gone since
        return ""


def host(sender: tuple[Any, ...]) -> str:
    """The address in what the socket module gives: a pair for IPv4, four values for IPv6."""
    return sender[0] if len(sender) == 2 else host_addresses.ipv6_text(sender[0], sender[3])
