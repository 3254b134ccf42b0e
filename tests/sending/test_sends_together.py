"""What quick subscribers send while a batch is delivered, and what ``linger=`` gathers, leaves in few system calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops
from reactivex.subject import Subject
from reactivex.testing import TestScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc.sending.paced_send_all import send_all
from rx_multicast_ipc.testing.held_channel import held
from rx_multicast_ipc.transport import delivered_batch
from rx_multicast_ipc.transport.udp import batch_sending
from rx_multicast_ipc.transport.udp.gathered_sends import GatheredSends

from ..helpers import Seen, needs_linux, run, wait_until
from ..wine import is_wine

COUNT = 10


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[list[bytes]]:
    """The payloads of each call that sends many; to which all subscribers are quick, for no clock is looked at."""
    made: list[list[bytes]] = []
    send_many = batch_sending.send_many

    def note(opened: Any, payloads: Sequence[bytes], destination: Any, sent: batch_sending.SentMany) -> None:
        made.append(list(payloads))
        send_many(opened, payloads, destination, sent)

    monkeypatch.setattr(batch_sending, "send_many", note)
    monkeypatch.setattr(delivered_batch, "_QUICK", float("inf"))
    return made


@pytest.fixture
def out(port: int) -> Iterator[ipc.Channel]:
    """A second channel, that subscribers of the first send with; and that hears itself."""
    with ipc.open_channel(port + is_wine(), "224.0.2.77") as opened:  # where a socket hears other groups on its port
        yield opened


def deliver(channel: ipc.Channel, count: int = COUNT) -> None:
    """Deliver numbers to the channel as one batch."""
    with held(channel):
        for number in range(count):
            run(channel.broadcast(b"%d" % number))


def heard(channel: ipc.Channel, count: int) -> list[bytes]:
    return [run(channel.wait_for_message()).data for _ in range(count)]


def forward(messages: rx.Observable[ipc.Message], out: ipc.Channel) -> None:
    """Send each one on, and do not look when it is out."""

    def send_on(message: ipc.Message) -> None:
        out.broadcast(message.data).subscribe()

    messages.subscribe(send_on)


NUMBERS = [b"%d" % number for number in range(COUNT)]


def test_what_subscribers_send_while_a_batch_is_delivered_leaves_together(
    channel: ipc.Channel, out: ipc.Channel, calls: list[list[bytes]]
) -> None:
    batches = Seen(channel.batches)
    forward(channel.messages, out)
    deliver(channel)
    assert heard(out, COUNT) == NUMBERS
    assert [len(batch) for batch in batches.wait_for_count(1)] == [COUNT]
    assert calls == [NUMBERS[1:]]  # the first one leaves at once


def test_a_lone_answer_leaves_at_once(channel: ipc.Channel, out: ipc.Channel, calls: list[list[bytes]]) -> None:
    sent: list[int] = []

    def answer(message: ipc.Message) -> None:
        for _ in range(2):
            out.broadcast(message.data).subscribe()
            sent.append(out.statistics.sent)

    channel.messages.subscribe(answer)
    deliver(channel, 1)
    heard(out, 2)
    wait_until(lambda: len(sent) == 2)
    assert (sent, calls) == ([1, 2], [])


def test_a_slow_subscriber_holds_nothing_back(
    channel: ipc.Channel, out: ipc.Channel, calls: list[list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivered_batch, "_QUICK", 0.0)
    sent: list[int] = []

    def answer(message: ipc.Message) -> None:
        out.broadcast(message.data).subscribe()
        sent.append(out.statistics.sent)

    channel.messages.subscribe(answer)
    deliver(channel)
    assert heard(out, COUNT) == NUMBERS
    wait_until(lambda: len(sent) == COUNT)
    assert (sent, calls) == (list(range(1, COUNT + 1)), [])


def test_a_send_whose_end_is_looked_at_has_left_by_then_and_so_has_what_was_sent_before(
    channel: ipc.Channel, out: ipc.Channel, calls: list[list[bytes]]
) -> None:
    sent: list[int] = []

    def answer(message: ipc.Message) -> None:
        out.broadcast(message.data).subscribe()
        if message.data == NUMBERS[4]:
            out.broadcast("looked at").subscribe(on_completed=lambda: sent.append(out.statistics.sent))

    channel.messages.subscribe(answer)
    deliver(channel)
    assert heard(out, COUNT + 1) == [*NUMBERS[:5], b"looked at", *NUMBERS[5:]]
    assert sent == [6]


OBSERVED: dict[str, Callable[[Callable[[ipc.Message], rx.Observable[None]]], Any]] = {
    "flat_map": ops.flat_map,
    "concat_map": ops.concat_map,
    "merge": lambda send: rx.compose(ops.map(send), ops.merge(max_concurrent=2)),
}
"""Operators that are told of each send's end."""


@pytest.mark.parametrize("by", OBSERVED)
def test_a_stream_that_is_told_of_each_end_sends_no_more_than_what_is_taken_of_it(
    channel: ipc.Channel, out: ipc.Channel, calls: list[list[bytes]], by: str
) -> None:
    """Why it leaves one by one: what gathered would have left before anything behind it could say that it is enough."""

    def send(message: ipc.Message) -> rx.Observable[None]:
        return out.broadcast(message.data)

    taken: Seen[None] = Seen(channel.messages.pipe(OBSERVED[by](send), ops.take(3)))
    deliver(channel)
    assert taken.wait_for_end().values == [None] * 3
    run(channel.broadcast("the last one"))
    heard(channel, COUNT + 1)
    assert heard(out, 3) == NUMBERS[:3]
    assert (out.statistics.sent, calls) == (3, [])


@needs_linux  # which alone sends several datagrams with one call
@pytest.mark.parametrize("by", ["same thread", "another thread"])
def test_whatever_is_sent_later_leaves_later(
    channel: ipc.Channel, out: ipc.Channel, calls: list[list[bytes]], by: str
) -> None:
    """A direct message is heard by another socket, so the order is seen where both leave."""
    order: list[bytes] = []
    outlet: Any = out.transport
    opened = outlet._outlet.socket

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(opened, name)

        def sendto(self, payload: bytes, to: Any) -> int:
            order.extend(calls.pop() if calls else [])
            order.append(payload)
            return opened.sendto(payload, to)

    outlet._outlet.socket = Watched()

    def answer(message: ipc.Message) -> None:
        out.broadcast(message.data).subscribe()
        if message.data == NUMBERS[4]:
            direct = out.send("direct", out.sender_address)
            if by == "same thread":
                direct.subscribe()
            else:
                thread = threading.Thread(target=lambda: run(direct))
                thread.start()
                thread.join()

    channel.messages.subscribe(answer)
    deliver(channel)
    heard(out, COUNT + 1)
    outlet._outlet.socket = opened
    assert [*order, *calls.pop()] == [*NUMBERS[:5], b"direct", *NUMBERS[5:]]


@pytest.mark.parametrize("closes", ["subscriber", "another thread"])
def test_closing_sends_what_was_sent_before(
    channel: ipc.Channel, port: int, calls: list[list[bytes]], closes: str
) -> None:
    with ipc.open_channel(port, "224.0.2.77") as listener, ipc.open_channel(port, "224.0.2.77") as out:

        def answer(message: ipc.Message) -> None:
            if out.closed:
                return
            out.broadcast(message.data).subscribe()
            if message.data == NUMBERS[4]:
                if closes == "subscriber":
                    out.close()
                else:
                    thread = threading.Thread(target=out.close)
                    thread.start()
                    thread.join()

        channel.messages.subscribe(answer)
        deliver(channel)
        assert heard(listener, 5) == NUMBERS[:5]


def test_a_stream_of_a_batch_into_broadcast_all_leaves_together_and_is_counted(
    channel: ipc.Channel, out: ipc.Channel, calls: list[list[bytes]]
) -> None:
    sending = Seen(out.broadcast_all(channel.messages.pipe(ops.take(COUNT), ops.map(lambda m: m.data))))
    deliver(channel)
    assert sending.wait_for_end().values == [COUNT]
    assert out.statistics.sent == COUNT
    assert heard(out, COUNT) == NUMBERS
    assert calls == [NUMBERS[1:]]


def one_by_one(opened: Any, payloads: Sequence[bytes], destination: Any, sent: batch_sending.SentMany) -> None:
    """As where no system call sends many."""
    batch_sending._send_each(opened, list(payloads), destination, sent)  # pyright: ignore[reportPrivateUsage]


class Full:
    """A socket whose buffer takes so many datagrams, and more once it is asked whether it can be written to."""

    def __init__(self, opened: Any, space: int) -> None:
        self._opened = opened
        self.space = space

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened, name)

    def dup(self) -> Any:
        self.space = 1000
        return self._opened.dup()

    def sendto(self, payload: bytes, to: Any) -> int:
        if self.space <= 0:
            raise BlockingIOError
        self.space -= 1
        return self._opened.sendto(payload, to)


def test_what_a_full_buffer_does_not_take_follows_in_order(
    channel: ipc.Channel, out: ipc.Channel, monkeypatch: pytest.MonkeyPatch, calls: list[list[bytes]]
) -> None:
    transport: Any = out.transport
    transport._outlet.socket = Full(transport._outlet.socket, 3)

    monkeypatch.setattr(batch_sending, "send_many", one_by_one)
    sending = Seen(out.broadcast_all(channel.messages.pipe(ops.take(COUNT), ops.map(lambda m: m.data))))
    forward(channel.messages.pipe(ops.filter(lambda m: m.data == NUMBERS[-1])), out)
    deliver(channel)
    assert sending.wait_for_end().values == [COUNT]
    assert heard(out, COUNT + 1) == [*NUMBERS, NUMBERS[-1]]


def test_a_refused_one_is_told_with_how_many_went_before_it(
    channel: ipc.Channel, out: ipc.Channel, monkeypatch: pytest.MonkeyPatch, calls: list[list[bytes]]
) -> None:
    transport: Any = out.transport

    class Refusing(Full):
        def sendto(self, payload: bytes, to: Any) -> int:
            if payload == NUMBERS[6]:
                raise PermissionError(1, "Operation not permitted")
            return super().sendto(payload, to)

    transport._outlet.socket = Refusing(transport._outlet.socket, 1000)

    monkeypatch.setattr(batch_sending, "send_many", one_by_one)
    sending = Seen(out.broadcast_all(channel.messages.pipe(ops.map(lambda m: m.data))))
    deliver(channel)
    error = sending.wait_for_end().error
    assert isinstance(error, ipc.SendFailed)
    assert (error.sent, out.statistics.sent, out.statistics.refused) == (6, 6, 1)
    assert heard(out, 6) == NUMBERS[:6]


def tell_nobody(_: GatheredSends) -> None: ...


def test_what_another_thread_had_refused_is_told_before_the_end_also_while_that_thread_has_yet_to_tell_it(
    out: ipc.Channel, monkeypatch: pytest.MonkeyPatch, calls: list[list[bytes]]
) -> None:
    transport: Any = out.transport

    class Refusing(Full):
        def sendto(self, payload: bytes, to: Any) -> int:
            if payload == b"2":
                raise PermissionError(1, "Operation not permitted")
            return super().sendto(payload, to)

    transport._outlet.socket = Refusing(transport._outlet.socket, 1000)
    monkeypatch.setattr(batch_sending, "send_many", one_by_one)
    source: Subject[bytes] = Subject()
    sending = Seen(out.broadcast_all(source))

    monkeypatch.setattr(delivered_batch.HERE, "batch", delivered_batch.DeliveredBatch())
    source.on_next(b"1")
    source.on_next(b"2")
    with monkeypatch.context() as patch:  # one that stops before it tells
        patch.setattr(GatheredSends, "tell", tell_nobody)
        transport.send_gathered()
    source.on_completed()
    error = sending.wait_for_end().error
    assert isinstance(error, ipc.SendFailed)
    assert (error.sent, sending.values) == (1, [])


def none_together(*_: object) -> None:
    """Leave each of them to be sent alone."""


def test_what_is_out_as_a_signal_handler_raises_is_sent_and_counted_once(
    out: ipc.Channel, monkeypatch: pytest.MonkeyPatch, calls: list[list[bytes]]
) -> None:
    transport: Any = out.transport

    class Interrupted(Full):
        times = 0

        def sendto(self, payload: bytes, to: Any) -> int:
            size = super().sendto(payload, to)
            if payload == b"2" and not self.times:
                self.times += 1
                raise KeyboardInterrupt
            return size

    transport._outlet.socket = Interrupted(transport._outlet.socket, 1000)
    monkeypatch.setattr(batch_sending, "send_many", none_together)
    source: Subject[bytes] = Subject()
    sending = Seen(out.broadcast_all(source))
    monkeypatch.setattr(delivered_batch.HERE, "batch", delivered_batch.DeliveredBatch())
    source.on_next(b"1")
    source.on_next(b"2")
    with pytest.raises(KeyboardInterrupt):
        transport.send_gathered()
    source.on_next(b"3")
    source.on_completed()
    assert sending.wait_for_end().values == [3]
    assert heard(out, 3) == [b"1", b"2", b"3"]
    assert out.statistics.sent == 3


class Open:
    """A transport that takes everything, and notes what it is given together."""

    group = ipc.Group.of()
    closed = False
    payload_limit = 65_507

    def __init__(self) -> None:
        self.sends: list[list[bytes]] = []

    def send(self, payload: bytes, destination: object = None) -> None:
        self.sends.append([payload])

    def send_many(self, payloads: Sequence[bytes]) -> None:
        self.sends.append(list(payloads))


def lingering() -> tuple[Any, Subject[Any], TestScheduler, Seen[int]]:
    transport: Any = Open()
    source: Subject[Any] = Subject()
    scheduler = TestScheduler()
    return transport, source, scheduler, Seen(send_all(transport, source, None, scheduler, linger=0.5))


def test_no_payload_waits_longer_than_linger_for_more() -> None:
    transport, source, scheduler, _ = lingering()
    scheduler.advance_to(10.0)
    source.on_next(b"1")
    scheduler.advance_to(10.25)
    source.on_next(b"2")
    scheduler.advance_to(10.375)
    assert transport.sends == []
    scheduler.advance_to(10.5)
    assert transport.sends == [[b"1", b"2"]]
    source.on_next(b"3")
    scheduler.advance_to(11.0)
    assert transport.sends == [[b"1", b"2"], [b"3"]]
    scheduler.advance_to(20.0)
    assert len(transport.sends) == 2


def test_many_wait_for_no_more() -> None:
    transport, source, _, sending = lingering()
    for number in range(130):
        source.on_next(b"%d" % number)
    assert [len(some) for some in transport.sends] == [64, 64]
    source.on_completed()
    assert [len(some) for some in transport.sends] == [64, 64, 2]
    assert sending.values == [130]


@pytest.mark.parametrize("end", ["completion", "error"])
def test_the_last_ones_wait_for_no_more_and_the_end_comes_after_them(end: str) -> None:
    transport, source, _, sending = lingering()
    source.on_next(b"1")
    source.on_next(b"2")
    if end == "completion":
        source.on_completed()
        assert sending.values == [2]
    else:
        source.on_error(ZeroDivisionError())
        assert isinstance(sending.error, ZeroDivisionError)
    assert transport.sends == [[b"1", b"2"]]


def test_a_bad_payload_errs_after_those_that_linger_before_it() -> None:
    transport, source, _, sending = lingering()
    source.on_next(b"1")
    source.on_next("2")
    source.on_next(3)
    assert isinstance(sending.error, ipc.InvalidPayload)
    assert transport.sends == [[b"1", b"2"]]
    assert not source.observers


def test_what_comes_while_others_are_sent_follows_them() -> None:
    transport, source, scheduler, _ = lingering()
    send_many = transport.send_many

    def send_more(payloads: Sequence[bytes]) -> None:
        if not transport.sends:
            for number in range(70):
                source.on_next(b"%d" % number)
        send_many(payloads)

    transport.send_many = send_more
    for _ in range(64):
        source.on_next(b"first")
    scheduler.advance_to(1.0)
    source.on_completed()
    assert [payload for some in transport.sends for payload in some] == [
        *[b"first"] * 64,
        *(b"%d" % number for number in range(70)),
    ]


def test_linger_on_a_channel(channel: ipc.Channel) -> None:
    source: Subject[Any] = Subject()
    sending = Seen(channel.broadcast_all(source, linger=0.001))
    for number in range(3):
        source.on_next(b"%d" % number)
    assert heard(channel, 3) == NUMBERS[:3]
    source.on_completed()
    assert sending.wait_for_end().values == [3]


def test_who_lingers_is_told_that_the_channel_closed(channel: ipc.Channel) -> None:
    source: Subject[Any] = Subject()
    sending = Seen(channel.broadcast_all(source, linger=1000))
    source.on_next(b"1")
    channel.close()
    assert isinstance(sending.wait_for_end().error, ipc.ChannelClosed)
    wait_until(lambda: not source.observers)


@pytest.mark.parametrize("linger", [-1, float("nan"), "1"])
def test_linger_is_a_time(channel: ipc.Channel, linger: Any) -> None:
    with pytest.raises(ipc.InvalidOption, match="linger is a number of seconds"):
        channel.broadcast_all(rx.never(), linger=linger)


@pytest.mark.parametrize(
    ("source", "rate", "advice"),
    [
        (lambda: [b"x"], None, "a list leaves together without it"),
        (lambda: iter([b"x"]), None, "reactivex.from_iterable"),
        (rx.never, 10, "pass one of them"),
    ],
)
def test_linger_is_for_observables_without_a_rate(
    channel: ipc.Channel, source: Callable[[], Any], rate: float | None, advice: str
) -> None:
    with pytest.raises(ipc.InvalidOption, match=advice):
        channel.broadcast_all(source(), rate=rate, linger=0.1)
