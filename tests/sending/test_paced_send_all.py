from __future__ import annotations

import gc
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any

import pytest
import reactivex as rx
from reactivex.subject import Subject
from reactivex.testing import TestScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc.message import Address
from rx_multicast_ipc.sending import paced_send_all
from rx_multicast_ipc.sending.paced_send_all import send_all
from rx_multicast_ipc.transport import WouldBlock

from ..helpers import Seen, finish, needs_posix, nothing_left_behind, python, wait_until
from ..interrupts import interrupted_at, traces_opcodes
from ..wall_clock import WallClock

PAYLOADS = [number.to_bytes(4) for number in range(500)]


class Narrow:
    """A transport that has no room for every seventh datagram at first, and tells of room on another thread."""

    group = ipc.Group.of()
    closed = False
    payload_limit = 65_507

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self._asked = 0

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        self.send_many([payload])

    def send_many(self, payloads: Sequence[bytes]) -> None:
        for number, payload in enumerate(payloads):
            self._asked += 1
            if self._asked % 7 == 0:
                error = WouldBlock("no room")
                error.sent = number
                raise error
            self.sent.append(payload)

    def when_writable(self, action: Callable[[], None]) -> None:
        threading.Thread(target=action).start()


class Stuck(Narrow):
    """A transport that has no room, until told."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Callable[[], None]] = []

    def send_many(self, payloads: Sequence[bytes]) -> None:
        if self.waiting:
            self.sent += payloads
        else:
            raise WouldBlock("no room")

    def when_writable(self, action: Callable[[], None]) -> None:
        self.waiting.append(action)


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_threads")
@pytest.mark.parametrize("source", [list, iter, rx.from_iterable], ids=["sequence", "iterator", "observable"])
def test_what_is_sent_on_one_thread_and_goes_on_from_another_is_whole_and_in_order(
    source: Callable[[list[bytes]], Any],
) -> None:
    for _ in range(20):
        transport: Any = Narrow()
        sending = Seen(send_all(transport, source(PAYLOADS), None, TestScheduler()))
        assert sending.wait_for_end().values == [len(PAYLOADS)]
        assert transport.sent == PAYLOADS


def test_a_source_that_is_faster_than_the_link_for_long_is_told_instead_of_filling_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paced_send_all, "_MOST_WAITING", 10)
    transport: Any = Stuck()
    source: Subject[bytes] = Subject()
    sending = Seen(send_all(transport, source, None, TestScheduler()))
    for payload in PAYLOADS:
        source.on_next(payload)
    assert isinstance(sending.error, ipc.SendFailed)
    assert "slower than their source" in str(sending.error)
    assert not source.observers


def weakly(payloads: list[bytes]) -> tuple[Any, weakref.ref[Any]]:
    """An iterable of payloads, and a reference that tells when it is let go of."""

    class Source(list[bytes]):
        pass

    source = Source(payloads)
    return source, weakref.ref(source)


@pytest.mark.parametrize("kind", ["iterable", "Observable"])
def test_a_paced_transfer_that_is_disposed_of_lets_go_of_everything(port: int, kind: str) -> None:
    def begin() -> tuple[weakref.ref[Any], ipc.Channel]:
        channel = ipc.open_channel(port)
        source, alive = weakly([b"x"] * 10)
        given = source if kind == "iterable" else rx.from_iterable(source)
        sending = channel.broadcast_all(given, rate=0.001).subscribe()
        wait_until(lambda: channel.statistics.sent == 1)
        sending.dispose()
        timers: Any = channel.scheduler
        assert (timers.until_next() or 0) < 10  # the next payload would be due in 1000 s
        return alive, channel

    with nothing_left_behind():
        alive, channel = begin()
        gc.collect()
        assert alive() is None
        channel.close()


@pytest.mark.parametrize(
    "source", [lambda: [b"x"] * 10, lambda: iter([b"x"] * 10), rx.never, lambda: rx.from_iterable([b"x"] * 10)]
)
def test_who_waits_for_a_slow_transfer_is_told_that_the_channel_closed(
    channel: ipc.Channel, source: Callable[[], Any]
) -> None:
    slow = [Seen(channel.broadcast_all(source(), rate=0.001)) for _ in range(2)]
    channel.close()
    ends = [one.wait_for_end().error for one in slow]
    assert [type(error) for error in ends] == [ipc.ChannelClosed] * 2
    assert ends[0] is not ends[1]


def test_who_waits_for_an_observable_that_gives_nothing_is_told_too(channel: ipc.Channel) -> None:
    idle = Seen(channel.broadcast_all(rx.never()))
    channel.close()
    assert isinstance(idle.wait_for_end().error, ipc.ChannelClosed)


def test_a_transfer_that_ended_stays_with_nobody(channel: ipc.Channel) -> None:
    closing: Any = channel._inbox.closing  # pyright: ignore[reportPrivateUsage]
    for source in ([b"x"], rx.of(b"x"), rx.throw(KeyError())):
        for rate in (None, 10_000.0):
            Seen(channel.broadcast_all(source, rate=rate)).wait_for_end()
    channel.broadcast_all(rx.never(), rate=1).subscribe().dispose()
    assert not closing._waiting


@pytest.mark.parametrize("step", [-3600.0, -0.05, 0.05, 3600.0])
@pytest.mark.parametrize("where", ["the process", "the scheduler"])
@pytest.mark.parametrize("kind", ["iterable", "Observable"])
def test_a_step_of_the_wall_clock_changes_no_rate(
    channel: ipc.Channel, wall_clock: WallClock, monkeypatch: pytest.MonkeyPatch, step: float, where: str, kind: str
) -> None:
    began = time.monotonic()
    steps: list[float] = []
    scheduler: Any = type(channel.scheduler)
    now = scheduler.now.fget
    monkeypatch.setattr(scheduler, "now", property(lambda self: now(self) + timedelta(seconds=sum(steps))))
    source = iter(PAYLOADS) if kind == "iterable" else rx.from_iterable(PAYLOADS)
    sending = Seen(channel.broadcast_all(source, rate=1000))
    wait_until(lambda: channel.statistics.sent > 50)
    if where == "the process":
        wall_clock.step(step)
    else:
        steps.append(step)
    assert sending.wait_for_end().values == [len(PAYLOADS)]
    assert time.monotonic() - began >= 0.4


@pytest.mark.parametrize("rate", [None, 0.001])
def test_what_an_observable_gives_too_fast_is_bounded_in_bytes(
    monkeypatch: pytest.MonkeyPatch, rate: float | None
) -> None:
    monkeypatch.setattr(paced_send_all, "QUEUE_BYTES", 10_000)
    transport: Any = Stuck()
    source: Subject[bytes] = Subject()
    sending = Seen(send_all(transport, source, rate, TestScheduler()))
    for _ in range(20):
        source.on_next(bytes(1000))
    assert isinstance(sending.error, ipc.SendFailed)
    assert not source.observers


@needs_posix
def test_a_signal_handler_may_push_into_the_transfer_that_it_interrupts(port: int) -> None:
    code = """
import faulthandler, signal, sys, time
from reactivex.subject import Subject
import rx_multicast_ipc as ipc
faulthandler.dump_traceback_later(60, exit=True)
channel = ipc.open_channel(int(sys.argv[1]))
sources = [Subject(), Subject()]
counts, ends = [], []
for source, rate in zip(sources, (None, 1e6)):
    channel.broadcast_all(source, rate=rate).subscribe(counts.append, ends.append, lambda: ends.append(None))
pushed = 0
def push(*_):
    global pushed
    pushed += 1
    for source in sources:
        source.on_next(b"x")
signal.signal(signal.SIGALRM, push)
until = time.monotonic() + 1.5
while time.monotonic() < until or pushed < 100:
    signal.setitimer(signal.ITIMER_REAL, 2e-5)
    push()
    time.sleep(0)
    push()
signal.setitimer(signal.ITIMER_REAL, 0)
time.sleep(0.01)
for source in sources:
    source.on_completed()
while len(ends) < 2:
    time.sleep(0.01)
assert ends == [None, None], ends
assert len(counts) == 2, counts
print(counts[0] == pushed, counts[1] == pushed)
"""
    assert finish(python(code, port)) == "True True\n"


def test_a_paced_transfer_of_an_observable_completes_with_its_last_payload() -> None:
    scheduler = TestScheduler()
    transport: Any = Stuck()
    transport.waiting.append(lambda: None)  # takes everything
    source: Subject[bytes] = Subject()
    sending = Seen(send_all(transport, source, 10, scheduler))
    source.on_next(b"1")
    source.on_next(b"2")
    source.on_completed()
    scheduler.advance_to(0.05)
    assert (transport.sent, sending.completed) == ([b"1"], False)
    scheduler.advance_to(0.15)
    assert (transport.sent, sending.values, sending.completed) == ([b"1", b"2"], [2], True)


@traces_opcodes
@pytest.mark.parametrize("rate", [None, 10])
def test_what_arrives_anywhere_in_a_turn_is_sent_in_order(rate: float | None) -> None:
    for place in count(1):
        scheduler = TestScheduler()
        transport: Any = Stuck()
        source: Subject[bytes] = Subject()
        sending = Seen(send_all(transport, source, rate, scheduler))
        source.on_next(b"1")
        scheduler.advance_to(0.05)
        reached = interrupted_at(place, transport.waiting[0], partial(source.on_next, b"2"))
        scheduler.advance_to(1)
        source.on_completed()
        scheduler.advance_to(2)
        assert transport.sent == [b"1", b"2"][: 1 + reached]
        assert sending.values == [1 + reached]
        if not reached:
            break


@traces_opcodes
def test_what_arrives_anywhere_in_a_tick_is_sent() -> None:
    for place in count(1):
        scheduler = TestScheduler()
        transport: Any = Stuck()
        transport.waiting.append(lambda: None)  # takes everything
        source: Subject[bytes] = Subject()
        Seen(send_all(transport, source, 10, scheduler))
        source.on_next(b"1")
        reached = interrupted_at(place, partial(scheduler.advance_to, 0.05), partial(source.on_next, b"2"))
        scheduler.advance_to(1)
        assert transport.sent == [b"1", b"2"][: 1 + reached]
        if not reached:
            break
