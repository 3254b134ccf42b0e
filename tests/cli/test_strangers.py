"""One datagram of a stranger, whatever is in it, ends no command and steers no terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex.testing import TestScheduler

from rx_multicast_ipc.cli.doctor.peer import Numbers
from rx_multicast_ipc.cli.doctor.peer_exchange import Exchange, Silence
from rx_multicast_ipc.cli.doctor.peer_findings import findings_of
from rx_multicast_ipc.cli.doctor.system_facts import System
from rx_multicast_ipc.cli.ping_figures import Figures
from rx_multicast_ipc.cli.ping_protocol import Ping, answer_pings, decode_ping, decode_pong, encode_ping
from rx_multicast_ipc.testing import VirtualNetwork

from ..helpers import Seen, ipc, needs_linux, shown_on, terminal
from .helpers import PROGRAM, Listen, end, records, start, wait_until_listening

A, B = "10.0.0.1", "10.0.0.2"
STEERING = "\u009b2J\u202eevil\u2066\x7f\x1b]0;x\x07\u200b\U000e0041"

BODIES = {
    "empty": b"",
    "not UTF-8": b'"id":"\xff","sequence":1,"time":1}',
    "nested lists": b'"x":' + b"[" * 60_000,
    "nested objects": b'"x":' + b'{"a":' * 10_000,
    "a long id": b'"id":"' + b"i" * 65_450 + b'","sequence":1,"time":1}',
    "an id one too long": b'"id":"' + b"i" * 65 + b'","sequence":1,"time":1}',
    "a huge number": b'"id":"a","sequence":' + b"9" * 60_000 + b',"time":1}',
    "beyond 2**53": b'"id":"a","sequence":9007199254740993,"time":1}',
    "a negative number": b'"id":"a","sequence":-1,"time":1}',
    "zero": b'"id":"a","sequence":0,"time":1}',
    "a fraction": b'"id":"a","sequence":1.5,"time":1}',
    "NaN": b'"id":"a","sequence":NaN,"time":NaN}',
    "control characters": b'"id":"' + bytes(range(32)) + b'","sequence":1,"time":1}',
    "no fields": b'"a":1}',
}
KINDS = (b"ping", b"pong", b"report")


def datagram(kind: bytes, body: bytes) -> bytes:
    return b'{"rx-multicast-ipc":"%s",%s' % (kind, body)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_no_ping_or_pong_is_made_of_what_is_none(body: bytes) -> None:
    assert decode_ping(datagram(b"ping", body)) is None
    assert decode_pong(datagram(b"pong", body)) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_an_exchange_goes_on_whatever_comes(kind: bytes, body: bytes) -> None:
    network = VirtualNetwork(TestScheduler(), latency=0.001)
    channel, stranger = network.open_channel(host=A, echo=False), network.open_channel(host=B)
    exchange = Exchange(channel, 0.5)
    with exchange.begin():
        data = datagram(kind, body)[:65_507]
        stranger.broadcast(data).subscribe()
        address, port = channel.sender_address
        stranger.send(data, port, address).subscribe()
        network.scheduler.advance_by(5.1)
        assert exchange.sent == 10
        assert list(findings_of(exchange, [], "eth0"))


@given(
    st.sampled_from(KINDS),
    st.dictionaries(
        st.sampled_from(["id", "of", "sequence", "time", "first", "last", "heard", "sent"]),
        st.text(max_size=70) | st.integers(-(2**70), 2**70) | st.floats() | st.none(),
    ),
    st.booleans(),
)
def test_no_fields_of_a_stranger_break_what_is_found(kind: bytes, fields: dict[str, object], ours: bool) -> None:
    network = VirtualNetwork(TestScheduler(), latency=0.001)
    channel, stranger = network.open_channel(host=A, echo=False), network.open_channel(host=B)
    exchange = Exchange(channel, 0.5)
    if ours:
        fields["of"] = fields["id"] = exchange.id
    with exchange.begin():
        network.scheduler.advance_by(1.1)
        address, port = channel.sender_address
        body = msgspec.json.encode(fields)[1:]
        data = datagram(kind, body)
        for send in (stranger.broadcast(data), stranger.send(data, port, address)):
            send.subscribe()
        network.scheduler.advance_by(20)
        assert exchange.sent == 42
        for finding in findings_of(exchange, [], "eth0"):
            assert all(figure >= 0 for figure in finding.figures.values())
            assert "-" not in finding.seen.replace("multicast-ipc", "")


@pytest.mark.parametrize("sequence", [1, 5, 2**53])
def test_one_forged_datagram_is_worth_a_few_answers_and_no_more(sequence: int) -> None:
    """Whoever it came from in truth, the owner of the address is not sent to for ever."""
    network = VirtualNetwork(TestScheduler(), latency=0.001)
    channel, forger = network.open_channel(host=A, echo=False), network.open_channel(host=B, echo=False)
    silences: list[Silence] = []
    exchange = Exchange(channel, 0.02, silences.append)
    got: list[ipc.Message] = []
    forger.messages.subscribe(lambda m: got.append(m) if m.direct else None)
    with exchange.begin():
        network.scheduler.advance_by(1)
        forger.broadcast(encode_ping(Ping("a", sequence, 1.0))).subscribe()
        network.scheduler.advance_by(60)
    assert 1 <= len(got) <= 4
    assert silences == []
    names = {finding.name: finding.severity for finding in findings_of(exchange, silences, "eth0")}
    assert names == {"unproved": "note"}


def test_a_flood_of_forged_pings_is_answered_at_the_limit_and_pings_go_on() -> None:
    network = VirtualNetwork(TestScheduler(), latency=0.001)
    channel, forger = network.open_channel(host=A, echo=False), network.open_channel(host=B, echo=False)
    exchange = Exchange(channel, 0.1)
    got: list[ipc.Message] = []
    forger.messages.subscribe(lambda m: got.append(m) if m.direct else None)
    with exchange.begin():
        for _ in range(1_000):
            for number in range(3):
                forger.broadcast(encode_ping(Ping("a", number + 1, 1.0))).subscribe()
            network.scheduler.advance_by(0.01)
        assert exchange.sent in (99, 100)
    assert 900 <= len(got) <= 1_100


def test_senders_without_number_are_kept_in_bounds() -> None:
    network = VirtualNetwork(TestScheduler(), latency=0.001)
    exchange = Exchange(network.open_channel(host=A, echo=False), 0.1)
    figures = Figures()
    figures.ping(0.0)
    for number in range(5_000):
        address = f"10.1.{number >> 8}.{number & 255}"
        exchange._hear(ipc.Message(encode_ping(Ping("a", 1, 1.0)), address, 5))  # pyright: ignore[reportPrivateUsage]
        figures.answer((address, 5), 1, 0.1)
    assert len(exchange.peers) <= 200
    assert len(figures.peers(1.0, 1.0)) <= 1_000
    assert figures.forgot_some


def test_numbers_are_counted_once_and_kept_in_bounds() -> None:
    numbers = Numbers()
    for number in [*range(3, 30_003), 3, *range(20_000, 30_000)]:
        numbers.add(number)
    assert (numbers.first, numbers.last, numbers.span) == (3, 30_002, 30_000)
    assert numbers.count == 30_000


def test_a_peer_whose_port_is_0_is_none() -> None:
    network = VirtualNetwork(TestScheduler(), latency=0.001)
    exchange = Exchange(network.open_channel(host=A, echo=False), 0.1)
    exchange._hear(ipc.Message(encode_ping(Ping("a", 1, 1.0)), B, 0))  # pyright: ignore[reportPrivateUsage]
    assert exchange.peers == {}


def test_a_responder_answers_a_host_so_many_times_a_second_and_goes_on_after_a_flood() -> None:
    network = VirtualNetwork(TestScheduler(), latency=0.001)
    responders = [network.open_channel(host=f"10.0.1.{number}", echo=False) for number in range(1, 6)]
    for channel in responders:
        answer_pings(channel)
    forger = network.open_channel(host=B, echo=False)
    got: list[ipc.Message] = []
    forger.messages.subscribe(got.append)
    ping = encode_ping(Ping("a", 1, 1.0), 1_436)
    for _ in range(2_000):
        forger.broadcast(ping).subscribe()
        network.scheduler.advance_by(0.0005)
    network.scheduler.advance_by(1)
    assert 400 < len(got) < 1_000
    before = len(got)
    forger.broadcast(ping).subscribe()
    network.scheduler.advance_by(1)
    assert len(got) == before + len(responders)


@needs_linux
def test_ping_goes_on_whatever_answers(port: int, channel: ipc.Channel) -> None:
    answer_pings(channel)
    seen = Seen(channel.messages)
    process = start("ping", "--port", port, "--count", 10, "--interval", 0.1)
    seen.wait_for_count(1)
    for body in BODIES.values():
        ipc.run(channel.broadcast(datagram(b"pong", body)[:65_507]))
    code, out, err = end(process)
    assert (code, err) == (0, "")
    assert records(out)[-1] == {"event": "end", "sent": 10, "peers": 1}


@needs_linux
@pytest.mark.parametrize("form", ["--json", "--human", "--raw"])
def test_nothing_that_is_heard_steers_a_terminal(form: str, port: int, channel: ipc.Channel) -> None:
    ours, theirs = terminal()
    listener = [*PROGRAM, "listen", "--verbose", "--count", "1", "--port", str(port), form]
    process = subprocess.Popen(listener, stdout=theirs, stderr=subprocess.PIPE, bufsize=0)
    os.close(theirs)
    wait_until_listening(process)
    ipc.run(channel.broadcast(STEERING))
    code, _, err = end(process)
    line = shown_on(ours).removesuffix("\r\n")
    assert (code, err) == (0, "")
    assert line.isprintable()
    assert "evil" in line
    if form == "--json":
        assert msgspec.json.decode(line)["data"] == STEERING


@needs_linux
def test_in_a_pipe_raw_stays_raw(listen: Listen, channel: ipc.Channel) -> None:
    process = listen("--raw", "--count", 1)
    ipc.run(channel.broadcast(STEERING))
    assert end(process)[1] == STEERING.encode() + b"\n"


COMMAND_LINES = {
    "Latin-1": b"caf\xe9",
    "an escape sequence": b"\x1b]0;pwned\x07\x1b[2Jx",
    "C1 and bidi": "\u009b2J\u202e".encode(),
    "lines": b"a\nb",
    "long": b"x" * 10_000,
}


@needs_linux
@pytest.mark.parametrize("form", ["--human", "--json"])
@pytest.mark.parametrize("argument", COMMAND_LINES.values(), ids=COMMAND_LINES.keys())
def test_no_command_line_of_a_program_ends_the_doctor_or_steers_a_terminal(
    argument: bytes, form: str, port: int
) -> None:
    code = f"import socket\ns = socket.socket(2, 2)\ns.setsockopt(1, 2, 1)\ns.bind(('', {port}))\nprint(1, flush=True)"
    code += "\ninput()"
    holder = subprocess.Popen(
        [sys.executable.encode(), b"-c", code.encode(), argument], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        ended, out, err = end(start("doctor", "--port", port, form))
    finally:
        holder.kill()
        holder.communicate()
    assert ended in (0, 1), err
    assert err == ""
    text = out.decode()
    assert f"process {holder.pid}" in text
    assert all(unicodedata.category(char)[0] != "C" for char in text if char != "\n")
    assert len(text) < 20_000


def test_names_of_the_system_in_any_encoding_are_read(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/version").write_bytes(b"\xff microsoft")
    assert System(tmp_path).is_wsl2()
