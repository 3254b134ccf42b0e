"""Writes capture files: messages as the IP packets they came in."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from threading import RLock
from types import TracebackType
from typing import Final, NamedTuple, Self

from ..errors import CaptureFailed, InvalidAddress, InvalidOption, PayloadTooLarge
from ..message import Address, Message
from ..transport.ip_datagrams import PAYLOAD_LIMITS
from ..validation.arguments import check_flag, shown
from ..validation.not_copied import NotCopied
from ..validation.numeric_address import Ip
from .link_types import RAW
from .packet_dissector import UDP
from .pcap import FILE_HEADER, LONGEST, NANOSECOND_MAGIC, RECORD_HEADER
from .reader import check_path
from .standard_streams import open_file

_TTL: Final = 1
_DONT_FRAGMENT: Final = 0x4000
_FLOWS: Final = 1024
"""Pairs of addresses whose headers are kept made."""

_IPV4: Final = struct.Struct(f"!{RECORD_HEADER} BxH HH BBH 4s4s HHHH")
_IPV6: Final = struct.Struct(f"!{RECORD_HEADER} IHBB 16s16s HHHH")
_IPV4_FIXED: Final = 0x4500 + _DONT_FRAGMENT + (_TTL << 8 | UDP)
_HEADERS4: Final = 28
_HEADERS6: Final = 48
_MODULUS: Final = 0xFFFF


class _Flow(NamedTuple):
    """From whom to whom, packed, and what the addresses and ports add to checksums."""

    source: bytes
    destination: bytes
    addresses_sum: int
    udp_sum: int


class Writer(NotCopied):
    """A nanosecond pcap file (draft-ietf-opsawg-pcap) of raw IP packets, that Wireshark and tcpdump open.

    When :meth:`write` returns, the operating system has the messages: a crash of this process loses none of them, a
    crash of the machine may. IPv4 and IPv6 go into one file. It may be shared by threads, and is a context manager.

    A message's record says what its packet said, but for what a :class:`Message` does not keep: every packet has
    TTL 1, no options and no fragments. Lengths and checksums are right (RFC 768, 791, 1071, 8200). Of the time,
    ``received_at``, the file holds nanoseconds; a float holds today's to about 240 of them. It has no place for
    ``interface``, nor for the link that an IPv6 address is on (``%eth0``).

    A file that it makes is its owner's alone to read and write (mode 0600), for it holds what others said. A symbolic
    link is followed to a file that exists, but no file is made where it points to.

    Args:
        path: the file. What it held is replaced.
        replace: False refuses a file that exists.

    Attributes:
        written: how many messages are in it.

    Raises:
        InvalidOption: ``path`` is no path.
        CaptureFailed: it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, replace: bool = True) -> None:
        self._path = check_path(path)
        check_flag("replace", replace)
        self._lock = RLock()  # a signal handler may write while its thread does
        self._flows: dict[tuple[str, int, Address], _Flow] = {}
        self.written = 0
        try:
            self._file = open(self._path, "wb", buffering=0, opener=_replace if replace else _make)  # noqa: SIM115
        except FileExistsError as error:
            raise CaptureFailed(_why_it_is_there(self._path)) from error
        except OSError as error:
            raise self._failed(error) from error
        header = struct.pack(f"!{FILE_HEADER}", NANOSECOND_MAGIC, 2, 4, 0, 0, LONGEST, RAW)
        try:
            self._put(header)
        except BaseException:
            self._file.close()
            raise

    def write(self, messages: Iterable[Message], destination: Address) -> None:
        """Add ``messages`` that were sent to ``destination``, in order.

        Args:
            messages: what came.
            destination: where to: a numeric address, of the messages' family, and a UDP port.

        Raises:
            InvalidAddress, InvalidOption, PayloadTooLarge: a message that no packet can carry. None of them is written.
            CaptureFailed: the file cannot be written, or was closed. All that was written before is in it, whole.
        """
        if not isinstance(destination, tuple) or len(destination) != 2:
            raise InvalidAddress(
                f'destination is an address and a port, ("224.0.2.1", 61088), not {shown(destination)}'
            )
        if not isinstance(messages, Iterable):
            raise InvalidOption(f"messages are several Messages, such as [message], not {shown(messages)}")
        parts: list[bytes] = []
        for message in messages:
            if not isinstance(message, Message):
                raise InvalidOption(f"a capture holds Messages, not {shown(message)}")
            parts += self._packet(message, destination)
        with self._lock:
            if self._file.closed:
                raise CaptureFailed(f"{self._path} is closed; a Writer that is closed stays closed")
            self._put(b"".join(parts))
            self.written += len(parts) // 2

    def close(self) -> None:
        """Close the file; idempotent."""
        with self._lock:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _packet(self, message: Message, destination: Address) -> tuple[bytes, bytes]:
        """The headers of ``message``, and its payload."""
        data = message.data
        key = message.address, message.port, destination
        flow = self._flows.get(key) or self._new_flow(*key)
        source, to, addresses_sum, udp_sum = flow
        size = len(data)
        # The ones' complement sum of 16-bit words (RFC 1071) is the number that they make modulo 2^16 - 1.
        words = int.from_bytes(data) << (size & 1) * 8
        checksum = _MODULUS - (udp_sum + 2 * size + words) % _MODULUS  # never 0, which would say that there is none
        try:
            seconds = int(message.received_at)
            nanoseconds = round((message.received_at - seconds) * 1e9)
            if nanoseconds == 1_000_000_000:
                seconds, nanoseconds = seconds + 1, 0
            if len(source) == 4:
                length = size + _HEADERS4
                ip_checksum = -(addresses_sum + length) % _MODULUS
                return _IPV4.pack(
                    *(seconds, nanoseconds, length, length),
                    *(0x45, length, 0, _DONT_FRAGMENT, _TTL, UDP, ip_checksum, source, to),
                    *(message.port, destination[1], size + 8, checksum),
                ), data
            length = size + _HEADERS6
            return _IPV6.pack(
                *(seconds, nanoseconds, length, length),
                *(0x60000000, size + 8, UDP, _TTL, source, to),
                *(message.port, destination[1], size + 8, checksum),
            ), data
        except (struct.error, ValueError, OverflowError) as error:  # the latter for what is no time at all
            limit = PAYLOAD_LIMITS["IPv4" if len(source) == 4 else "IPv6"]
            if size > limit:
                raise PayloadTooLarge(size, limit) from error
            raise InvalidOption(
                f"{message!r} at {message.received_at} s to port {destination[1]} cannot be a packet of a pcap file: "
                "times are seconds from 1970 to 2106, ports 0 to 65535"
            ) from error

    def _new_flow(self, address: str, port: int, destination: Address) -> _Flow:
        source, to = Ip.parse(address), Ip.parse(destination[0])
        if source is None or to is None:
            raise InvalidAddress(f"a capture holds numeric addresses, not {address!r} and {destination[0]!r}")
        if source.family != to.family:
            raise InvalidAddress(
                f"a packet from {address} ({source.family}) cannot have been sent to {destination[0]} ({to.family}); "
                "say which group the messages were sent to"
            )
        addresses = int.from_bytes(source.packed + to.packed) % _MODULUS
        # The UDP header, and the pseudo header before it, both with the payload's length yet to be added.
        udp_sum = addresses + UDP + 8 + port + destination[1] + 8
        if len(self._flows) >= _FLOWS:
            self._flows.clear()
        flow = _Flow(source.packed, to.packed, addresses + _IPV4_FIXED, udp_sum)
        self._flows[address, port, destination] = flow
        return flow

    def _put(self, data: bytes) -> None:
        """Hand ``data`` to the operating system; if it takes but a part of it, take that back."""
        left = memoryview(data)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            done = len(data) - len(left)
            if done and self._file.seekable():
                self._file.truncate(self._file.seek(-done, os.SEEK_CUR))
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> CaptureFailed:
        return CaptureFailed(
            f"cannot write {self._path}: {error.strerror or error}; {self.written} messages are in it, whole"
        )


def _replace(path: str, flags: int) -> int:
    """Open what is there, or else make a file. In two steps, so that none is made at the end of a symbolic link."""
    try:
        return open_file(path, flags & ~os.O_CREAT)
    except FileNotFoundError:
        return _make(path, flags)


def _make(path: str, flags: int) -> int:
    return open_file(path, flags | os.O_CREAT | os.O_EXCL)


def _why_it_is_there(path: str) -> str:
    if os.path.islink(path) and not os.path.exists(path):
        return (
            f"{path} is a symbolic link to a file that does not exist, and none is made there; remove the link, or "
            f"name the file that it points to: {os.path.realpath(path)}"
        )
    return f"{path} exists; choose another name, or remove it"
