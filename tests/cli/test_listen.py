"""``listen`` prints what was asked for, in the form that was asked for."""

from __future__ import annotations

import os
import subprocess
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rx_multicast_ipc.cli.output import Shown
from rx_multicast_ipc.strangers.printable_text import printable_bytes

from ..helpers import PATIENCE, ipc, shown_on, terminal
from .helpers import PROGRAM, Listen, command, end, records, wait_until_listening


def say(channel: ipc.Channel, *payloads: str | bytes) -> None:
    for payload in payloads:
        ipc.run(channel.broadcast(payload))


def test_a_message_is_a_json_line_in_a_pipe(listen: Listen, channel: ipc.Channel) -> None:
    process = listen("--count", 1)
    say(channel, "hello")
    code, out, err = end(process)
    (record,) = records(out)
    address, port = channel.sender_address
    assert (code, err) == (0, "")
    assert abs(record.pop("received_at") - ipc.run(channel.wait_for_message(timeout=PATIENCE)).received_at) < PATIENCE
    expected: dict[str, Any] = {"data": "hello", "address": address, "port": port, "family": "IPv4"}
    expected |= {"direct": False, "interface": ""}
    expected["destination"] = [channel.group.address, channel.group.port]
    assert record == expected


def test_on_a_terminal_it_is_a_line_for_people(port: int, channel: ipc.Channel) -> None:
    ours, theirs = terminal()
    listener = [*PROGRAM, "listen", "--verbose", "--count", "1", "--port", str(port)]
    process = subprocess.Popen(listener, stdout=theirs, stderr=subprocess.PIPE, bufsize=0)
    os.close(theirs)
    wait_until_listening(process)
    say(channel, "h\N{LATIN SMALL LETTER E WITH ACUTE}llo\x1b[2J")
    code, _, err = end(process)
    line = shown_on(ours)
    assert (code, err) == (0, "")
    address, sender = channel.sender_address
    assert line.split("  ", 1)[1] == f"{address}:{sender}  h\N{LATIN SMALL LETTER E WITH ACUTE}llo\\x1b[2J\r\n"


def test_raw_prints_payloads_alone(listen: Listen, channel: ipc.Channel) -> None:
    process = listen("--count", 2, "--raw")
    say(channel, bytes(range(256)), "")
    assert end(process) == (0, bytes(range(256)) + b"\n\n", "")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--contains", "join:"], ["join:Ann", "rejoin:Cid"]),
        (["--match", "^(join|leave):"], ["join:Ann", "leave:Bob"]),
        (["--match", "^join:", "--contains", "Ann"], ["join:Ann"]),
        (["--from", "127.0.0.1"], ["join:Ann", "leave:Bob"]),
        (["--from", "127.0.0.1:1"], []),
        (["--from", "10.0.0.1"], []),
        (["--direct"], []),
    ],
)
def test_it_prints_only_the_messages_that_were_chosen(
    options: list[str], expected: list[str], listen: Listen, channel: ipc.Channel
) -> None:
    process = listen("--count", len(expected) or 1, "--timeout", 30 if expected else 1, *options)
    say(channel, "join:Ann", "leave:Bob", "rejoin:Cid", "end")
    code, out, _ = end(process)
    assert [record["data"] for record in records(out)] == expected
    assert code == (0 if expected else 1)


def test_it_prints_what_one_sender_said(listen: Listen, channel: ipc.Channel, port: int) -> None:
    address, sender = channel.sender_address
    process = listen("--count", 1, "--from", f"{address}:{sender}")
    ipc.run(ipc.broadcast("somebody else's", port))
    say(channel, "mine")
    assert [record["data"] for record in records(end(process)[1])] == ["mine"]


def test_it_never_prints_more_than_was_asked_for(listen: Listen, channel: ipc.Channel) -> None:
    process = listen("--count", 3)
    ipc.run(channel.broadcast_all([str(number) for number in range(100)]))
    code, out, _ = end(process)
    assert code == 0
    assert [record["data"] for record in records(out)] == ["0", "1", "2"]


def test_a_time_out_without_a_message_is_code_1(port: int) -> None:
    assert command("listen", "--timeout", 0.1, "--port", port) == (1, b"", "")


def test_a_time_out_after_messages_is_code_0_unless_more_were_asked_for(listen: Listen, channel: ipc.Channel) -> None:
    enough = listen("--timeout", PATIENCE / 7)
    say(channel, "one")
    assert end(enough)[0] == 0
    missing = listen("--timeout", 1, "--count", 2)
    say(channel, "one")
    assert end(missing)[0] == 1


@given(st.binary(max_size=200))
def test_every_payload_survives_the_way_through_json(payload: bytes) -> None:
    shown = msgspec.json.decode(msgspec.json.encode(Shown.of(ipc.Message(payload)).record))["data"]
    assert (shown.encode() if isinstance(shown, str) else bytes.fromhex(shown["$bytes"])) == payload


@given(st.binary(max_size=200))
def test_no_payload_can_steer_a_terminal(payload: bytes) -> None:
    assert printable_bytes(payload).isprintable()
