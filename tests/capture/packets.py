"""Packets and capture files, put together by hand: what the package's own writer does not make."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

GROUP, PORT = "224.0.2.1", 61088
GROUP6 = "ff02::1:7"
SECOND = 1_000_000_000
NOON = 1_700_000_000 * SECOND
"""Some time, in nanoseconds since the Unix epoch."""

ETHERNET, RAW, SLL, SLL2, NULL, LOOP = 1, 101, 113, 276, 0, 108


def udp(data: bytes, source_port: int = 5000, port: int = PORT) -> bytes:
    return struct.pack("!HHHH", source_port, port, 8 + len(data), 0) + data


def udp_between(source: str, destination: str, data: bytes, source_port: int = 5000, port: int = PORT) -> bytes:
    """A UDP datagram with its checksum."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    addresses = socket.inet_pton(family, source) + socket.inet_pton(family, destination)
    size = 8 + len(data)
    header = struct.pack("!HHH", source_port, port, size)
    padded = addresses + struct.pack("!HH", 17, size) + header + data + bytes(size & 1)
    total = sum(word for (word,) in struct.iter_unpack("!H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return header + struct.pack("!H", (~total & 0xFFFF) or 0xFFFF) + data


def ipv4(
    payload: bytes,
    *,
    source: str = "10.0.0.1",
    destination: str = GROUP,
    protocol: int = 17,
    options: bytes = b"",
    identification: int = 0,
    fragment: int = 0,
) -> bytes:
    head = struct.pack(
        "!BBHHHBBH4s4s",
        *(0x45 + len(options) // 4, 0, 20 + len(options) + len(payload), identification, fragment),
        *(1, protocol, 0, socket.inet_aton(source), socket.inet_aton(destination)),
    )
    return head + options + payload


def ipv6(payload: bytes, *, source: str = "fe80::1", destination: str = GROUP6, kind: int = 17) -> bytes:
    addresses = [socket.inet_pton(socket.AF_INET6, address) for address in (source, destination)]
    return struct.pack("!IHBB16s16s", 0x60000000, len(payload), kind, 1, *addresses) + payload


HELLO = ipv4(udp(b"hello"))
HELLO6 = ipv6(udp(b"hello"))


def fragments(data: bytes, size: int, identification: int = 7, whole: bytes | None = None) -> list[bytes]:
    """A message in IPv4 fragments of so many bytes."""
    whole = whole or udp_between("10.0.0.1", GROUP, data)
    return [
        ipv4(
            whole[at : at + size],
            identification=identification,
            fragment=at // 8 | (0x2000 if at + size < len(whole) else 0),
        )
        for at in range(0, len(whole), size)
    ]


def fragments6(data: bytes, size: int, identification: int = 7) -> list[bytes]:
    """A message in IPv6 fragments of so many bytes."""
    whole = udp_between("fe80::1", GROUP6, data)
    return [
        ipv6(struct.pack("!BxHI", 17, at | (at + size < len(whole)), identification) + whole[at : at + size], kind=44)
        for at in range(0, len(whole), size)
    ]


def ethernet(packet: bytes, *tags: int) -> bytes:
    protocol = 0x0800 if packet[0] >> 4 == 4 else 0x86DD
    return bytes(12) + b"".join(struct.pack("!HH", tag, 7) for tag in tags) + struct.pack("!H", protocol) + packet


def cooked(packet: bytes, protocol: int = 0x0800) -> bytes:
    return struct.pack("!HHH8sH", 4, 1, 6, bytes(8), protocol) + packet


def cooked2(packet: bytes, protocol: int = 0x0800) -> bytes:
    return struct.pack("!HHIHBB8s", protocol, 0, 1, 1, 4, 6, bytes(8)) + packet


def pcap(
    *packets: bytes | tuple[float, bytes],
    link: int = RAW,
    order: str = "<",
    nanoseconds: bool = True,
    snaplen: int = 262_144,
    gap: int = 0,
) -> bytes:
    """A pcap file. Packets are ``gap`` nanoseconds apart, but for those that come with their time in seconds."""
    magic, unit = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    made = bytearray(struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, snaplen, link))
    for number, given in enumerate(packets):
        time, packet = (
            (round(given[0] * SECOND), given[1]) if isinstance(given, tuple) else (NOON + number * gap, given)
        )
        seconds, fraction = divmod(time, SECOND)
        made += struct.pack(f"{order}IIII", seconds, fraction // unit, min(len(packet), snaplen), len(packet))
        made += packet[:snaplen]
    return bytes(made)


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    size = struct.pack(f"{order}I", 12 + len(body))
    return struct.pack(f"{order}I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(link: int, order: str = "<", *, snaplen: int = 0, options: bytes = b"") -> bytes:
    return block(order, 1, struct.pack(f"{order}HHI", link, 0, snaplen) + options)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def enhanced(packet: bytes, ticks: int, order: str = "<", *, interface: int = 0) -> bytes:
    head = struct.pack(f"{order}IIIII", interface, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet))
    return block(order, 6, head + packet)


def simple(packet: bytes, order: str = "<") -> bytes:
    return block(order, 3, struct.pack(f"{order}I", len(packet)) + packet)


def obsolete(packet: bytes, ticks: int, order: str = "<", *, interface: int = 0) -> bytes:
    head = struct.pack(f"{order}HHIIII", interface, 0, ticks >> 32, ticks & 0xFFFFFFFF, len(packet), len(packet))
    return block(order, 2, head + packet)


def saved(folder: Path, content: bytes) -> Path:
    path = folder / "given.pcap"
    path.write_bytes(content)
    return path
