"""What has arrived at a socket, as messages: many datagrams a system call.

How this works. recvmmsg fills an arena of 64 KiB slots. With UDP_GRO a slot may hold a whole batch of
equal datagrams that one UDP_SEGMENT send made; a control message says how long each is. Payloads are copied out of
the arena at once, by one precompiled ``struct`` where their sizes are alike, so that no message keeps it alive.
Above ``_LARGE`` bytes a datagram the copy dominates, and one recvmsg each into memory of its own is cheaper.

Sources: recvmmsg(2), udp(7), cmsg(3).
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import struct
import time
from collections.abc import Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any, Final

from ...message import Address, Family, Message
from . import host_addresses, kernel_features
from .datagram_readers import CONTROL_SPACE, GRO_SIZE, LONGEST, MOST_BATCHES, MessageReader, Reception, host, packed
from .system_calls import DONTWAIT, IOVEC, MMSGHDR, REFUSED, address_of, recvmmsg

_SLOTS: Final = 64

_LARGE: Final = 8_192
"""Bytes of a datagram above which reading one by one is cheaper."""

_CRAMPED: Final = 4_096
"""Bytes a slot above which fewer slots are used, to stay within the processor's cache and 1 MiB."""

_NAME: Final = 28  # sizeof(struct sockaddr_in6)

_GRO_OFFSET: Final = 16  # behind struct cmsghdr

_LONE_READS: Final = 2
"""Reads in a row that brought one packet, after which recvmsg reads the next: ctypes and recvmmsg cost 10 µs more."""

_BURST: Final = 50e-6
"""Seconds between two packets that are worth a recvmmsg."""

_SENDERS: Final = 1024
"""Senders whose addresses are kept decoded."""


class BatchReader(MessageReader):
    """One recvmmsg for up to 64 datagrams, or GRO batches of them: on 64-bit Linux.

    Args:
        family: of the sockets that are read.
    """

    def __init__(self, family: Family) -> None:
        super().__init__(family)
        self._arena = mmap.mmap(-1, LONGEST * _SLOTS, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._names = bytearray(_NAME * _SLOTS)
        self._controls = bytearray(CONTROL_SPACE * _SLOTS)
        arena, names, controls = map(address_of, (self._arena, self._names, self._controls))
        self._vectors = bytearray().join(IOVEC.pack(arena + LONGEST * slot, LONGEST) for slot in range(_SLOTS))
        vectors = address_of(self._vectors)
        self._fresh = b"".join(
            MMSGHDR.pack(
                *(names + _NAME * slot, _NAME, vectors + IOVEC.size * slot, 1),
                *(controls + CONTROL_SPACE * slot, CONTROL_SPACE, 0, 0),
            )
            for slot in range(_SLOTS)
        )
        self._headers = bytearray(self._fresh)
        self._at = address_of(self._headers)
        self._sizes = memoryview(self._headers).cast("I")[14::16]
        self._control_sizes = memoryview(self._headers).cast("Q")[5::8]
        self._used = 0
        self._slots = MOST_BATCHES
        self._large = False
        self._lone = _LONE_READS
        self._into = (memoryview(self._arena)[:LONGEST],)
        self._read_at = 0.0
        self._refused = False
        self._senders: dict[bytes, Address] = {}

    def read(self, opened: socket.socket, reception: Reception) -> list[Message]:
        # One packet: the way of an answer, in few calls. Several at a time again as soon as they come quickly.
        if self._lone < _LONE_READS:
            return self._read_many(opened, reception)
        try:
            size, ancillary, _, sender = opened.recvmsg_into(self._into, CONTROL_SPACE)
        except BlockingIOError:
            return []
        except OSError as error:
            if error.errno not in REFUSED:
                raise
            self._large = self._refused = True
            self._lone = 0
            return self._read_large(opened, reception)
        now = time.time()
        if now - self._read_at < _BURST:
            self._lone = 0
        self._read_at = now
        self.bytes_read += size
        if ancillary or size > _LARGE or len(sender) != 2:
            return self._read_unlike(size, ancillary, sender, now, reception)
        return [Message(self._arena[:size], sender[0], sender[1], "IPv4", now, *reception)]

    def _read_many(self, opened: socket.socket, reception: Reception) -> list[Message]:
        if self._large:
            return self._read_large(opened, reception)
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
        self._lone = self._lone + 1 if count == 1 else 0
        if count == 1 and not self._control_sizes[0]:
            size = self._sizes[0]
            self.bytes_read += size
            self._large = size > _LARGE
            address, port = self._sender(bytes(self._names[:_NAME]))
            return [Message(self._arena[:size], address, port, self._family, now, *reception)]
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

    def _read_unlike(
        self, size: int, ancillary: list[tuple[int, int, bytes]], sender: Any, now: float, reception: Reception
    ) -> list[Message]:
        """What one recvmsg brought that is no small datagram of IPv4: a GSO batch, or large."""
        each = GRO_SIZE.unpack_from(ancillary[0][2])[0] if ancillary else size
        if each > _LARGE:
            self._large = True
            self._lone = 0
        fields = (host(sender), sender[1], self._family, now, *reception)
        return list(map(Message, packed(each, size).unpack_from(self._arena), *map(repeat, fields)))

    def _payloads(self, sizes: list[int]) -> tuple[Sequence[bytes], list[int] | None]:
        """The payloads, and how many each slot held where any held more than one."""
        count = len(sizes)
        arena = self._arena
        batches = self._control_sizes[:count].tolist()
        if not any(batches):
            if sizes.count(sizes[0]) == count:
                return _spaced(sizes[0], count).unpack_from(arena), None
            return [
                arena[at : at + size] for at, size in zip(range(0, LONGEST * count, LONGEST), sizes, strict=True)
            ], None
        payloads: list[bytes] = []
        counts: list[int] = []
        for slot, (size, is_batch) in enumerate(zip(sizes, batches, strict=True)):
            before = len(payloads)
            if is_batch:
                (each,) = GRO_SIZE.unpack_from(self._controls, CONTROL_SPACE * slot + _GRO_OFFSET)
                payloads.extend(packed(each, size).unpack_from(arena, LONGEST * slot))
            else:
                payloads.append(arena[LONGEST * slot : LONGEST * slot + size])
            counts.append(len(payloads) - before)
        return payloads, counts

    def _adapt(self, sizes: list[int], messages: int) -> None:
        filled = sum(sizes)
        self.bytes_read += filled
        if filled > _CRAMPED * len(sizes):
            self._large = filled > _LARGE * messages
            if self._slots > MOST_BATCHES:
                self._slots = MOST_BATCHES
                self._arena.madvise(mmap.MADV_DONTNEED, LONGEST * MOST_BATCHES)
        elif len(sizes) == self._slots:
            self._slots = _SLOTS

    def _read_large(self, opened: socket.socket, reception: Reception) -> list[Message]:
        if self._refused:
            return super().read(opened, reception)
        batch: list[Message] = []
        try:
            self.read_each(batch, opened, reception, above=_LARGE)
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


@lru_cache(maxsize=1024)
def _spaced(size: int, count: int) -> struct.Struct:
    """So many payloads of one size, a slot apart."""
    return struct.Struct(f"{size}s{LONGEST - size}x" * (count - 1) + f"{size}s")


def _decode_name(name: bytes) -> Address:
    """``struct sockaddr_in`` or ``sockaddr_in6`` the way the socket module gives it."""
    (family,) = struct.unpack_from("=H", name)
    (port,) = struct.unpack_from("!H", name, 2)
    if family == socket.AF_INET:
        return socket.inet_ntoa(name[4:8]), port
    address = socket.inet_ntop(socket.AF_INET6, name[8:24])
    return host_addresses.ipv6_text(address, struct.unpack_from("=I", name, 24)[0]), port
