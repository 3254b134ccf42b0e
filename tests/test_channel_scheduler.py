from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from reactivex.abc import DisposableBase

from rx_multicast_ipc.channel_scheduler import TimerScheduler

from .helpers import divide_by_zero


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that timers go by: change its only element."""
    now = [1000.0]
    monkeypatch.setattr("rx_multicast_ipc.channel_scheduler.time.monotonic", lambda: now[0])
    return now


@pytest.fixture
def wakes() -> list[None]:
    return []


@pytest.fixture
def timers(clock: list[float], wakes: list[None]) -> TimerScheduler:
    return TimerScheduler(lambda: wakes.append(None))


def test_actions_run_in_the_order_of_their_due_times_and_equal_ones_in_that_of_scheduling(
    timers: TimerScheduler,
) -> None:
    ran: list[str] = []
    for name, seconds in (("d", 3.0), ("a", 1.0), ("b", 2), ("c", timedelta(seconds=2))):
        timers.schedule_relative(seconds, lambda _scheduler, _state, name=name: ran.append(name))
    timers.run_due(1010)
    assert ran == ["a", "b", "c", "d"]


def test_nothing_runs_before_it_is_due(timers: TimerScheduler) -> None:
    ran: list[str] = []
    timers.schedule_relative(2.0, lambda _scheduler, _state: ran.append("x"))
    timers.run_due(1001.9)
    assert ran == []
    assert timers.until_next() == 2.0


def test_a_disposed_action_does_not_run(timers: TimerScheduler) -> None:
    ran: list[str] = []
    timers.schedule(lambda _scheduler, _state: ran.append("x")).dispose()
    timers.run_due(1001)
    assert ran == []
    assert timers.until_next() is None


def test_disposing_of_an_action_that_ran_disposes_of_what_it_returned(timers: TimerScheduler) -> None:
    ran: list[str] = []
    inner: list[DisposableBase] = []

    def action(*_: object) -> DisposableBase:
        inner.append(timers.schedule_relative(5.0, lambda _scheduler, _state: ran.append("inner")))
        return inner[0]

    outer = timers.schedule(action)
    timers.run_due(1000)
    outer.dispose()
    timers.run_due(1100)
    assert ran == []


def test_what_an_action_schedules_at_once_waits_for_the_next_round(timers: TimerScheduler) -> None:
    ran: list[int] = []

    def again(*_: object) -> None:
        ran.append(len(ran))
        timers.schedule(again)

    timers.schedule(again)
    timers.run_due(1000)
    assert ran == [0]


def test_only_an_earlier_due_time_wakes_the_owner(timers: TimerScheduler, wakes: list[None]) -> None:
    for seconds, woken in ((5.0, 1), (6.0, 1), (4.0, 2)):
        timers.schedule_relative(seconds, lambda _scheduler, _state: None)
        assert len(wakes) == woken


def test_a_new_timer_wakes_the_owner_whatever_was_disposed_of_before(timers: TimerScheduler, wakes: list[None]) -> None:
    timers.schedule_relative(1.0, lambda _scheduler, _state: None).dispose()
    wakes.clear()
    timers.schedule_relative(2.0, lambda _scheduler, _state: None)
    assert wakes == [None]


def test_disposed_timers_do_not_pile_up(timers: TimerScheduler) -> None:
    for _ in range(20_000):
        timers.schedule_relative(5.0, lambda _scheduler, _state: None).dispose()
    assert len(timers._heap) < 200  # pyright: ignore[reportPrivateUsage]


def test_an_action_that_raises_is_reported_and_the_others_run(
    timers: TimerScheduler, unhandled: list[BaseException]
) -> None:
    ran: list[str] = []
    timers.schedule(divide_by_zero)
    timers.schedule(lambda _scheduler, _state: ran.append("next"))
    timers.run_due(1000)
    assert ran == ["next"]
    assert [type(error) for error in unhandled] == [ZeroDivisionError]
    unhandled.clear()


def test_absolute_times_are_those_of_the_wall_clock(timers: TimerScheduler) -> None:
    timers.schedule_absolute(timers.now + timedelta(seconds=10), lambda _scheduler, _state: None)
    assert timers.until_next() == pytest.approx(10, abs=0.1)


def test_scheduling_from_many_threads_loses_nothing(timers: TimerScheduler) -> None:
    ran: list[int] = []

    def schedule() -> None:
        for _ in range(500):
            timers.schedule(lambda _scheduler, _state: ran.append(1))
            timers.schedule(lambda _scheduler, _state: ran.append(-1)).dispose()

    threads = [threading.Thread(target=schedule) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    timers.run_due(1000)
    assert sum(ran) == 4000
