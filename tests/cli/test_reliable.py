"""``--reliable``: commands hear and speak to reliable channels, and tell of repairs, gaps and the other kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc.cli import exit_codes

from ..helpers import PATIENCE, needs_linux, run
from .helpers import Listen, command, end, records, start, wait_until_listening

pytestmark = needs_linux

FEW = 20


@pytest.fixture
def reliable(port: int) -> Iterator[ipc.Channel]:
    with ipc.open_channel(port, reliable=True) as channel:
        yield channel


def say(channel: ipc.Channel, *payloads: str) -> None:
    for payload in payloads:
        ipc.run(channel.broadcast(payload, acknowledged=True, timeout=PATIENCE))


def test_listen_prints_what_a_reliable_channel_says(listen: Listen, reliable: ipc.Channel) -> None:
    process = listen("--reliable", "--count", 2)
    large = "x" * 40_000  # more than a packet, and less than a pipe holds
    say(reliable, "hello", large)
    code, out, err = end(process)
    assert (code, err) == (0, "")
    assert [record["data"] for record in records(out)] == ["hello", large]


def test_a_raw_listener_says_once_that_others_are_reliable(listen: Listen, port: int) -> None:
    process = listen("--count", 3)
    with ipc.open_channel(port, reliable=True) as reliable:
        for number in range(5):
            ipc.run(reliable.broadcast(f"{number}"))
        code, _, err = end(process)
    assert code == 0
    assert err.count("add --reliable") == 1


def test_a_reliable_listener_says_that_others_are_raw(listen: Listen, channel: ipc.Channel) -> None:
    process = listen("--reliable", "--timeout", 5)
    for _ in range(5):
        ipc.run(channel.broadcast("raw"))
    code, out, err = end(process)
    assert (code, out) == (exit_codes.NOTHING, b"")
    assert "leave out --reliable" in err


def test_record_writes_messages_and_how_many_were_repaired(port: int, reliable: ipc.Channel, tmp_path: Path) -> None:
    path = tmp_path / "reliable.pcap"
    process = start("record", path, "--verbose", "--reliable", "--port", port, "--count", FEW)
    wait_until_listening(process)
    say(reliable, *(f"message {number}" for number in range(FEW)))
    code, out, _ = end(process)
    (record,) = records(out)
    assert code == 0
    assert (record["written"], record["missed"], record["repaired"]) == (FEW, 0, 0)
    data = path.read_bytes()
    assert all(b"message %d" % number in data for number in range(FEW))


def test_send_is_heard_by_a_reliable_channel(port: int, reliable: ipc.Channel) -> None:
    code, out, err = command("send", "--reliable", "--port", port, "stop")
    assert (code, out, err) == (0, b"", "")
    assert ipc.run(reliable.wait_for_message(timeout=PATIENCE)).text == "stop"


def test_send_to_nobody_is_told(port: int) -> None:
    code, _, err = command("send", "--reliable", "--port", port, "stop")
    assert code == exit_codes.NOTHING
    assert "not acknowledged" in err


def test_reliable_ends_ping_each_other(port: int) -> None:
    responder = start("ping", "--respond", "--reliable", "--verbose", "--port", port)
    try:
        wait_until_listening(responder)
        asked = ["ping", "--reliable", "--port", port, "--count", 3, "--interval", 0.05, "--json", "--quiet"]
        asked += ["--timeout", PATIENCE / 12]
        code, out, _ = command(*asked)
    finally:
        responder.kill()
        responder.communicate()
    peer = next(record for record in records(out) if record["event"] == "peer")
    assert (code, peer["received"], peer["lost"]) == (0, 3, 0)


def found(out: bytes) -> dict[str, str]:
    return {record["name"]: record["severity"] for record in records(out) if "name" in record}


@pytest.mark.parametrize("told", ["reliable", "reliable-traffic"])
def test_the_doctor_tells_of_reliable_channels(port: int, told: str) -> None:
    asked = ["doctor", "--peer", "--port", port, "--json", "--duration", 0.5]
    with ipc.open_channel(port) as ear:
        other = start(*asked, "--reliable", "--timeout", 1000)
        try:
            run(ear.wait_for_message(lambda message: message.data[:1] == b"\xf5"))  # it is there
            mine = ["--reliable", "--timeout", PATIENCE] if told == "reliable" else ["--timeout", 6]
            code, out, _ = command(*asked, *mine)
            assert told in found(out)
            assert code in (exit_codes.OK, exit_codes.NOTHING)
        finally:
            other.kill()
            other.communicate()
