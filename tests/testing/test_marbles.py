from __future__ import annotations

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops
from reactivex.testing import TestScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing import Event, Marbles


@pytest.fixture
def marbles() -> Marbles:
    return Marbles(TestScheduler())


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
    marbles = Marbles(TestScheduler(), frame=frame)
    expected = marbles.events("-" * frames + "a|")
    recording = marbles.record(marbles.cold("-" * frames + "a|"))
    marbles.scheduler.start()
    assert recording.events == expected
    assert expected[0].time == pytest.approx(frames * frame)


def test_operators_run_in_the_time_of_the_marbles(marbles: Marbles) -> None:
    expected = marbles.events("---a-b|")
    recording = marbles.record(marbles.cold(" -a-b|").pipe(ops.delay(2)))
    marbles.scheduler.start()
    assert recording.events[:2] == expected[:2]


def test_errors_compare_by_type_and_text(marbles: Marbles) -> None:
    recording = marbles.record(marbles.cold("#", error=ValueError("x")))
    marbles.scheduler.start()
    assert recording.events == Marbles(TestScheduler()).events("#", error=ValueError("x"))
    assert recording.events != Marbles(TestScheduler()).events("#", error=RuntimeError("x"))
    assert recording.events != Marbles(TestScheduler()).events("#", error=ValueError("y"))


def test_a_disposed_recording_sees_no_more(marbles: Marbles) -> None:
    recording = marbles.record(marbles.cold("a-b|"))
    marbles.scheduler.advance_to(1)
    recording.dispose()
    marbles.scheduler.start()
    assert recording.values == ["a"]


@pytest.mark.parametrize("text", ["a?b", "((a))", "a)", "(a-b)"])
def test_what_is_no_marble_is_refused(marbles: Marbles, text: str) -> None:
    with pytest.raises(ipc.InvalidOption, match="is no marble"):
        marbles.events(text)


def test_a_frame_that_is_none_is_refused() -> None:
    with pytest.raises(ipc.InvalidOption, match="frame"):
        Marbles(TestScheduler(), frame=0)


def test_recording_never_is_silent(marbles: Marbles) -> None:
    assert marbles.record(rx.never()).events == []
