"""What is written is a pcap file that says what was received, and that other programs open."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rx_multicast_ipc as ipc
from rx_multicast_ipc.capture import Datagram, Reader, Writer
from rx_multicast_ipc.message import Address, Family

from ..helpers import PATIENCE, python
from .packets import GROUP, PORT
from .tcpdump import needs_tcpdump

needs_tshark = pytest.mark.skipif(not shutil.which("tshark"), reason="needs tshark(1)")

NOW = 1_700_000_000.123456789
PORTS = st.integers(0, 65_535)


def datagrams(family: Family) -> st.SearchStrategy[Datagram]:
    kind, size = (socket.AF_INET, 4) if family == "IPv4" else (socket.AF_INET6, 16)
    addresses = st.binary(min_size=size, max_size=size).map(lambda packed: socket.inet_ntop(kind, packed))

    def make(data: bytes, address: str, port: int, received_at: float, destination: Address) -> Datagram:
        direct = not (ip_address(destination[0]).is_multicast or destination[0] == "255.255.255.255")
        return Datagram(ipc.Message(data, address, port, family, received_at, direct, "", destination), destination)

    times = st.floats(1e9, 4e9)  # in 2001 a float told 119 ns apart, and it gets worse
    return st.builds(make, st.binary(max_size=200), addresses, PORTS, times, st.tuples(addresses, PORTS))


@given(st.lists(st.one_of(datagrams("IPv4"), datagrams("IPv6")), max_size=8))
def test_what_was_written_is_what_is_read(sent: list[Datagram]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "written.pcap"
        with Writer(path) as writer:
            for message, destination in sent:
                writer.write([message], destination)
        assert writer.written == len(sent)
        with Reader(path) as reader:
            assert list(reader) == sent
        assert reader.progress.skipped == {}


@given(st.integers(0, 4_294_967_294), st.integers(0, 999_999_999))
def test_a_time_is_kept_to_the_nanosecond_or_to_what_a_float_can_tell(seconds: int, nanoseconds: int) -> None:
    received_at = seconds + nanoseconds / 1e9
    with TemporaryDirectory() as folder:
        path = Path(folder) / "written.pcap"
        with Writer(path) as writer:
            writer.write([ipc.Message(b"", received_at=received_at)], (GROUP, PORT))
        with Reader(path) as reader:
            assert next(reader).message.received_at == pytest.approx(received_at, rel=0, abs=1e-9)
        assert struct.unpack_from("!I", path.read_bytes(), 24)[0] in (seconds, seconds + 1)


def words_sum(data: bytes) -> int:
    """The ones' complement sum of RFC 1071, word by word."""
    total = 0
    for (word,) in struct.iter_unpack("!H", data + bytes(len(data) % 2)):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    return total


@given(datagrams("IPv4"))
def test_the_checksums_of_ipv4_hold(sent: Datagram) -> None:
    packet = written_packet(sent)
    udp = packet[20:]
    assert words_sum(packet[:20]) == 0xFFFF
    assert packet[10:12] != b"\xff\xff"
    assert words_sum(packet[12:20] + struct.pack("!HH", 17, len(udp)) + udp) == 0xFFFF
    assert udp[6:8] != b"\0\0"


@given(datagrams("IPv6"))
def test_the_checksums_of_ipv6_hold(sent: Datagram) -> None:
    packet = written_packet(sent)
    udp = packet[40:]
    assert words_sum(packet[8:40] + struct.pack("!IHBB", len(udp), 0, 0, 17) + udp) == 0xFFFF
    assert udp[6:8] != b"\0\0"


def written_packet(sent: Datagram) -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "written.pcap"
        with Writer(path) as writer:
            writer.write([sent.message], sent.destination)
        return path.read_bytes()[40:]


@pytest.mark.parametrize(("address", "group", "size"), [("10.0.0.1", GROUP, 65_507), ("fe80::1", "ff02::1", 65_527)])
def test_the_largest_payload_is_written_and_a_larger_one_is_not(
    tmp_path: Path, address: str, group: str, size: int
) -> None:
    path = tmp_path / "written.pcap"
    with Writer(path) as writer:
        writer.write([ipc.Message(bytes(size), address, 5)], (group, PORT))
        with pytest.raises(ipc.PayloadTooLarge) as raised:
            writer.write([ipc.Message(b"", address, 5), ipc.Message(bytes(size + 1), address, 5)], (group, PORT))
    assert (raised.value.limit, writer.written) == (size, 1)
    with Reader(path) as reader:
        assert [len(message.data) for message, _ in reader] == [size]


@pytest.mark.parametrize(
    ("message", "destination", "error", "reason"),
    [
        (ipc.Message(b"", "ann"), (GROUP, PORT), ipc.InvalidAddress, "numeric addresses, not 'ann'"),
        (ipc.Message(b""), ("here", PORT), ipc.InvalidAddress, "not '127.0.0.1' and 'here'"),
        (ipc.Message(b"", "::1"), (GROUP, PORT), ipc.InvalidAddress, r"from ::1 \(IPv6\).*which group"),
        (ipc.Message(b"", received_at=-1.0), (GROUP, PORT), ipc.InvalidOption, "from 1970 to 2106"),
        (ipc.Message(b"", received_at=float("nan")), (GROUP, PORT), ipc.InvalidOption, "from 1970 to 2106"),
        (ipc.Message(b"", received_at=float("inf")), (GROUP, PORT), ipc.InvalidOption, "from 1970 to 2106"),
        (ipc.Message(b"", received_at=5e9), (GROUP, PORT), ipc.InvalidOption, "from 1970 to 2106"),
        (ipc.Message(b"", port=70_000), (GROUP, PORT), ipc.InvalidOption, "ports 0 to 65535"),
        (ipc.Message(b""), (GROUP, -1), ipc.InvalidOption, "ports 0 to 65535"),
    ],
)
def test_a_message_that_no_packet_can_carry(
    tmp_path: Path, message: ipc.Message, destination: Any, error: type[Exception], reason: str
) -> None:
    with Writer(tmp_path / "written.pcap") as writer, pytest.raises(error, match=reason):
        writer.write([message], destination)


def test_the_link_of_a_link_local_sender_is_not_kept(tmp_path: Path) -> None:
    with Writer(tmp_path / "written.pcap") as writer:
        writer.write([ipc.Message(b"", "fe80::1%eth0", 5, "IPv6")], ("ff02::1", PORT))
    with Reader(tmp_path / "written.pcap") as reader:
        assert next(reader).message.address == "fe80::1"


def test_a_crash_loses_nothing_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "written.pcap"
    code = """
import os, signal, sys
import rx_multicast_ipc as ipc
from rx_multicast_ipc.capture import Writer
writer = Writer(sys.argv[1])
for number in range(1000):
    writer.write([ipc.Message(str(number).encode())], ("224.0.2.1", 61088))
os.kill(os.getpid(), signal.SIGTERM)
"""
    process = python(code, path)
    process.communicate(timeout=PATIENCE)
    assert abs(process.returncode) == signal.SIGTERM
    with Reader(path) as reader:
        assert [int(message.data) for message, _ in reader] == list(range(1000))


@contextmanager
def largest_file(size: int) -> Generator[None]:
    """The kernel writes no more than so many bytes to a file."""
    resource = pytest.importorskip("resource", reason="POSIX alone limits the size of files")
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_leaves_a_file_that_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "written.pcap"
    with Writer(path) as writer:
        writer.write([ipc.Message(bytes(50))], (GROUP, PORT))
        with largest_file(200), pytest.raises(ipc.CaptureFailed, match="1 messages are in it, whole") as raised:
            writer.write([ipc.Message(bytes(50))], (GROUP, PORT))
        assert isinstance(raised.value.__cause__, OSError)
        assert raised.value.__cause__.errno == errno.EFBIG
        writer.write([ipc.Message(b"room again")], (GROUP, PORT))
    with Reader(path) as reader:
        assert [message.data for message, _ in reader] == [bytes(50), b"room again"]


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "written.pcap"):
        with pytest.raises(ipc.CaptureFailed, match=re.escape(f"cannot write {path}")) as raised:
            Writer(path)
        assert isinstance(raised.value.__cause__, OSError)


def test_writing_after_close(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "written.pcap")
    writer.close()
    writer.close()
    with pytest.raises(ipc.CaptureFailed, match="closed"):
        writer.write([ipc.Message(b"")], (GROUP, PORT))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no pipes in the file system")
def test_a_pipe_can_be_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reading = subprocess.Popen(["cat", str(path)], stdout=subprocess.PIPE)
    with Writer(path) as writer:
        writer.write([ipc.Message(b"hello")], (GROUP, PORT))
    out, _ = reading.communicate(timeout=PATIENCE)
    (tmp_path / "copy").write_bytes(out)
    with Reader(tmp_path / "copy") as reader:
        assert next(reader).message.data == b"hello"


def both_families(path: Path) -> int:
    with Writer(path) as writer:
        writer.write([ipc.Message(bytes(n), "127.0.0.1", 5, "IPv4", NOW + n) for n in range(50)], (GROUP, PORT))
        writer.write([ipc.Message(bytes(n), "fe80::1", 5, "IPv6", NOW + n) for n in range(50)], ("ff02::1:7", PORT))
    return writer.written


@needs_tcpdump
def test_tcpdump_opens_it_and_finds_the_same(tmp_path: Path) -> None:
    path = tmp_path / "written.pcap"
    count = both_families(path)
    shown = subprocess.run(
        ["tcpdump", "-nnvv", "-r", str(path)], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    assert shown.stdout.count("udp sum ok") == count
    assert "bad" not in shown.stdout
    nanoseconds = subprocess.run(
        ["tcpdump", "-nn", "-tt", "--nano", "-c1", "-r", str(path)], capture_output=True, text=True, check=True
    )
    seconds, fraction = nanoseconds.stdout.split()[0].split(".")
    assert abs(int(fraction) - 123_456_789) <= 240
    assert int(seconds) == int(NOW)
    assert "127.0.0.1.5 > 224.0.2.1.61088: UDP, length 0" in nanoseconds.stdout


@needs_tshark
def test_wireshark_opens_it_and_finds_the_same(tmp_path: Path) -> None:
    path = tmp_path / "written.pcap"
    count = both_families(path)
    fields = ("udp.length", "udp.checksum.status", "udp.dstport", "ip.checksum.status", "_ws.expert.severity")
    shown = subprocess.run(
        [
            *("tshark", "-r", str(path), "-T", "fields", "-E", "separator=,", "-o", "udp.check_checksum:TRUE"),
            *("-o", "ip.check_checksum:TRUE", *[part for field in fields for part in ("-e", field)]),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=3 * PATIENCE,
    )
    lines = [line.split(",")[:4] for line in shown.stdout.splitlines()]
    assert len(lines) == count
    assert lines[:50] == [[str(8 + n), "1", str(PORT), "1"] for n in range(50)]
    assert lines[50:] == [[str(8 + n), "1", str(PORT), ""] for n in range(50)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps no modes; a file there has what its folder gives it")
def test_a_new_file_is_its_owners_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    new, old = tmp_path / "new.pcap", tmp_path / "old.pcap"
    old.write_bytes(bytes(10_000))
    old.chmod(0o640)
    for path in (new, old):
        Writer(path).close()
        assert path.stat().st_size == 24
    assert [stat.S_IMODE(path.stat().st_mode) for path in (new, old)] == [0o600, 0o640]


def test_a_file_that_exists_can_be_refused(tmp_path: Path) -> None:
    path = tmp_path / "written.pcap"
    Writer(path, replace=False).close()
    with pytest.raises(ipc.CaptureFailed, match="exists; choose another name"):
        Writer(path, replace=False)


@pytest.mark.wine_fault("symbolic links")
@pytest.mark.parametrize("replace", [True, False])
def test_a_symbolic_link_is_followed_to_what_exists_only(tmp_path: Path, replace: bool) -> None:
    link, target = tmp_path / "link.pcap", tmp_path / "target.pcap"
    link.symlink_to(target)
    with pytest.raises(ipc.CaptureFailed, match="symbolic link to a file that does not exist"):
        Writer(link, replace=replace)
    assert not target.exists()
    target.write_bytes(b"")
    if replace:
        Writer(link).close()
        assert target.stat().st_size == 24
        assert link.is_symlink()
