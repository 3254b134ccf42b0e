"""Reading and writing capture files, beside the libraries that do so.

``python -m benchmarks.captures`` prints a table of ratios; contenders alternate, pass by pass, and medians are told.
What is measured is the way from a file to payload, sender, destination and time of each datagram, and back. A
contender that is not installed, or cannot do it, is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import socket
import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rx_multicast_ipc import Message
from rx_multicast_ipc.capture import Reader, Writer

COUNT = 50_000
FEW = 2_000
"""For what takes too long."""

SIZES = (64, 1400)
TO = ("224.0.2.1", 61088)


def messages(size: int) -> list[Message]:
    return [Message(bytes(size), "127.0.0.1", 5000, "IPv4", 1.7e9 + number * 1e-5) for number in range(COUNT)]


def make_pcapng(path: Path, pcap: Path) -> None:
    """The packets of a file that ours wrote, as pcapng."""

    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)

    content = pcap.read_bytes()
    with path.open("wb") as made:
        made.write(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
        made.write(block(1, struct.pack("<HHI", 101, 0, 0) + struct.pack("<HHB3xHH", 9, 1, 9, 0, 0)))
        at = 24
        while at < len(content):
            seconds, fraction, size, _ = struct.unpack_from("!IIII", content, at)
            ticks = seconds * 10**9 + fraction
            head = struct.pack("<IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, size, size)
            made.write(block(6, head + content[at + 16 : at + 16 + size]))
            at += 16 + size


def read_ours(path: Path) -> int:
    with Reader(path) as reader:
        return sum(1 for _ in reader)


def read_dpkt(path: Path) -> int:
    import dpkt

    count = 0
    with path.open("rb") as opened:
        for at, data in (dpkt.pcap if path.suffix == ".pcap" else dpkt.pcapng).Reader(opened):
            ip = dpkt.ip.IP(data)
            udp = ip.data
            _ = (bytes(udp.data), socket.inet_ntoa(ip.src), udp.sport, socket.inet_ntoa(ip.dst), udp.dport, float(at))
            count += 1
    return count


def read_scapy(path: Path) -> int:
    from scapy.all import IP, UDP
    from scapy.utils import RawPcapNgReader, RawPcapReader

    for count, (data, _about) in enumerate((RawPcapReader if path.suffix == ".pcap" else RawPcapNgReader)(str(path))):
        ip = IP(data)
        udp = ip[UDP]
        _ = (bytes(udp.payload), ip.src, udp.sport, ip.dst, udp.dport)
        if count == FEW - 1:
            break
    return FEW


def read_python_pcapng(path: Path) -> int:
    """Without what is in the packets: it stops there."""
    from pcapng import FileScanner

    count = 0
    with path.open("rb") as opened:
        for found in FileScanner(opened):
            if hasattr(found, "packet_data"):
                _ = (found.packet_data, found.timestamp)
                count += 1
                if count == FEW:
                    break
    return count


def write_ours(path: Path, given: list[Message]) -> int:
    with Writer(path) as writer:
        for at in range(0, len(given), 64):
            writer.write(given[at : at + 64], TO)
    return len(given)


def write_ours_single(path: Path, given: list[Message]) -> int:
    with Writer(path) as writer:
        for message in given:
            writer.write((message,), TO)
    return len(given)


def write_dpkt(path: Path, given: list[Message]) -> int:
    import dpkt

    with path.open("wb") as opened:
        writer = dpkt.pcap.Writer(opened, linktype=101, nano=True)
        for message in given:
            udp = dpkt.udp.UDP(sport=message.port, dport=TO[1], ulen=8 + len(message.data), data=message.data)
            ip = dpkt.ip.IP(src=socket.inet_aton(message.address), dst=socket.inet_aton(TO[0]), p=17, data=udp)
            ip.len = len(ip)
            writer.writepkt(ip, message.received_at)
    return len(given)


def write_scapy(path: Path, given: list[Message]) -> int:
    from scapy.all import IP, UDP, Raw
    from scapy.utils import RawPcapWriter

    with RawPcapWriter(str(path), linktype=101, nano=True) as writer:
        for message in given[:FEW]:
            packet = IP(src=message.address, dst=TO[0]) / UDP(sport=message.port, dport=TO[1]) / Raw(message.data)
            writer.write(bytes(packet))
    return FEW


PCAPNG_ALONE = "python-pcapng, packets unopened"

READERS: dict[str, Callable[[Path], int]] = {
    "rx_multicast_ipc": read_ours,
    "dpkt": read_dpkt,
    "scapy": read_scapy,
    PCAPNG_ALONE: read_python_pcapng,
}
WRITERS: dict[str, Callable[[Path, list[Message]], int]] = {
    "rx_multicast_ipc, batches of 64": write_ours,
    "rx_multicast_ipc, one by one": write_ours_single,
    "dpkt": write_dpkt,
    "scapy": write_scapy,
}
MODULES = {"dpkt": "dpkt", "scapy": "scapy", PCAPNG_ALONE: "pcapng"}


def installed(name: str) -> bool:
    return name not in MODULES or importlib.util.find_spec(MODULES[name]) is not None


def rate(work: Callable[[], int]) -> float:
    """Datagrams a second of CPU: other programs on the machine do not count."""
    started = time.process_time()
    count = work()
    return count / (time.process_time() - started)


Contest = tuple[str, dict[str, Callable[[], int]]]


def contests(folder: Path, size: int) -> Iterator[Contest]:
    given = messages(size)
    pcap, pcapng, made = folder / f"{size}.pcap", folder / f"{size}.pcapng", folder / "made.pcap"
    write_ours(pcap, given)
    make_pcapng(pcapng, pcap)
    both = {name: f for name, f in READERS.items() if name != PCAPNG_ALONE}
    yield f"read pcap, {size} B", {name: lambda f=f: f(pcap) for name, f in both.items()}
    yield f"read pcapng, {size} B", {name: lambda f=f: f(pcapng) for name, f in READERS.items()}
    yield f"write pcap, {size} B", {name: lambda f=f: f(made, given) for name, f in WRITERS.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--passes", type=int, default=5)
    passes = parser.parse_args().passes
    print("| what | with | datagrams a second of CPU | ours over it |\n|---|---|--:|--:|")
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            for what, contenders in contests(Path(folder), size):
                found: dict[str, list[float]] = {}
                for _ in range(passes):
                    for name, work in contenders.items():
                        if installed(name):
                            found.setdefault(name, []).append(rate(work))
                medians: dict[Any, float] = {name: statistics.median(rates) for name, rates in found.items()}
                ours = next(iter(medians.values()))
                for name, median in medians.items():
                    print(f"| {what} | {name} | {median:,.0f} | {ours / median:.2f} |", flush=True)


if __name__ == "__main__":
    main()
