from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex import Observable
from reactivex import operators as ops
from reactivex.scheduler import VirtualTimeScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing import VirtualClock

from ..helpers import divide_by_zero
from ..interrupts import interrupted_at, traces_opcodes


def note(log: list[Any], value: Any) -> Callable[[Any, Any], None]:
    """An action that leaves a trace."""
    return lambda _scheduler, _state: log.append(value)


@given(delays=st.lists(st.integers(0, 50), max_size=60), cancelled=st.sets(st.integers(0, 59)))
def test_actions_run_in_order_of_time_then_of_scheduling_and_cancelled_ones_do_not(
    delays: list[int], cancelled: set[int]
) -> None:
    clock, ran = VirtualClock(), list[tuple[float, int]]()
    for number, delay in enumerate(delays):
        disposable = clock.schedule_relative(
            delay / 10, lambda _scheduler, _state, number=number: ran.append((clock.clock, number))
        )
        if number in cancelled:
            disposable.dispose()
    clock.start()
    expected = sorted((delay / 10, number) for number, delay in enumerate(delays) if number not in cancelled)
    assert ran == expected
    assert clock.clock == (expected[-1][0] if expected else 0)


def test_times_are_the_floats_that_one_writes(clock: VirtualClock) -> None:
    seen: list[float] = []
    rx.interval(0.1).pipe(ops.take(1000)).subscribe(lambda _: seen.append(clock.clock), scheduler=clock)
    clock.start()
    assert seen == [number / 10 for number in range(1, 1001)]


def test_many_actions_at_one_moment_do_not_move_the_clock(clock: VirtualClock) -> None:
    times: list[float] = []

    def again(_scheduler: Any, state: Any) -> None:
        times.append(clock.clock)
        if state:
            clock.schedule(again, state - 1)

    clock.schedule_relative(2, again, 5000)
    clock.start()
    assert set(times) == {2.0}
    assert len(times) == 5001


def test_what_repeats_for_ever_without_time_passing_is_told(
    clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(_scheduler: Any, _state: Any) -> None:
        clock.schedule(again)

    monkeypatch.setattr("rx_multicast_ipc.testing.virtual_clock._MOST_ROUNDS", 1000)
    clock.schedule_relative(3, again)
    with pytest.raises(ipc.Unsupported, match="at 3 s something answers itself"):
        clock.start()


def test_a_cancelled_action_does_not_move_the_clock(clock: VirtualClock) -> None:
    in_time = rx.timer(1.0).pipe(ops.timeout(3600))
    in_time.subscribe(scheduler=clock)
    clock.start()
    assert clock.clock == 1.0


def test_cancelled_actions_do_not_stay(clock: VirtualClock) -> None:
    ran: list[int] = []
    kept = [clock.schedule_relative(number, note(ran, number)) for number in range(10)]
    for number in range(100_000):
        clock.schedule_relative(1e6 + number, divide_by_zero).dispose()
    assert len(clock._heap) < 200  # pyright: ignore[reportPrivateUsage]
    kept[3].dispose()
    clock.start()
    assert ran == [0, 1, 2, 4, 5, 6, 7, 8, 9]


def test_an_action_that_raises_leaves_the_clock_fit_for_use(clock: VirtualClock) -> None:
    ran: list[str] = []
    clock.schedule_relative(1, divide_by_zero)
    clock.schedule_relative(2, note(ran, "later"))
    with pytest.raises(ZeroDivisionError):
        clock.start()
    assert (clock.clock, ran) == (1.0, [])
    clock.start()
    assert ran == ["later"]


def test_advancing_runs_what_is_due_and_no_more(clock: VirtualClock) -> None:
    ran: list[int] = []
    for second in range(5):
        clock.schedule_absolute(second, note(ran, second))
    clock.advance_to(0)
    assert ran == [0]
    clock.advance_by(timedelta(seconds=2.5))
    assert (clock.clock, ran) == (2.5, [0, 1, 2])
    clock.sleep(2)
    assert (clock.clock, ran) == (4.5, [0, 1, 2])
    clock.schedule_absolute(1, note(ran, -1))  # due in the past: now, and after what waits longer
    clock.advance_to(4.5)
    assert (clock.clock, ran) == (4.5, [0, 1, 2, 3, 4, -1])


def test_time_does_not_go_back(clock: VirtualClock) -> None:
    clock.advance_to(5)
    for back in (lambda: clock.advance_to(4), lambda: clock.advance_by(-1), lambda: clock.sleep(-1)):
        with pytest.raises(ipc.InvalidOption, match="goes forward"):
            back()


def test_running_a_clock_from_its_own_action_is_told(clock: VirtualClock) -> None:
    clock.schedule(lambda _scheduler, _state: clock.start())
    with pytest.raises(ipc.WouldDeadlock, match="cannot run that clock"):
        clock.start()


def test_a_stopped_clock_goes_on_later(clock: VirtualClock) -> None:
    ran: list[int] = []
    clock.schedule_relative(1, lambda _scheduler, _state: clock.stop())
    clock.schedule_relative(2, note(ran, 2))
    clock.advance_to(10)
    assert (clock.clock, ran) == (1.0, [])
    clock.start()
    assert ran == [2]


def test_what_an_action_returns_is_disposed_of_with_it(clock: VirtualClock) -> None:
    ran: list[str] = []
    outer = clock.schedule(lambda scheduler, _state: scheduler.schedule_relative(5, note(ran, "inner")))
    clock.advance_by(1)
    outer.dispose()
    clock.start()
    assert ran == []


OPERATORS: dict[str, Callable[[Observable[int]], Observable[Any]]] = {
    "delay": ops.delay(0.3),
    "debounce": ops.debounce(0.15),
    "throttle": ops.throttle_first(0.15),
    "sample": ops.sample(0.5),
    "buffer": ops.buffer_with_time(0.7),
    "timeout": ops.timeout(0.25),
    "time interval": ops.time_interval(),
    "timestamp": ops.timestamp(),
    "delay subscription": ops.delay_subscription(0.25),
    "take for": ops.take_with_time(1.0),
    "skip for": ops.skip_with_time(1.0),
    "repeat": ops.repeat(3),
}


@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_reactivexs_operators_do_on_it_what_they_do_on_reactivexs_own_clock(
    operator: Callable[[Observable[int]], Observable[Any]],
) -> None:
    def run(scheduler: VirtualTimeScheduler) -> list[tuple[float, str, Any]]:
        events: list[tuple[float, str, Any]] = []

        def log(kind: str) -> Callable[..., None]:
            return lambda *value: events.append(
                (round(scheduler.to_seconds(scheduler.now), 6), kind, [str(one) for one in value])
            )

        source = rx.concat(rx.interval(0.1).pipe(ops.take(5)), rx.interval(0.2).pipe(ops.take(5)), rx.timer(1.0))
        source.pipe(operator).subscribe(log("next"), log("error"), log("completed"), scheduler=scheduler)
        scheduler.advance_to(20.0)
        return events

    assert run(VirtualClock()) == run(VirtualTimeScheduler())


@traces_opcodes
def test_ctrl_c_amid_running_what_is_due_loses_no_action() -> None:
    for place in count(1):
        clock = VirtualClock()
        ran: list[Any] = []
        for number in range(3):
            clock.schedule_relative(number / 10, note(ran, number))
        clock.schedule_relative(0.05, note(ran, "disposed")).dispose()
        reached = interrupted_at(place, lambda clock=clock: clock.advance_by(1.0))
        clock.advance_by(1.0)
        assert ran == [0, 1, 2], f"interrupted at place {place}"
        assert clock.busy_until is None
        if not reached:
            assert place > 5
            break
