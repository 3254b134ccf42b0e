from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count as count_up
from random import Random

import pytest
import reactivex as rx
from reactivex import operators as ops
from reactivex.abc import DisposableBase, SchedulerBase

import rx_multicast_ipc as ipc
from rx_multicast_ipc.channel_scheduler import TimerScheduler

from .helpers import PATIENCE, Seen, divide_by_zero, run
from .interrupts import interrupted_at, traces_opcodes
from .wall_clock import WallClock


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


def test_what_could_not_be_scheduled_is_not_queued_either() -> None:
    """Where nothing is left for a thread, who scheduled it has nothing to dispose of."""

    def refuse() -> None:
        raise OSError("too many open files")

    timers = TimerScheduler(refuse)
    with pytest.raises(OSError, match="too many"):
        timers.schedule_relative(60.0, nothing)
    assert timers.until_next() is None


def test_the_owner_is_told_when_the_last_action_is_disposed_of(clock: list[float]) -> None:
    """So that it waits for nothing, and may end."""
    emptied: list[float | None] = []
    timers = TimerScheduler(lambda: None, lambda: emptied.append(timers.until_next()))
    first, second = (timers.schedule_relative(seconds, nothing) for seconds in (1.0, 2.0))
    first.dispose()
    assert emptied == []
    second.dispose()
    second.dispose()
    assert emptied == [None]
    timers.schedule_relative(1.0, nothing)
    timers.run_due(clock[0] + 1)
    assert emptied == [None]


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


def nothing(_scheduler: SchedulerBase, _state: object) -> None:
    pass


def test_a_coarse_timer_may_be_late_where_nothing_else_is_due_meanwhile(timers: TimerScheduler) -> None:
    timers.schedule_coarsely(0.01, nothing)
    assert timers.next_is_coarse
    assert timers.until_next() == pytest.approx(0.01)
    timers.schedule_relative(0.02, nothing)
    assert timers.next_is_coarse
    exact = timers.schedule_relative(0.011, nothing)
    assert not timers.next_is_coarse
    exact.dispose()
    timers.schedule_relative(0.001, nothing)
    assert not timers.next_is_coarse


def test_who_waits_coarsely_is_woken_for_an_exact_timer_that_is_due_meanwhile(
    timers: TimerScheduler, wakes: list[None]
) -> None:
    timers.schedule_coarsely(0.01, nothing)
    wakes.clear()
    timers.schedule_coarsely(0.011, nothing)
    timers.schedule_relative(0.02, nothing)
    assert not wakes
    timers.schedule_relative(0.011, nothing)
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


def test_absolute_times_are_those_of_its_own_clock(timers: TimerScheduler) -> None:
    timers.schedule_absolute(timers.now + timedelta(seconds=10), lambda _scheduler, _state: None)
    assert timers.until_next() == pytest.approx(10, abs=1e-5)


@pytest.mark.parametrize("step", [-3600.0, -0.05, 0.05, 3600.0])
def test_a_step_of_the_wall_clock_changes_no_due_time(
    timers: TimerScheduler, wall_clock: WallClock, step: float
) -> None:
    due = timers.now + timedelta(seconds=10)
    timers.schedule_absolute(due, lambda _scheduler, _state: None)
    wall_clock.step(step)
    assert timers.until_next() == pytest.approx(10, abs=1e-5)
    timers.schedule_absolute(due - timedelta(seconds=5), lambda _scheduler, _state: None)
    assert timers.until_next() == pytest.approx(5, abs=1e-5)
    assert timers.now == due - timedelta(seconds=10)


def test_its_clock_agrees_with_the_wall_clock_until_that_steps() -> None:
    assert abs((datetime.now(UTC) - TimerScheduler(lambda: None).now).total_seconds()) < 60


def test_periodic_work_is_due_at_whole_periods_however_late_each_tick_is(
    timers: TimerScheduler, clock: list[float]
) -> None:
    starts: list[float] = []
    lateness = Random(1)

    def tick(count: int | None) -> int:
        starts.append(clock[0])
        clock[0] += lateness.random() * 0.9  # the work takes time
        return (count or 0) + 1

    ticking = timers.schedule_periodic(1.0, tick, 0)
    while len(starts) < 100:
        clock[0] += (timers.until_next() or 0) + lateness.random() * 0.05  # and is late
        timers.run_due(clock[0])
    assert all(0 <= start - (1001 + number) < 1 for number, start in enumerate(starts))
    ticking.dispose()
    assert timers.until_next() is None


def test_ticks_that_were_missed_are_made_up_for_one_a_turn(timers: TimerScheduler, clock: list[float]) -> None:
    ran: list[int] = []
    timers.schedule_periodic(1.0, lambda count: ran.append(count or 0) or (count or 0) + 1, 0)
    clock[0] += 3.5
    turns = 0
    while timers.until_next() == 0:
        turns += 1
        timers.run_due(clock[0])
    assert (ran, turns) == ([0, 1, 2], 3)
    assert timers.until_next() == pytest.approx(0.5)


def test_periodic_work_that_raises_is_reported_and_ends(timers: TimerScheduler, unhandled: list[BaseException]) -> None:
    timers.schedule_periodic(1.0, divide_by_zero)
    timers.run_due(2000)
    assert timers.until_next() is None
    assert [type(error) for error in unhandled] == [ZeroDivisionError]
    unhandled.clear()


def test_periodic_work_that_disposes_of_itself_runs_no_more(timers: TimerScheduler, clock: list[float]) -> None:
    ran: list[None] = []
    ticking = timers.schedule_periodic(1.0, lambda _: (ran.append(None), ticking.dispose())[0])
    clock[0] += 5
    timers.run_due(clock[0])
    timers.run_due(clock[0])
    assert (ran, timers.until_next()) == ([None], None)


TIMED: dict[str, Callable[[SchedulerBase], rx.Observable[int]]] = {
    "timer": lambda scheduler: rx.timer(0.0, 0.01, scheduler=scheduler),
    "interval": lambda scheduler: rx.interval(0.01, scheduler=scheduler),
    "delay": lambda scheduler: rx.interval(0.01, scheduler=scheduler).pipe(ops.delay(0.02, scheduler=scheduler)),
    "timeout": lambda scheduler: rx.interval(0.01, scheduler=scheduler).pipe(ops.timeout(5.0, scheduler=scheduler)),
    "sample": lambda scheduler: rx.interval(0.01, scheduler=scheduler).pipe(ops.sample(0.02, scheduler=scheduler)),
}


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
@pytest.mark.parametrize("timed", TIMED)
@pytest.mark.quiet_machine
def test_no_timed_operator_on_a_channels_scheduler_notices_a_step(
    channel: ipc.Channel, wall_clock: WallClock, timed: str, step: float
) -> None:
    began = time.monotonic()
    seen = Seen(TIMED[timed](channel.scheduler))
    seen.wait_for_count(3)
    wall_clock.step(step)
    count = len(seen.values)
    seen.wait_for_count(count + 5)
    assert time.monotonic() - began < 15
    seen.subscription.dispose()


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_no_timed_operator_in_run_notices_a_step(wall_clock: WallClock, step: float) -> None:
    ticks = rx.timer(0.0, 0.005).pipe(
        ops.delay(0.01), ops.do_action(lambda count: wall_clock.step(step) if count == 3 else None), ops.take(8)
    )
    assert run(ticks) == 7


@pytest.mark.parametrize("step", [-3600.0, 3600.0])
def test_no_timed_operator_in_an_async_for_notices_a_step(wall_clock: WallClock, step: float) -> None:
    async def main() -> list[int]:
        seen: list[int] = []
        async for count in ipc.to_async_iterable(rx.timer(0.0, 0.005).pipe(ops.delay(0.01), ops.take(8))):
            seen.append(count)
            if count == 3:
                wall_clock.step(step)
        return seen

    assert asyncio.run(asyncio.wait_for(main(), PATIENCE)) == list(range(8))


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


@traces_opcodes
def test_ctrl_c_amid_running_what_is_due_loses_no_timer(clock: list[float]) -> None:
    for place in count_up(1):
        clock[0] = 1000.0
        scheduler = TimerScheduler(lambda: None)
        ran: list[int] = []
        for number in range(3):
            scheduler.schedule_relative(
                number / 10, lambda _scheduler, _state, number=number, ran=ran: ran.append(number)
            )
        scheduler.schedule_relative(0.05, lambda _scheduler, _state, ran=ran: ran.append(9)).dispose()
        clock[0] = 1001.0
        reached = interrupted_at(place, lambda scheduler=scheduler: scheduler.run_due(1001.0))
        scheduler.run_due(1001.0)
        assert ran == [0, 1, 2], f"interrupted at place {place}"
        assert scheduler.next_due() is None
        if not reached:
            assert place > 10
            break


def test_what_runs_until_it_is_done_runs_again_if_ctrl_c_comes_amid_it_and_only_then(clock: list[float]) -> None:
    scheduler = TimerScheduler(lambda: None)
    ran: list[str] = []

    def interrupted(_scheduler: object, _state: object) -> None:
        ran.append("interrupted")
        if len(ran) == 1:
            raise KeyboardInterrupt

    def failing(_scheduler: object, _state: object) -> None:
        ran.append("failed")
        raise ValueError

    reported: list[BaseException] = []
    before = ipc.set_unhandled_error_hook(reported.append)
    try:
        scheduler.schedule_exactly(0.0, interrupted)
        with pytest.raises(KeyboardInterrupt):
            scheduler.run_due(1000.0)
        scheduler.schedule_coarsely(0.0, failing)
        for _ in range(3):
            scheduler.run_due(1000.0)
    finally:
        ipc.set_unhandled_error_hook(before)
    assert ran == ["interrupted", "interrupted", "failed"]
    assert [type(error) for error in reported] == [ValueError]
