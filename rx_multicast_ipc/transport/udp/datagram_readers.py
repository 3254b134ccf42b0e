"""What has arrived at a socket, as messages: many datagrams a system call, where the kernel does that.

How this works. recvmmsg fills an arena of 64 KiB slots. With UDP_GRO a slot may hold a whole batch of
equal datagrams that one UDP_SEGMENT send made; a control message says how long each is. Payloads are copied out of
the arena at once, by one precompiled ``struct`` where their sizes are alike, so that no message keeps it alive.
Above ``_LARGE`` bytes a datagram the copy dominates, and one recvmsg each into memory of its own is cheaper.

What of this is used is what :mod:`.kernel_features` found to work; what is refused later is given up there. Sources:
recvmmsg(2), udp(7), cmsg(3).
"""

from __future__ import annotations

import ctypes
import errno
import logging
import mmap
import os
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import repeat
from typing import Any, Final, NamedTuple, Protocol

from ...group import Group
from ...message import Address, Family, Message
from . import host_addresses, kernel_features
from .kernel_features import SOL_UDP, UDP_GRO
from .platform import PLATFORM
from .system_calls import DONTWAIT, IOVEC, MMSGHDR, REFUSED, address_of, recvmmsg

_log = logging.getLogger("rx_multicast_ipc")

_SLOT: Final = 65_536
"""Bytes a slot: no datagram and no GRO batch is longer."""

_SLOTS: Final = 64
_FEW_SLOTS: Final = 16
"""Slots for GRO batches, which fill them: 1 MiB."""

_LARGE: Final = 8_192
"""Bytes of a datagram above which reading one by one is cheaper."""

_CRAMPED: Final = 4_096
"""Bytes a slot above which fewer slots are used, to stay within the processor's cache and 1 MiB."""

_NAME: Final = 28  # sizeof(struct sockaddr_in6)
_CONTROL: Final = 32
_GRO_SIZE: Final = struct.Struct("=i")
_GRO_OFFSET: Final = 16  # behind struct cmsghdr
_PKTINFO_SPACE: Final = 64
_LONE_READS: Final = 2
"""Reads in a row that brought one datagram, after which recvmsg reads the next: ctypes and recvmmsg cost 10 µs more."""

_BURST: Final = 50e-6
"""Seconds between two datagrams that are worth a recvmmsg."""

_SENDERS: Final = 1024
"""Senders whose addresses are kept decoded."""


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
            for _ in range(_SLOTS):
                data, sender = opened.recvfrom(_SLOT)
                now = now or time.time()
                self.bytes_read += len(data)
                batch.append(Message(data, _host(sender), sender[1], self._family, now, *reception))
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
            self._read_each(batch, opened, reception)
        except OSError as error:
            if not batch and error.errno in REFUSED:
                kernel_features.give_up("recvmsg")
                _take_apart(opened)
                return super().read(opened, reception)
            if not batch and not isinstance(error, BlockingIOError):
                raise
        return batch

    def _read_each(self, batch: list[Message], opened: socket.socket, reception: Reception, above: int = -1) -> None:
        """Add what arrived to ``batch``, until a datagram is not ``above`` so many bytes. Raises ``OSError``."""
        now = 0.0
        for _ in range(_FEW_SLOTS):
            data, ancillary, _, sender = opened.recvmsg(_SLOT, _CONTROL)
            now = now or time.time()
            self.bytes_read += len(data)
            each = _GRO_SIZE.unpack_from(ancillary[0][2])[0] if ancillary else len(data)
            payloads = _packed(each, len(data)).unpack(data) if ancillary else (data,)
            fields = (_host(sender), sender[1], self._family, now, *reception)
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
            for _ in range(_SLOTS):
                data, ancillary, _, sender = opened.recvmsg(_SLOT, _PKTINFO_SPACE)
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
                        Message(data, _host(sender), sender[1], self._family, time.time(), reception.direct, by, to)
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


class BatchReader(MessageReader):
    """One recvmmsg for up to 64 datagrams, or GRO batches of them: on 64-bit Linux.

    Args:
        family: of the sockets that are read.
    """

    def __init__(self, family: Family) -> None:
        super().__init__(family)
        self._arena = mmap.mmap(-1, _SLOT * _SLOTS, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._names = bytearray(_NAME * _SLOTS)
        self._controls = bytearray(_CONTROL * _SLOTS)
        arena, names, controls = map(address_of, (self._arena, self._names, self._controls))
        self._vectors = bytearray().join(IOVEC.pack(arena + _SLOT * slot, _SLOT) for slot in range(_SLOTS))
        vectors = address_of(self._vectors)
        self._fresh = b"".join(
            MMSGHDR.pack(
                *(names + _NAME * slot, _NAME, vectors + IOVEC.size * slot, 1),
                *(controls + _CONTROL * slot, _CONTROL, 0, 0),
            )
            for slot in range(_SLOTS)
        )
        self._headers = bytearray(self._fresh)
        self._at = address_of(self._headers)
        self._sizes = memoryview(self._headers).cast("I")[14::16]
        self._control_sizes = memoryview(self._headers).cast("Q")[5::8]
        self._used = 0
        self._slots = _FEW_SLOTS
        self._large = False
        self._lone = _LONE_READS
        self._into = (memoryview(self._arena)[:_SLOT],)
        self._read_at = 0.0
        self._refused = False
        self._senders: dict[bytes, Address] = {}

    def read(self, opened: socket.socket, reception: Reception) -> list[Message]:
        if self._large:
            return self._read_large(opened, reception)
        if self._lone >= _LONE_READS:
            return self._read_one(opened, reception)
        self._headers[: self._used] = self._fresh[: self._used]
        count = recvmmsg(opened.fileno(), self._at, self._slots, DONTWAIT, None)
        self._used = MMSGHDR.size * count
        if count <= 0:
            self._used = 0
            number = ctypes.get_errno()
            if count == 0 or number in (errno.EAGAIN, errno.EINTR):
                return []
            if number in REFUSED:
                kernel_features.give_up("recvmmsg")
                self._large = self._refused = True
                return self._read_large(opened, reception)
            raise OSError(number, os.strerror(number))
        now = time.time()
        if count == 1 and not self._control_sizes[0]:
            size = self._sizes[0]
            self.bytes_read += size
            self._large = size > _LARGE
            self._lone += 1
            address, port = self._sender(bytes(self._names[:_NAME]))
            return [Message(self._arena[:size], address, port, self._family, now, *reception)]
        self._lone = 0
        sizes = self._sizes[:count].tolist()
        payloads, counts = self._payloads(sizes)
        self._adapt(sizes, len(payloads))
        names = bytes(self._names[: _NAME * count])
        first = names[:_NAME]
        if count == 1 or names == first * count:
            address, port = self._sender(first)
            return list(map(Message, payloads, *map(repeat, (address, port, self._family, now, *reception))))
        senders = [self._sender(names[at : at + _NAME]) for at in range(0, len(names), _NAME)]
        if counts is not None:
            senders = [sender for sender, times in zip(senders, counts, strict=True) for _ in range(times)]
        return [
            Message(data, address, port, self._family, now, *reception)
            for data, (address, port) in zip(payloads, senders, strict=True)
        ]

    def _read_one(self, opened: socket.socket, reception: Reception) -> list[Message]:
        """One datagram, or one GSO batch; several at a time again as soon as they come quickly."""
        try:
            size, ancillary, _, sender = opened.recvmsg_into(self._into, _CONTROL)
        except BlockingIOError:
            return []
        except OSError as error:
            if error.errno not in REFUSED:
                raise
            self._large = self._refused = True
            return self._read_large(opened, reception)
        now = time.time()
        if ancillary or now - self._read_at < _BURST:
            self._lone = 0
        self._read_at = now
        self.bytes_read += size
        address = _host(sender)
        if not ancillary:
            self._large = size > _LARGE
            return [Message(self._arena[:size], address, sender[1], self._family, now, *reception)]
        (each,) = _GRO_SIZE.unpack_from(ancillary[0][2])
        self._large = each > _LARGE
        fields = (address, sender[1], self._family, now, *reception)
        return list(map(Message, _packed(each, size).unpack_from(self._arena), *map(repeat, fields)))

    def _payloads(self, sizes: list[int]) -> tuple[Sequence[bytes], list[int] | None]:
        """The payloads, and how many each slot held where any held more than one."""
        count = len(sizes)
        arena = self._arena
        batches = self._control_sizes[:count].tolist()
        if not any(batches):
            if sizes.count(sizes[0]) == count:
                return _spaced(sizes[0], count).unpack_from(arena), None
            return [arena[at : at + size] for at, size in zip(range(0, _SLOT * count, _SLOT), sizes, strict=True)], None
        payloads: list[bytes] = []
        counts: list[int] = []
        for slot, (size, is_batch) in enumerate(zip(sizes, batches, strict=True)):
            before = len(payloads)
            if is_batch:
                (each,) = _GRO_SIZE.unpack_from(self._controls, _CONTROL * slot + _GRO_OFFSET)
                payloads.extend(_packed(each, size).unpack_from(arena, _SLOT * slot))
            else:
                payloads.append(arena[_SLOT * slot : _SLOT * slot + size])
            counts.append(len(payloads) - before)
        return payloads, counts

    def _adapt(self, sizes: list[int], messages: int) -> None:
        filled = sum(sizes)
        self.bytes_read += filled
        if filled > _CRAMPED * len(sizes):
            self._large = filled > _LARGE * messages
            if self._slots > _FEW_SLOTS:
                self._slots = _FEW_SLOTS
                self._arena.madvise(mmap.MADV_DONTNEED, _SLOT * _FEW_SLOTS)
        elif len(sizes) == self._slots:
            self._slots = _SLOTS

    def _read_large(self, opened: socket.socket, reception: Reception) -> list[Message]:
        if self._refused:
            return super().read(opened, reception)
        batch: list[Message] = []
        try:
            self._read_each(batch, opened, reception, above=_LARGE)
        except OSError as error:
            if not batch and not isinstance(error, BlockingIOError):
                raise
        self._large = not batch or len(batch[-1].data) > _LARGE
        return batch

    def _sender(self, name: bytes) -> Address:
        sender = self._senders.get(name)
        if sender is None:
            if len(self._senders) >= _SENDERS:
                self._senders.clear()
            sender = self._senders[name] = _decode_name(name)
        return sender


def reader(family: Family) -> Reader:
    """The best reader of messages to one address that works here."""
    features = kernel_features.current()
    kind = BatchReader if features.recvmmsg else MessageReader if features.udp_gro else PlainReader
    return kind(family)


def group_reader(group: Group) -> Reader:
    """The best reader of a group's messages that works here."""
    return LocalReader("IPv4") if PLATFORM == "win32" and group.is_loopback else reader(group.family)


def interface_reader(family: Family, only: int = 0) -> Reader:
    """A reader that tells interfaces, where the system does. See :class:`InterfaceReader`."""
    return InterfaceReader(family, only) if kernel_features.current().recvmsg else PlainReader(family)


@lru_cache(maxsize=1024)
def _spaced(size: int, count: int) -> struct.Struct:
    """So many payloads of one size, a slot apart."""
    return struct.Struct(f"{size}s{_SLOT - size}x" * (count - 1) + f"{size}s")


@lru_cache(maxsize=1024)
def _packed(each: int, size: int) -> struct.Struct:
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
            opened.recv(_SLOT)
            lost += 1
    if lost:
        _log.warning("%d messages or more were lost: recvmsg, which tells where they end, is refused now", lost)


def _name(number: int) -> str:
    try:
        return socket.if_indextoname(number)
    except OSError:  # gone since
        return ""


def _host(sender: tuple[Any, ...]) -> str:
    """The address in what the socket module gives: a pair for IPv4, four values for IPv6."""
    return sender[0] if len(sender) == 2 else host_addresses.ipv6_text(sender[0], sender[3])


def _decode_name(name: bytes) -> Address:
    """``struct sockaddr_in`` or ``sockaddr_in6`` the way the socket module gives it."""
    (family,) = struct.unpack_from("=H", name)
    (port,) = struct.unpack_from("!H", name, 2)
    if family == socket.AF_INET:
        return socket.inet_ntoa(name[4:8]), port
    address = socket.inet_ntop(socket.AF_INET6, name[8:24])
    return host_addresses.ipv6_text(address, struct.unpack_from("=I", name, 24)[0]), port
