"""``bench`` measures what arrives, and strangers neither end it nor make it answer more than it was asked."""

from __future__ import annotations

import os
import signal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops
from reactivex.testing import TestScheduler

from rx_multicast_ipc.cli.bench_protocol import (
    HEADER,
    MARK,
    MOST,
    Listener,
    Report,
    Run,
    datagrams,
    decode_report,
    encode_question,
)
from rx_multicast_ipc.testing import VirtualNetwork

from ..helpers import Seen, ipc, needs_linux
from .helpers import command, end, records, start, wait_until_listening

RUN = b"12345678"
ASK = b'{"rx-multicast-ipc":"bench",'


class Scene:
    """A listener and somebody who asks it."""

    def __init__(self) -> None:
        self.network = VirtualNetwork(TestScheduler(), latency=0.001)
        channel = self.network.open_channel(host="10.0.0.1", echo=False)
        self.asker = self.network.open_channel(host="10.0.0.2", echo=False)
        self.got: list[bytes] = []
        self.told: list[Report] = []
        self.asker.messages.subscribe(lambda m: self.got.append(m.data))
        self.listener = Listener(channel, self.told.append, lambda: self.network.scheduler.now.timestamp())
        self.listener.listen()

    def say(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.asker.broadcast(payload).subscribe()
        self.network.scheduler.advance_by(1.0)

    @property
    def reports(self) -> list[Report]:
        return [report for data in self.got if (report := decode_report(data)) is not None]


def test_a_listener_tells_what_it_counted_to_who_asks() -> None:
    scene = Scene()
    one, two, three, four = datagrams(RUN, 0, 4, 100)
    scene.say(one, three, two, two, four)
    scene.say(encode_question(RUN))
    (report,) = scene.reports
    assert report == Report(RUN.hex(), received=4, bytes=400, seconds=report.seconds, duplicates=1, reordered=1)
    assert scene.told == [report]


def test_it_answers_no_more_bytes_than_it_was_asked_and_nobody_about_what_it_did_not_hear() -> None:
    scene = Scene()
    scene.say(*datagrams(RUN, 0, 2, 100))
    question = encode_question(RUN)
    short = b'{"rx-multicast-ipc":"bench","id":"%s"}' % RUN.hex().encode()
    scene.say(short, encode_question(b"another!"), question)
    assert len(scene.got) == 1
    assert len(scene.got[0]) <= len(question)


def test_forged_questions_are_answered_at_a_limit() -> None:
    scene = Scene()
    scene.say(*datagrams(RUN, 0, 2, 100))
    scene.say(*[encode_question(RUN)] * 1_000)
    assert len(scene.reports) <= 100
    assert len(scene.told) == 1


@pytest.mark.parametrize(
    "payload",
    [
        *(b"", MARK, MARK + RUN, MARK + RUN + bytes(7), MARK + RUN + b"\xff" * 8, MARK + RUN + MOST.to_bytes(8)),
        *(ASK + body for body in (b"", b'"id":5}', b'"id":"zz"}', b'"id":"\xff"}', b"[" * 9999)),
    ],
    ids=range(11),
)  # fmt: skip
def test_no_datagram_of_a_stranger_ends_it(payload: bytes) -> None:
    scene = Scene()
    scene.say(payload, *datagrams(RUN, 0, 1, HEADER), encode_question(RUN))
    assert [report.received for report in scene.reports] == [1]


@given(st.binary(max_size=60))
def test_a_report_of_a_stranger_is_one_or_none(data: bytes) -> None:
    report = decode_report(b'{"rx-multicast-ipc":"bench-report",' + data)
    assert report is None or report.received >= 0


def test_runs_without_number_are_kept_in_bounds() -> None:
    scene = Scene()
    for number in range(100):
        scene.say(*datagrams(number.to_bytes(8), MOST - 1, 1, HEADER))
    scene.say(*(encode_question(number.to_bytes(8)) for number in range(100)))
    assert len(scene.reports) == 8


@given(st.lists(st.integers(0, 200), max_size=80))
def test_a_run_counts_each_datagram_once(numbers: list[int]) -> None:
    run = Run(RUN)
    for number in numbers:
        run.take(number, 10, 1.0)
    report = run.report
    assert (report.received, report.duplicates) == (len(set(numbers)), len(numbers) - len(set(numbers)))
    assert report.bytes == 10 * report.received
    assert (report.reordered == 0) == (list(dict.fromkeys(numbers)) == sorted(set(numbers)))


@needs_linux
@pytest.mark.parametrize("options", [[], ["--reliable"]], ids=["plain", "reliable"])
def test_two_processes_measure_each_other(options: list[str], port: int) -> None:
    listening = start("bench", "--listen", "--verbose", "--port", port, *options)
    wait_until_listening(listening)
    code, out, err = command(
        *("bench", "--port", port, "--rate", 200, "--duration", 0.5, "--size", 64, "--pings", 5, "--timeout", 20),
        *options,
    )
    found, last = records(out)
    assert (code, err) == (0, "")
    assert (found["sent"], found["received"], found["lost"], found["pings"]["lost"]) == (100, 100, 0, 0)
    assert found["ms"]["median"] > 0
    assert (last["event"], last["sent"], last["listeners"]) == ("end", 100, 1)
    listening.send_signal(signal.SIGINT)
    code, out, _ = end(listening)
    assert code == 130
    assert [record["received"] for record in records(out)] == [100]


@needs_linux
def test_where_nobody_listens_it_says_what_to_start(port: int) -> None:
    code, out, _ = command(
        *("bench", "--human", "--port", port, "--duration", 0.1, "--rate", 50, "--pings", 1, "--timeout", 0.2)
    )
    assert code == 1
    assert b"nobody reported: start rx-multicast-ipc bench --listen" in out


@needs_linux
def test_loss_is_told_and_is_code_1(port: int) -> None:
    listening = start("bench", "--listen", "--verbose", "--port", port, "--receive-buffer", 2304)
    wait_until_listening(listening)
    os.kill(listening.pid, signal.SIGSTOP)
    with ipc.open_channel(port, echo=False) as channel:
        asked = Seen(channel.messages.pipe(ops.filter(lambda m: m.data.startswith(ASK))))
        measuring = start(
            *("bench", "--port", port, "--rate", 2000, "--duration", 0.5, "--pings", 0, "--timeout", 60, "--verbose")
        )
        asked.wait_for_count(1)
    os.kill(listening.pid, signal.SIGCONT)
    code, out, _ = end(measuring)
    listening.kill()
    end(listening)
    found, last = records(out)
    assert code == 1
    assert found["lost"] > 0
    assert found["received"] + found["lost"] == last["sent"] == 1000


@needs_linux
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--size", "23"], "--size is 24 bytes or more"),
        (["--size", "70000"], "does not fit"),
        (["--rate", "0"], "more than 0"),
        (["--topspeed", "--rate", "5"], "not allowed with"),
    ],
)
def test_a_mistake_in_the_call_is_told(arguments: list[str], reason: str) -> None:
    code, _, err = command("bench", *arguments)
    assert code == 2
    assert reason in err


def test_what_is_sent_is_of_the_size_that_was_asked_for() -> None:
    assert {len(payload) for size in (HEADER, 1000) for payload in datagrams(RUN, 5, 3, size)} == {HEADER, 1000}
    assert msgspec.json.decode(encode_question(RUN))["id"] == RUN.hex()
