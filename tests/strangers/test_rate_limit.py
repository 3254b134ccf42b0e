"""Strangers make a process answer and log only so much. Time is a clock that the test moves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rx_multicast_ipc.strangers.rate_limit import AnswerLimit, LogLimit, RateLimit


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0.5, 5)), max_size=200))
def test_no_more_than_the_rate_and_one_burst_pass_in_any_time(steps: list[tuple[float, float]]) -> None:
    clock = Clock()
    limit = RateLimit(10, 5, clock)
    passed = 0.0
    for pause, cost in steps:
        clock.now += pause
        if limit.allows(cost):
            passed += cost
        assert passed <= 5 + 10 * clock.now + 1e-6


def test_what_is_within_the_rate_always_passes() -> None:
    clock = Clock()
    limit = RateLimit(10, 5, clock)
    for _ in range(1_000):
        assert limit.allows()
        clock.now += 0.101


def test_what_costs_more_than_a_burst_passes_after_a_pause_and_is_paid_for() -> None:
    clock = Clock()
    limit = RateLimit(10, 5, clock)
    assert limit.allows(16)
    clock.now += 1
    assert not limit.allows()
    clock.now += 0.3
    assert limit.allows()


def test_a_clock_that_steps_back_allows_no_more() -> None:
    clock = Clock()
    limit = RateLimit(10, 5, clock)
    while limit.allows():
        pass
    clock.now = -3600
    assert not limit.allows()


def test_a_host_is_answered_a_hundred_times_a_second_whatever_its_port() -> None:
    clock = Clock()
    limit = AnswerLimit(clock)
    answered = 0
    for _ in range(10_000):
        answered += limit.allows("10.0.0.1", 60)
        clock.now += 0.001
    assert 10 * limit.RATE <= answered <= 10 * limit.RATE + limit.BURST
    assert limit.allows("10.0.0.2", 60)


def test_large_answers_count_as_several() -> None:
    clock = Clock()
    limit = AnswerLimit(clock)
    bytes_out = 0
    for _ in range(10_000):
        if limit.allows("10.0.0.1", 65_000):
            bytes_out += 65_000
        clock.now += 0.001
    assert bytes_out <= 4096 * (10 * limit.RATE + limit.BURST) + 65_000


def test_all_hosts_together_are_limited_too() -> None:
    clock = Clock()
    limit = AnswerLimit(clock)
    answered = sum(limit.allows(f"10.0.{n >> 8}.{n & 255}", 60) for n in range(20_000))
    assert answered == limit.TOTAL


def test_of_a_thousand_lines_a_second_one_is_logged_and_the_others_are_counted() -> None:
    clock, lines = Clock(), list[str]()
    limit = LogLimit(lines.append, clock)
    for number in range(3 * 1024):
        limit.log("bad", lambda number=number: f"bad {number}")
        clock.now += 1 / 1024
    limit.flush("bad")
    before = " (and 1,023 more like it before)"
    assert lines == ["bad 0", f"bad 1024{before}", f"bad 2048{before}", "bad: 1,023 more like it"]


def test_kinds_do_not_hide_each_other() -> None:
    clock, lines = Clock(), list[str]()
    limit = LogLimit(lines.append, clock)
    for kind in ("a", "b", "a", "b"):
        limit.log(kind, lambda kind=kind: kind)
    assert lines == ["a", "b"]


def test_what_was_left_out_is_told_once_and_not_again() -> None:
    clock, lines = Clock(), list[str]()
    limit = LogLimit(lines.append, clock)
    limit.flush("a")
    for _ in range(5):
        limit.log("a", lambda: "a")
    limit.flush("a")
    limit.flush("a")
    assert lines == ["a", "a: 4 more like it"]


def test_the_ends_of_many_streams_are_no_flood_either() -> None:
    clock, lines = Clock(), list[str]()
    limit = LogLimit(lines.append, clock)
    for _ in range(1_000):
        limit.log("a", lambda: "a")
        limit.flush("a")
    assert lines == ["a", "a: 1 more like it"]


def test_a_line_that_is_not_logged_is_not_made() -> None:
    made: list[int] = []
    limit = LogLimit(lambda _: None, Clock())

    def make() -> str:
        made.append(1)
        return ""

    for _ in range(10):
        limit.log("a", make)
    assert made == [1]
