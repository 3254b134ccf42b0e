"""What consumers of a stream send: whole, in order, bounded, and flow control in its turn."""

from __future__ import annotations

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc.transport.engine.nats import stream_arrivals
from rx_multicast_ipc.transport.engine.nats.stream_arrivals import StreamArrivals, Taken
from rx_multicast_ipc.transport.engine.nats.wire import Delivered

QUESTION = b"$JS.FC.HISTORY.c.1"


def arrivals() -> StreamArrivals:
    return StreamArrivals(lambda arrived, _: ipc.Message(arrived.payload))


def kept(of_consumer: int, payload: bytes = b"x", *, of_stream: int = 0, pending: int = 0) -> Delivered:
    place = f"$JS.ACK.HISTORY.c.1.{of_stream or of_consumer}.{of_consumer}.1000000000.{pending}"
    return Delivered(b"9", b"rx.a", place.encode(), b"", payload)


def control(reply: bytes = b"", **headers: bytes) -> Delivered:
    lines = [b"NATS/1.0 100 Told", *(b"%b: %b" % (key.replace("_", "-").encode(), headers[key]) for key in headers)]
    return Delivered(b"9", b"rx.a", reply, b"\r\n".join(lines) + b"\r\n\r\n", b"")


def test_messages_come_out_in_order_and_a_question_in_its_turn() -> None:
    taken = arrivals()
    consumer = taken.begin()
    for each in (kept(1, b"a"), kept(2, b"b"), control(QUESTION), kept(3, b"c")):
        assert taken.take(consumer, each) is Taken.WAITS
    assert taken.take_out_question() == b""
    assert [each.message.data for each in taken.take_out(10)] == [b"a", b"b"]
    assert taken.take_out(10) == []
    assert taken.take_out_question() == QUESTION
    assert taken.take_out_question() == b""
    assert [each.message.data for each in taken.take_out(10)] == [b"c"]
    assert not taken


def test_a_stalled_consumer_is_answered() -> None:
    taken = arrivals()
    assert taken.take(taken.begin(), control(Nats_Consumer_Stalled=QUESTION, Nats_Last_Consumer=b"0")) is Taken.WAITS
    assert taken.take_out_question() == QUESTION


@pytest.mark.parametrize(
    "reply", [b"spoken.to", b"spoken.$JS.FC.x", b"$JS.FC", b"$JS.FC.x 0\tspoken.to", b"$js.fc.x", b""]
)
def test_nothing_but_flow_control_is_answered(reply: bytes) -> None:
    taken = arrivals()
    consumer = taken.begin()
    assert taken.take(consumer, control(reply)) is Taken.NOTHING
    assert taken.take(consumer, control(Nats_Consumer_Stalled=reply)) is Taken.NOTHING
    assert not taken


def test_nothing_counts_behind_a_message_that_is_missing_before_another_consumer_begins() -> None:
    taken = arrivals()
    consumer = taken.begin()
    assert taken.take(consumer, kept(1, of_stream=7)) is Taken.WAITS
    assert taken.take(consumer, kept(3, of_stream=9)) is Taken.MISSING
    assert taken.take(consumer, kept(2, of_stream=8)) is Taken.NOTHING
    assert taken.last == 7
    another = taken.begin()
    assert taken.take(consumer, kept(1)) is Taken.NOTHING
    assert taken.take(another, kept(1, of_stream=8)) is Taken.WAITS
    assert (taken.last, len(taken.take_out(10))) == (8, 2)


def test_a_heartbeat_shows_that_the_last_message_is_missing() -> None:
    taken = arrivals()
    consumer = taken.begin()
    taken.take(consumer, kept(1))
    assert taken.take(consumer, control(Nats_Last_Consumer=b"1")) is Taken.NOTHING
    assert taken.take(consumer, control(Nats_Last_Consumer=b"2")) is Taken.MISSING


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_arrivals, "_MOST_WAITING", 1000)
    monkeypatch.setattr(stream_arrivals, "_MOST_CONTROLS", 2)
    taken = arrivals()
    consumer = taken.begin()
    assert [taken.take(consumer, control(QUESTION)) for _ in range(3)] == [Taken.WAITS, Taken.WAITS, Taken.NOTHING]
    taken.clear()
    assert taken.take(consumer, kept(1, bytes(5000))) is Taken.WAITS  # alone, however large
    assert taken.take(consumer, kept(2)) is Taken.MISSING
    taken.take_out(10)
    another = taken.begin()
    assert [taken.take(another, kept(1)), taken.take(another, kept(2, bytes(400)))] == [Taken.WAITS] * 2
    assert taken.take(another, kept(3)) is Taken.MISSING
