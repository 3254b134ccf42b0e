"""What ends in several processes promise each other, and what becomes of a process with open ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from collections.abc import Generator
from contextlib import contextmanager, suppress
from unittest import SkipTest

from ...errors import SendFailed
from ...message import Message
from ...transport import Transport
from .broken_promise import BrokenPromise, expect
from .rule import rule
from .transport_rig import End, Rig

PATIENCE = 120.0
"""Seconds that another process has to start and to end. Under Wine, on a busy machine, it imports for half a minute."""

_OPEN = """
from rx_multicast_ipc.channel_options import complete
from rx_multicast_ipc.transport import Hears
options = complete({})
end = open_transport(group, options)
end.start(lambda batch: None, lambda fault: None)
"""


@rule
def last_words_at_exit_are_heard(rig: Rig) -> None:
    """What a process sent is heard by the others, also if it ends right after, without closing its end."""
    end = rig.start()
    program = """
        for number in range(50):
            end.send(b"%d" % number)
        end.send_many([b"%d" % number for number in range(50, 100)])
        """
    with _elsewhere(rig, program) as process:
        rig.until(
            "another process's last words are heard, or it ends",
            lambda: b"99" in end.payloads or process.poll() is not None,
            PATIENCE,
        )
        expect("how it ended", process.wait(PATIENCE), 0)
    rig.hear(100, end)
    expect("what was heard", end.payloads, [b"%d" % number for number in range(100)])


@rule
def open_ends_do_not_hold_the_process(rig: Rig) -> None:
    """A process ends though it has open ends, started, not started, and with a timer under way."""
    program = """
        open_transport(group, options)
        open_transport(group, options, Hears.NOTHING)
        end.scheduler.schedule_relative(1000.0, lambda _scheduler, _state: None)
        end.send(b"x")
        """
    with _elsewhere(rig, program) as process:
        try:
            expect("how it ended", process.wait(PATIENCE), 0)
        except subprocess.TimeoutExpired:
            raise BrokenPromise("the process did not end") from None


@rule
def a_stopped_peer_delays_nobody(rig: Rig) -> None:
    """While a process that listens is stopped, the others send and hear all the same."""
    if not hasattr(signal, "SIGSTOP"):
        raise SkipTest("this platform cannot stop a process")
    end, other = rig.start(), rig.start()
    with _elsewhere(rig, 'end.send(b"here"); import time; time.sleep(1000)') as process:
        here = [end, other]
        rig.until("the other process is there", lambda: all(b"here" in each.payloads for each in here), PATIENCE)
        process.send_signal(signal.SIGSTOP)
        for number in range(1, 201):
            other.transport.send(b"%d" % number)
            rig.hear(number + 1, end)
        expect("what was heard", end.payloads, [b"here", *(b"%d" % number for number in range(1, 201))])


@rule
def two_ends_answer_each_other_from_two_threads(rig: Rig) -> None:
    """Two ends that each answer the other while they deliver do not wait for each other, whoever else sends."""
    trips = 100

    def answer(end: Transport, message: Message) -> None:
        number = int(message.data)
        if message.direct and number < trips:
            end.send(b"%d" % (number + 1), message.sender)
            end.send(b"0")

    one: End = rig.start(lambda message: answer(one.transport, message))
    other: End = rig.start(lambda message: answer(other.transport, message))
    begin = [
        lambda: one.transport.send(b"1", other.transport.sender_address),
        lambda: other.transport.send(b"1", one.transport.sender_address),
    ]
    rig.in_threads(begin)
    rig.until(
        "both conversations end",
        lambda: sum(message.direct and int(message.data) == trips for message in one.messages + other.messages) == 2,
    )
    rig.hear(3 * trips - 2, one, other)
    expect("direct messages", sum(message.direct for message in one.messages + other.messages), 2 * trips)


@rule
def what_is_lost_is_counted_exactly(rig: Rig) -> None:
    """``statistics.lost`` is what others sent while this end heard them, less what it delivered."""
    end, other = rig.start(), rig.start()
    if end.transport.statistics.lost is None:
        raise SkipTest("nothing is numbered on this transport, so nothing tells what is lost")
    other.transport.send(b"first")
    rig.hear(1, end)
    accepted = 1
    for turn in range(3):
        rig.disturb(end.transport)
        for _ in range(200):
            with suppress(SendFailed):
                other.transport.send(b"x")
                accepted += 1
        back, marker = b"back %d" % turn, b"marker %d" % turn
        send_until_heard(rig, end, back, other)
        send_until_accepted(rig, other.transport, marker)
        accepted += 1
        rig.until("what comes then is heard", lambda marker=marker: marker in end.payloads)
        heard = sum(message.sender == other.transport.sender_address for message in end.messages)
        expect("lost", end.transport.statistics.lost, accepted - heard)


def send_until_accepted(rig: Rig, transport: Transport, payload: bytes) -> None:
    """Let time pass until a send is not refused."""

    def accepted() -> bool:
        try:
            transport.send(payload)
        except SendFailed:
            return False
        return True

    rig.until(f"{payload!r} is accepted", accepted)


def send_until_heard(rig: Rig, sender: End, payload: bytes, hearer: End) -> None:
    """Let time pass until another end hears what is sent again and again, for that one may come back later."""

    def heard() -> bool:
        with suppress(SendFailed):
            if payload not in hearer.payloads:
                sender.transport.send(payload)
        return payload in hearer.payloads

    rig.until(f"{payload!r} is heard", heard)


@contextmanager
def _elsewhere(rig: Rig, program: str) -> Generator[subprocess.Popen[bytes]]:
    """Another process, with an end of the rig's group, that runs ``program``; killed at the end if it still runs."""
    code = rig.elsewhere + _OPEN + textwrap.dedent(program)
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
