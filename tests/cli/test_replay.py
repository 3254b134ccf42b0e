"""``replay`` sends what a capture holds: the same bytes, in the same order, with the same gaps."""

from __future__ import annotations

import gzip
import os
import re
import statistics
import subprocess
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from rx_multicast_ipc.capture import Reader, Writer, write

from ..capture.packets import HELLO, ipv4, pcap, saved, udp
from ..capture.tcpdump import TCPDUMP_SEES, capture_with_tcpdump, needs_tcpdump
from ..helpers import PATIENCE, Seen, interrupt, ipc, needs_linux, needs_namespaces, shown_on, terminal
from .helpers import PROGRAM, command, end, records, start

GROUP = ("224.0.2.1", 61088)


@pytest.fixture
def heard(port: int) -> Iterator[Seen[ipc.Message]]:
    """What is said on the test's port."""
    with ipc.open_channel(port) as channel:
        yield Seen(channel.messages)


def capture(folder: Path, payloads: Sequence[bytes], gap: float = 0.0) -> Path:
    path = folder / "captured.pcap"
    with Writer(path) as writer:
        for number, data in enumerate(payloads):
            writer.write([ipc.Message(data, port=5, received_at=1.7e9 + number * gap)], GROUP)
    return path


def data(messages: Sequence[ipc.Message]) -> list[bytes]:
    return [message.data for message in messages]


PAYLOADS = [b"", b"a", bytes(range(256)), bytes(60_000), b"last"]


def test_payloads_are_the_same_and_in_order(tmp_path: Path, port: int, heard: Seen[ipc.Message]) -> None:
    code, out, err = command("replay", capture(tmp_path, PAYLOADS), "--port", port)
    (told,) = records(out)
    assert (code, err, told["sent"], told["skipped"]) == (0, "", 5, {})
    assert data(heard.wait_for_count(5)) == PAYLOADS


@needs_linux
@pytest.mark.quiet_machine
@pytest.mark.parametrize("speed", [1, 2])
def test_gaps_are_those_of_the_capture_to_a_millisecond_at_the_median(
    tmp_path: Path, port: int, heard: Seen[ipc.Message], speed: int
) -> None:
    gap, count = 0.008, 60
    path = capture(tmp_path, [b"x"] * count, gap)

    def error() -> float:
        before = len(heard.values)
        assert command("replay", path, "--port", port, "--speed", speed)[0] == 0
        times = [message.received_at for message in heard.wait_for_count(before + count)[before:]]
        return statistics.median(abs(after - before - gap / speed) for before, after in pairwise(times))

    assert any(error() < 0.001 for _ in range(20))  # a machine that is busy elsewhere gets other chances


def test_what_was_recorded_comes_back(tmp_path: Path, port: int, heard: Seen[ipc.Message]) -> None:
    sent = [number.to_bytes(4) * 16 for number in range(5000)]
    again = tmp_path / "again.pcap"
    with ipc.open_channel(port) as channel:
        written = Seen(channel.messages.pipe(write(again, channel)))
        assert command("replay", capture(tmp_path, sent, 1e-5), "--port", port, "--speed", 2)[0] == 0
        written.wait_for_count(len(sent))
    with Reader(again) as reader:
        assert [message.data for message, _ in reader] == sent
    assert data(heard.wait_for_count(len(sent))) == sent


@needs_namespaces
@needs_tcpdump
def test_what_tcpdump_captured_is_replayed(tmp_path: Path, port: int, heard: Seen[ipc.Message]) -> None:
    path = tmp_path / "tcpdump.pcap"
    capture_with_tcpdump(path, "-i", "lo")
    code, out, _ = command("replay", path, "--from-port", 61088, "--port", port)
    assert (code, records(out)[0]["skipped"]) == (0, {"another port or group": 1})
    assert data(heard.wait_for_count(len(TCPDUMP_SEES))) == TCPDUMP_SEES


def test_at_top_speed_gaps_do_not_matter(tmp_path: Path, port: int, heard: Seen[ipc.Message]) -> None:
    path = capture(tmp_path, [b"a", b"b"], 3600.0)
    assert command("replay", path, "--port", port, "--topspeed")[0] == 0
    assert data(heard.wait_for_count(2)) == [b"a", b"b"]


def test_the_longest_gap_can_be_chosen(tmp_path: Path, port: int, heard: Seen[ipc.Message]) -> None:
    path = capture(tmp_path, [b"a", b"b"], 1e6)
    assert command("replay", path, "--port", port, "--longest-gap", 0.01)[0] == 0
    assert data(heard.wait_for_count(2)) == [b"a", b"b"]


def test_it_loops(tmp_path: Path, port: int, heard: Seen[ipc.Message]) -> None:
    path = capture(tmp_path, [b"a", b"b"])
    code, out, _ = command("replay", path, "--port", port, "--loop", 3)
    assert (code, records(out)[0]["sent"]) == (0, 6)
    assert data(heard.wait_for_count(6)) == [b"a", b"b"] * 3


def test_a_loop_without_end_ends_with_ctrl_c(tmp_path: Path, port: int, heard: Seen[ipc.Message]) -> None:
    process = start("replay", capture(tmp_path, [b"a"] * 3, 0.01), "--port", port, "--loop", 0)
    heard.wait_for_count(10)
    interrupt(process)
    code, out, err = end(process)
    assert (code, err) == (130, "")
    assert records(out)[0]["sent"] >= 9  # the interrupt may come between a send and its count


def test_only_what_was_sent_to_groups_is_replayed_and_the_rest_is_told(
    tmp_path: Path, port: int, heard: Seen[ipc.Message]
) -> None:
    mixed = pcap(
        HELLO,
        ipv4(udp(b"direct"), destination="10.0.0.2"),
        ipv4(udp(b"mdns", port=5353), destination="224.0.0.251"),
        ipv4(bytes(20), protocol=6),
    )
    path = saved(tmp_path, mixed)
    code, out, _ = command("replay", path, "--port", port)
    assert code == 0
    assert records(out)[0]["skipped"] == {"not UDP": 1, "sent to one address, not to a group": 1}
    assert data(heard.wait_for_count(2)) == [b"hello", b"mdns"]

    code, out, _ = command("replay", path, "--port", port, "--from-port", 5353, "--human")
    assert out.decode().splitlines()[1:] == ["skipped 2 packets: another port or group", "skipped 1 packet: not UDP"]
    assert command("replay", path, "--port", port, "--from-group", "224.0.2.1", "--direct")[0] == 0
    assert command("replay", path, "--port", port, "--direct")[0] == 0
    assert data(heard.wait_for_count(7))[2:] == [b"mdns", b"hello", b"hello", b"direct", b"mdns"]


def test_one_topic_is_replayed_and_the_rest_is_told(tmp_path: Path, port: int, heard: Seen[ipc.Message]) -> None:
    path = capture(tmp_path, [b"robot/pose\0[1]", b"robot/battery\x0087", b"text", b"robot/pose\0[2]"])
    code, out, _ = command("replay", path, "--port", port, "--topic", "robot/pose", "--loop", 2)
    assert (code, records(out)[0]["sent"]) == (0, 4)
    assert records(out)[0]["skipped"] == {"of another topic, or of none": 2}
    assert data(heard.wait_for_count(4)) == [b"robot/pose\0[1]", b"robot/pose\0[2]"] * 2


def test_a_damaged_file_is_sent_as_far_as_it_goes(tmp_path: Path, port: int, heard: Seen[ipc.Message]) -> None:
    path = saved(tmp_path, pcap(HELLO, HELLO, HELLO)[:-1])
    code, out, err = command("replay", path, "--port", port)
    assert (code, records(out)[0]["sent"]) == (3, 2)
    offset = 24 + 2 * (16 + len(HELLO))
    assert err == (
        f"rx-multicast-ipc: {path}, byte {offset}: a packet is cut after 32 of 33 bytes; "
        "all that stands before it was read\n"
    )
    assert data(heard.wait_for_count(2)) == [b"hello"] * 2


def test_datagrams_that_the_capture_cut_short_are_code_1(tmp_path: Path, port: int) -> None:
    path = saved(tmp_path, pcap(ipv4(udp(b"x")), HELLO, snaplen=30))
    code, out, err = command("replay", path, "--port", port)
    assert (code, records(out)[0]["sent"]) == (1, 1)
    assert "1 datagrams are missing: cut short" in err


def test_what_may_have_been_messages_and_cannot_be_read_is_told_at_the_end_and_code_1(
    tmp_path: Path, port: int
) -> None:
    path = saved(tmp_path, pcap(ipv4(bytes(40), protocol=50), HELLO, ipv4(bytes(20), protocol=6)))
    code, out, err = command("replay", path, "--port", port, "--human")
    assert code == 1
    assert out.decode().splitlines()[1:] == [
        "skipped 1 packet: tunnel ESP, encrypted; there may have been messages in them",
        "skipped 1 packet: not UDP",
    ]
    assert err.count("\n") == 1
    assert "tunnel ESP, encrypted: 1" in err


def test_a_file_that_gzip_packed_is_replayed(tmp_path: Path, port: int, heard: Seen[ipc.Message]) -> None:
    packed = gzip.compress(capture(tmp_path, PAYLOADS).read_bytes())
    assert command("replay", saved(tmp_path, packed), "--port", port)[0] == 0
    assert command("replay", "-", "--port", port, text=packed)[0] == 0
    assert data(heard.wait_for_count(10)) == PAYLOADS * 2


def test_a_file_with_nothing_to_replay_is_code_1(tmp_path: Path, port: int) -> None:
    path = saved(tmp_path, pcap(ipv4(bytes(20), protocol=6)))
    code, out, err = command("replay", path, "--port", port)
    assert (code, records(out)[0]["sent"]) == (1, 0)
    assert err == f"rx-multicast-ipc: there is nothing to replay in {path}\n"


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        (["/nowhere/at/all"], 3, "cannot read /nowhere/at/all: No such file"),
        ([__file__], 3, f"{__file__}, byte 0: this is neither a pcap nor a pcapng file"),
        ([__file__, "--from-port", "0"], 2, "port must be from 1 to 65535"),
        ([__file__, "--from-group", "10.0.0.1"], 2, "group is a multicast address"),
    ],
)
def test_what_cannot_be_replayed_is_one_line(arguments: list[str], code: int, reason: str) -> None:
    ended, out, err = command("replay", *arguments)
    assert (ended, out) == (code, b"")
    assert err.startswith(f"rx-multicast-ipc: {reason}")
    assert err.count("\n") == 1


def test_standard_input_can_be_the_file(tmp_path: Path, port: int, heard: Seen[ipc.Message]) -> None:
    path = capture(tmp_path, PAYLOADS)
    assert command("replay", "-", "--port", port, text=path.read_bytes())[0] == 0
    assert data(heard.wait_for_count(5)) == PAYLOADS


def test_a_terminal_shows_how_far_it_is(tmp_path: Path, port: int) -> None:
    ours, theirs = terminal()
    path = capture(tmp_path, [b"x"] * 40, 0.02)
    process = subprocess.Popen([*PROGRAM, "replay", str(path), "--port", str(port)], stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = shown_on(ours)
    assert process.wait(PATIENCE) == 0
    assert "%  " in shown
    assert "\r[" in shown
    assert shown.splitlines()[-1].endswith("s")
    told = re.search(r"sent 40 messages in (\d+\.\d+)", shown.splitlines()[-1])
    assert told
    assert float(told[1]) >= 0.8  # and as much more as the machine was busy
