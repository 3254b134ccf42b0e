from __future__ import annotations

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops
from reactivex.scheduler import VirtualTimeScheduler
from reactivex.testing import TestScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing import Event, Marbles, VirtualClock


@pytest.fixture(params=[VirtualClock, TestScheduler, VirtualTimeScheduler])
def marbles(request: pytest.FixtureRequest) -> Marbles:
    """Marbles on each kind of clock."""
    return Marbles(request.param())


def test_marbles_say_when_and_what(marbles: Marbles) -> None:
    assert marbles.events("a-b(cd)|", {"b": 2}) == [
        Event(0, "next", "a"),
        Event(2, "next", 2),
        Event(3, "next", "c"),
        Event(3, "next", "d"),
        Event(7, "completed"),
    ]


def test_hot_and_cold_streams_keep_their_first_position(marbles: Marbles) -> None:
    for text in ("a--b|", "(ab)-c#", "-a-|"):
        expected = marbles.events(text)
        recordings = [marbles.record(marbles.hot(text)), marbles.record(marbles.cold(text))]
        marbles.scheduler.start()
        assert [recording.events for recording in recordings] == [expected, expected]


def test_a_hot_stream_runs_without_subscribers_and_a_cold_one_begins_with_each(marbles: Marbles) -> None:
    hot, cold = marbles.hot("abc|"), marbles.cold("abc|")
    marbles.scheduler.advance_to(1.5)
    late = marbles.record(hot), marbles.record(cold)
    marbles.scheduler.start()
    assert late[0].events == [Event(2.0, "next", "c"), Event(3.0, "completed")]
    assert late[1].events == [
        *(Event(1.5, "next", "a"), Event(2.5, "next", "b"), Event(3.5, "next", "c")),
        Event(4.5, "completed"),
    ]


@given(frame=st.floats(0.001, 10).map(lambda value: round(value, 3)), frames=st.integers(0, 200))
def test_times_are_exact_whatever_the_frame(frame: float, frames: int) -> None:
    marbles = Marbles(frame=frame)
    expected = marbles.events("-" * frames + "a|")
    recording = marbles.record(marbles.cold("-" * frames + "a|"))
    marbles.scheduler.start()
    assert recording.events == expected
    assert expected[0].time == pytest.approx(frames * frame)


def test_times_may_be_written_as_such(marbles: Marbles) -> None:
    recording = marbles.record(marbles.hot("a 1m b 200ms |"))
    expected = marbles.events("a 1m b 200ms |")
    marbles.scheduler.start()
    assert recording.events == expected == [(0, "next", "a"), (61, "next", "b"), (62.2, "completed", None)]


def test_operators_run_in_the_time_of_the_marbles(marbles: Marbles) -> None:
    expected = marbles.events("---a-b|")
    recording = marbles.record(marbles.cold(" -a-b|").pipe(ops.delay(2)))
    marbles.scheduler.start()
    assert recording.events[:2] == expected[:2]


def test_errors_compare_by_type_and_arguments(marbles: Marbles) -> None:
    recording = marbles.record(marbles.cold("#", error=ValueError("1", OSError(5, "x"))))
    marbles.scheduler.start()
    assert recording.events == Marbles().events("#", error=ValueError("1", OSError(5, "x")))
    assert recording.events == Marbles().events("#", error=ValueError)
    others = (RuntimeError("1", OSError(5, "x")), ValueError("1", OSError(6, "x")), ValueError(1), Exception)
    for other in others:
        assert recording.events != Marbles().events("#", error=other)


def test_errors_of_equal_text_and_other_arguments_differ(marbles: Marbles) -> None:
    recording = marbles.record(marbles.cold("#", error=ValueError("1")))
    marbles.scheduler.start()
    assert recording.events != Marbles().events("#", error=ValueError(1))


def test_a_disposed_recording_sees_no_more(marbles: Marbles) -> None:
    recording = marbles.record(marbles.cold("a-b|"))
    marbles.scheduler.advance_to(1)
    recording.dispose()
    marbles.scheduler.start()
    assert recording.values == ["a"]


@pytest.mark.parametrize("frame", [0, -1, 1e-7, "1", True, float("nan"), float("inf")])
def test_a_frame_that_is_none_is_refused(frame: float) -> None:
    with pytest.raises(ipc.InvalidOption, match="frame"):
        Marbles(frame=frame)


def test_recording_never_is_silent(marbles: Marbles) -> None:
    assert marbles.record(rx.never()).events == []


def test_messages_are_written_as_text_and_come_with_the_virtual_time(marbles: Marbles) -> None:
    marbles.scheduler.advance_to(5.0)
    recording = marbles.record(marbles.messages("a-b-c|", a="join:Ann", b=("ping", "10.0.0.2"), c=(b"\xff", "::1", 7)))
    marbles.scheduler.start()
    assert recording.events == [
        Event(5.0, "next", ipc.Message(b"join:Ann", "10.0.0.1", 49_152, "IPv4", 5.0)),
        Event(7.0, "next", ipc.Message(b"ping", "10.0.0.2", 49_152, "IPv4", 7.0)),
        Event(9.0, "next", ipc.Message(b"\xff", "::1", 7, "IPv6", 9.0)),
        Event(10.0, "completed"),
    ]


def test_a_letter_alone_is_a_message_of_one_letter_and_a_stream_of_messages_may_err(marbles: Marbles) -> None:
    recording = marbles.record(marbles.messages("(aa)#", error=ValueError("x")))
    marbles.scheduler.start()
    assert [message.text for message in recording.values] == ["a", "a"]
    assert recording.events[-1] == Event(4.0, "error", (ValueError, ("x",)))


def test_what_is_no_message_is_refused_where_it_is_written(marbles: Marbles) -> None:
    with pytest.raises(ipc.InvalidOption, match="a message is text or bytes"):
        marbles.messages("a", a=5)
    with pytest.raises(ipc.InvalidAddress, match="numeric"):
        marbles.messages("a", a=("x", "bot"))


def test_what_a_stream_raises_has_to_be_an_error(marbles: Marbles) -> None:
    for write in (marbles.hot, marbles.cold, marbles.messages):
        with pytest.raises(ipc.InvalidOption, match=r"write error=ValueError\(\.\.\.\)"):
            write("#", error=ValueError)  # pyright: ignore[reportArgumentType]


def test_who_subscribed_and_when_is_kept(marbles: Marbles) -> None:
    hot, cold = marbles.hot("a---b|"), marbles.cold("a---b|")
    first = marbles.record(hot), marbles.record(cold)
    marbles.scheduler.advance_to(2)
    second = marbles.record(hot), marbles.record(cold)
    marbles.scheduler.advance_to(3)
    for recording in (*first, *second):
        recording.dispose()
    for source in (hot, cold):
        marbles.record(source)
    marbles.scheduler.advance_to(20)
    assert hot.subscriptions.spans == [(0, 3), (2, 3), (3, 5)]
    assert cold.subscriptions.spans == [(0, 3), (2, 3), (3, 8)]
