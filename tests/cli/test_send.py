"""``send`` sends what it was given, where it was told to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from reactivex import operators as ops

from ..helpers import PATIENCE, ROOT, Seen, ipc, needs_posix
from .helpers import command, end, records, start


@pytest.fixture
def heard(channel: ipc.Channel) -> Seen[bytes]:
    """What arrives at the test's port."""
    return Seen(channel.messages.pipe(ops.map(lambda m: m.data)))


def settled(heard: Seen[bytes], port: int) -> list[bytes]:
    """All that was sent so far, and no more: the end comes the same way, as no message of the channel's own would."""
    ipc.run(ipc.broadcast("the end", port))
    heard.wait_for(lambda seen: seen.values[-1:] == [b"the end"])
    return heard.values[:-1]


def test_every_argument_is_a_datagram(port: int, heard: Seen[bytes]) -> None:
    assert command("send", "--port", port, "one", "", "tw\N{LATIN SMALL LETTER O WITH DIAERESIS}") == (0, b"", "")
    assert settled(heard, port) == [b"one", b"", "tw\N{LATIN SMALL LETTER O WITH DIAERESIS}".encode()]


@needs_posix
def test_every_line_of_standard_input_is_a_datagram(port: int, heard: Seen[bytes]) -> None:
    script = f"printf 'a\\nb\\n' | '{sys.executable}' -m rx_multicast_ipc send --port {port}"
    subprocess.run(["sh", "-c", script], check=True, cwd=ROOT, timeout=PATIENCE)
    assert settled(heard, port) == [b"a", b"b"]


def test_lines_are_sent_as_they_come(port: int, heard: Seen[bytes]) -> None:
    process = start("send", "--port", port)
    assert process.stdin is not None
    for number in range(1, 4):
        process.stdin.write(b"line\n")
        process.stdin.flush()
        heard.wait_for_count(number)
    assert end(process)[0] == 0


@pytest.mark.parametrize(
    ("text", "expected"), [(b"", []), (b"\n", [b""]), (b"a\n\nb", [b"a", b"", b"b"]), (b"\xff\r\n", [b"\xff\r"])]
)
def test_a_line_loses_its_newline_and_nothing_else(
    text: bytes, expected: list[bytes], port: int, heard: Seen[bytes]
) -> None:
    assert command("send", "--port", port, text=text) == (0, b"", "")
    assert settled(heard, port) == expected


def test_standard_input_whole_is_one_datagram(port: int, heard: Seen[bytes]) -> None:
    payload = bytes(range(256)) * 255 + bytes(227)
    assert command("send", "--port", port, "--whole", text=payload) == (0, b"", "")
    assert settled(heard, port) == [payload]


def test_a_file_is_one_datagram_or_one_a_line(tmp_path: Path, port: int, heard: Seen[bytes]) -> None:
    path = tmp_path / "lines.txt"
    path.write_bytes(b"a\nb\n")
    assert command("send", "--port", port, "--file", path) == (0, b"", "")
    assert command("send", "--port", port, "--file", path, "--lines") == (0, b"", "")
    assert settled(heard, port) == [b"a\nb\n", b"a", b"b"]


def test_it_repeats_what_it_was_given(port: int, heard: Seen[bytes]) -> None:
    assert command("send", "--port", port, "--repeat", 3, text=b"a\nb\n") == (0, b"", "")
    assert settled(heard, port) == [b"a", b"b"] * 3


def test_nothing_repeated_for_ever_is_nothing(port: int) -> None:
    assert command("send", "--port", port, "--repeat", 0) == (0, b"", "")


def test_a_rate_spreads_datagrams_over_time(port: int, channel: ipc.Channel) -> None:
    seen = Seen(channel.messages.pipe(ops.map(lambda m: m.received_at)))
    assert command("send", "--port", port, "x", "--repeat", 6, "--rate", 20) == (0, b"", "")
    times = seen.wait_for_count(6)
    assert times[-1] - times[0] >= 5 / 20 - 0.05


def test_a_payload_that_is_too_large_is_refused_after_those_before_it(port: int, heard: Seen[bytes]) -> None:
    code, _, err = command("send", "--port", port, text=b"a\n" + b"x" * 65_508)
    assert code == 2
    assert "65508 bytes does not fit in one datagram" in err
    assert settled(heard, port) == [b"a"]


@needs_posix
@pytest.mark.parametrize("arguments", [["--file", "/dev/zero"], ["--file", "/dev/zero", "--lines"]], ids=" ".join)
def test_what_has_no_end_is_too_large_and_does_not_fill_the_memory(arguments: list[str], port: int) -> None:
    code, _, err = command("send", "--port", port, *arguments)
    assert code == 2
    assert "does not fit in one datagram" in err


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", ""], ids=["address", "name", "none"])
def test_what_is_sent_to_one_address_arrives_there_alone(host: str, port: int, channel: ipc.Channel) -> None:
    with ipc.open_channel(port) as other:
        heard, heard_by_other = Seen(channel.messages), Seen(other.messages)
        own = channel.sender_address[1]
        assert command("send", "--port", port, "--to", f"{host}:{own}", "for you") == (0, b"", "")
        (message,) = heard.wait_for_count(1)
        assert (message.data, message.direct) == (b"for you", True)
        assert settled(Seen(other.messages.pipe(ops.map(lambda m: m.data))), port) == []
        assert [m.data for m in heard_by_other.values] == [b"the end"]


def test_all_datagrams_of_one_call_have_one_sender(port: int, channel: ipc.Channel) -> None:
    seen = Seen(channel.messages)
    command("send", "--port", port, "a", "b", "c")
    assert len({message.sender for message in seen.wait_for_count(3)}) == 1


def test_it_waits_for_direct_answers_and_prints_them(port: int, channel: ipc.Channel) -> None:
    answers = channel.messages.pipe(ops.flat_map(lambda m: channel.reply(m, f"Welcome {m.text}!")))
    answers.subscribe()
    code, out, err = command("send", "--port", port, "Ann", "Bob", "--reply", "--count", 2)
    assert (code, err) == (0, "")
    assert [(record["data"], record["direct"]) for record in records(out)] == [
        ("Welcome Ann!", True),
        ("Welcome Bob!", True),
    ]


def test_no_answer_in_time_is_code_1_and_told(port: int) -> None:
    code, out, err = command("send", "--port", port, "anybody?", "--reply", "--timeout", 0.1)
    assert (code, out, err) == (1, b"", "rx-multicast-ipc: no answer within 0.1 s\n")


def test_its_own_datagram_is_no_answer(port: int) -> None:
    assert command("send", "--port", port, "echo?", "--reply", "--timeout", 0.1)[0] == 1
