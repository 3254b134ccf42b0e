"""Reads capture files: what of them are UDP datagrams."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import Final, Self

import msgspec

from ..errors import InvalidGroup, InvalidOption
from ..group import check_port
from ..message import Message
from ..validation.arguments import is_path, shown
from ..validation.numeric_address import Ip
from . import pcap, pcapng
from .captured_datagram import Datagram
from .file_source import Source
from .packet_dissector import Dissector, address_text, may_be_messages

_OTHER: Final = "another port or group"
_COMPRESSED: Final = {
    b"\x28\xb5\x2f\xfd": "unzstd",
    b"\xfd7zX": "unxz",
    b"\x04\x22\x4d\x18": "unlz4",
    b"BZh": "bunzip2",
}
"""How a compressed file begins, and what unpacks it."""


class Progress(msgspec.Struct, frozen=True):
    """How far the reading of a capture has come.

    Attributes:
        position: bytes of the file, as unpacked, that were read.
        size: bytes of the whole file; None if that is not known, as of a pipe or of what is compressed.
        messages: datagrams that were taken.
        skipped: packets that were not, by reason: not UDP, another port or group, a link of an unknown type, a tunnel
            that is not opened, cut short by the snaplen of the capture, malformed; and datagrams that could not be
            put together from their fragments.
    """

    position: int
    size: int | None
    messages: int
    skipped: dict[str, int]

    @property
    def unread(self) -> dict[str, int]:
        """Of what was skipped, that which was or may have been messages, by reason."""
        return {reason: count for reason, count in self.skipped.items() if may_be_messages(reason)}


class Reader(Iterator[Datagram]):
    """The UDP datagrams of a capture file, one after the other; a context manager that closes the file.

    Takes pcap (either byte order, microseconds or nanoseconds) and pcapng (any number of sections and interfaces), from
    Ethernet, Linux cooked (v1, v2), loopback, raw IP, PPP, IEEE 802.11 (plain, radiotap, AVS, Prism, PPI), NFLOG, pktap
    and some other links, as they are or packed by gzip; IPv4 and IPv6, put together where they were fragmented, behind
    VLAN tags, MPLS and PPPoE, and in GRE, IP-in-IP and EtherIP tunnels. Everything else is skipped and counted, as
    encrypted tunnels and links of an unknown type are (``progress.unread``). So is a datagram that was cut short when
    it was captured. A datagram in a tunnel over UDP, as of VXLAN, stays that of the tunnel. No more than a megabyte of
    the file is held at a time.

    Fragments are put together only if they were captured within 30 s, do not overlap, and the checksum of the whole
    holds. Two things a capture does not tell. The checksums of what came whole are not verified, for where a network
    card computes them they are not yet right in what is captured. And datagrams that ``broadcast_all`` sent together
    pass the loopback interface as one, so that a capture made there (by tcpdump, not by ``write``) holds one long
    datagram instead of them.

    Why not a library: dpkt (last released in 2022) takes the first interface of a pcapng file for all and the
    rest of a cut file for a packet; scapy is under the GPL, and ends silently where a file is cut; python-pcapng
    is right, but reads no pcap, and a fifth as fast before it opens a packet; pypcapfile reads no pcapng, and
    holds the whole file. ``python -m benchmarks.captures`` compares their speed.

    Args:
        path: the file.
        port: take what was sent to this UDP port only.
        group: take what was sent to this multicast group only.

    Raises:
        InvalidOption, InvalidPort, InvalidGroup: a mistake in the call.
        CaptureFailed: the file cannot be opened, or not be read any further.
        CaptureCorrupt: at once, if it is no capture file; else while iterating, where it is cut or damaged.
    """

    def __init__(self, path: str | os.PathLike[str], *, port: int | None = None, group: str | None = None) -> None:
        self._port, self._group = check_filter(port, group)
        self._source = Source(check_path(path))
        self._dissector = Dissector()
        self._messages = 0
        self._datagrams = self._read()
        try:
            self._frames = self._begin()
        except BaseException:
            self.close()
            raise

    @property
    def progress(self) -> Progress:
        """How far it has come."""
        return Progress(self._source.position, self._source.size, self._messages, self._dissector.counts())

    def close(self) -> None:
        """Close the file; idempotent."""
        self._source.close()

    def __next__(self) -> Datagram:
        return next(self._datagrams)

    def __iter__(self) -> Generator[Datagram]:
        return self._datagrams

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self) -> Iterator[pcap.Frame]:
        source = self._source
        try:
            magic = source.read(4)
        except OSError as error:
            raise source.failed(error) from error
        if magic in pcap.MAGICS:
            return pcap.frames(source, magic)
        if magic == pcapng.MAGIC:
            return pcapng.frames(source, magic)
        if not magic:
            raise source.corrupt("the file is empty; a capture has a header")
        if program := _COMPRESSED.get(magic) or _COMPRESSED.get(magic[:3]):
            raise source.corrupt(f"the file is compressed; unpack it first, with {program}")
        raise source.corrupt("this is neither a pcap nor a pcapng file; make one with tcpdump -w, or capture.write()")

    def _read(self) -> Generator[Datagram]:
        dissector = self._dissector
        dissect = dissector.dissect
        port, group = self._port, self._group
        try:
            for link, time, frame, length, interface in self._frames:
                found = dissect(link, frame, length, time, interface)
                if found is None:
                    continue
                source, destination, source_port, to_port, data = found
                if (port is not None and to_port != port) or (group is not None and destination != group):
                    dissector.skip(_OTHER)
                    continue
                self._messages += 1
                message = Message(
                    data,
                    address_text(source),
                    source_port,
                    "IPv4" if len(destination) == 4 else "IPv6",
                    time / 1_000_000_000,
                    dissector.is_direct(link, frame, destination),
                    "",
                    to := (address_text(destination), to_port),
                )
                yield Datagram(message, to)
        except OSError as error:
            raise self._source.failed(error) from error


def check_path(path: str | os.PathLike[str]) -> str:
    """``path`` as text; raises ``InvalidOption``."""
    if not isinstance(path, str | os.PathLike) or not isinstance(text := os.fspath(path), str) or not is_path(text):
        raise InvalidOption(f"path is the name of a capture file, as str or pathlib.Path, not {shown(path)}")
    return text


def check_filter(port: int | None, group: str | None) -> tuple[int | None, bytes | None]:
    """``port``, and ``group`` as packed bytes; raises ``InvalidPort``, ``InvalidGroup``."""
    if group is None:
        return port if port is None else check_port(port), None
    ip = Ip.parse(group) if isinstance(group, str) else None
    if ip is None or not ip.is_multicast:
        raise InvalidGroup(f'group is a multicast address such as "224.0.2.1", or None for all, not {shown(group)}')
    return port if port is None else check_port(port), ip.packed
