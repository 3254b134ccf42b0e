from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops
from reactivex.abc import SchedulerBase
from reactivex.scheduler import ImmediateScheduler
from reactivex.scheduler.eventloop import AsyncIOScheduler
from reactivex.testing import TestScheduler

import rx_multicast_ipc as ipc

from .helpers import PATIENCE, Seen

TURNS = 10_000
"""More than any stack is deep."""


def test_repeat_while_goes_on_as_long_as_the_condition_holds() -> None:
    doubled = ipc.repeat_while(lambda value: value < 100, lambda value: rx.just(value * 2), 1)
    assert ipc.run(doubled) == 128


def test_repeat_while_that_never_holds_emits_the_first_value_and_runs_nothing() -> None:
    assert ipc.run(ipc.repeat_while(lambda _: False, lambda _: rx.throw(RuntimeError()), 7)) == 7


def test_an_action_may_return_a_plain_value() -> None:
    assert ipc.run(ipc.repeat_while(lambda value: value < 5, lambda value: value + 1, 0)) == 5


def test_the_last_value_of_an_action_is_the_next_one_and_none_keeps_it() -> None:
    turns: list[int] = []

    def action(value: int) -> rx.Observable[int]:
        turns.append(value)
        return rx.of(1, 2) if value == 0 else rx.empty()

    assert ipc.run(ipc.repeat_while(lambda value: len(turns) < 3, action, 0)) == 2
    assert turns == [0, 2, 2]


def test_repeat_for_runs_the_function_so_many_times_one_after_the_other_and_emits_0(channel: ipc.Channel) -> None:
    numbers = iter("abc")
    assert ipc.run(ipc.repeat_for(3, lambda: channel.broadcast(next(numbers)).pipe(ops.delay(0.001)))) == 0
    heard = channel.wait_for_message(timeout=PATIENCE).pipe(ops.repeat(3), ops.map(lambda m: m.text), ops.to_list())
    assert ipc.run(heard) == ["a", "b", "c"]


def test_repeat_for_is_cold() -> None:
    calls: list[None] = []
    loop = ipc.repeat_for(2, lambda: calls.append(None))
    assert calls == []
    ipc.run(loop)
    ipc.run(loop)
    assert len(calls) == 4


@pytest.mark.parametrize(
    "loop",
    [
        ipc.repeat_while(lambda _: 1 // 0, lambda value: value, 1),
        ipc.repeat_while(lambda _: True, lambda _: 1 // 0, 1),
        ipc.repeat_while(lambda _: True, lambda _: rx.throw(ZeroDivisionError()), 1),
        ipc.repeat_for(5, lambda: 1 // 0),
    ],
    ids=["condition", "action", "action's Observable", "repeat_for"],
)
def test_what_a_condition_or_action_raises_ends_the_loop(loop: rx.Observable[Any]) -> None:
    with pytest.raises(ZeroDivisionError):
        ipc.run(loop)


@pytest.mark.parametrize("count", [-1, 1.5, "3", True])
def test_a_count_that_is_none_is_refused_at_once(count: int) -> None:
    with pytest.raises(ipc.InvalidOption, match="whole number"):
        ipc.repeat_for(count, lambda: None)


def test_disposing_of_a_loop_ends_it() -> None:
    turns: list[int] = []
    waiting = rx.Subject[int]()
    loop = ipc.repeat_while(lambda _: True, lambda value: (turns.append(value), waiting)[1], 0).subscribe()
    loop.dispose()
    assert turns == [0]
    assert not waiting.observers


def turns_of(scheduler: SchedulerBase | None) -> list[int]:
    count = 0

    def turn(value: int) -> rx.Observable[int]:
        nonlocal count
        count += 1
        return rx.just(value - 1)

    threads = threading.active_count()
    last: list[int] = []
    ipc.repeat_while(lambda value: value > 0, turn, TURNS).subscribe(last.append, scheduler=scheduler)
    if isinstance(scheduler, TestScheduler):
        scheduler.start()
    assert threading.active_count() <= threads
    return [*last, count]


@pytest.mark.parametrize("scheduler", [None, ImmediateScheduler(), TestScheduler()], ids=lambda it: type(it).__name__)
def test_synchronous_turns_without_number_need_no_stack_and_no_thread(scheduler: SchedulerBase | None) -> None:
    assert turns_of(scheduler) == [0, TURNS]


def test_turns_without_number_on_an_event_loop_need_no_stack_and_no_thread() -> None:
    async def main() -> int:
        threads = threading.active_count()
        loop = ipc.repeat_for(TURNS, lambda: rx.just(1))
        last = await loop.pipe(ops.do_action(lambda _: None))
        assert threading.active_count() <= threads
        return last

    assert asyncio.run(main()) == 0


def test_turns_run_on_the_subscriptions_scheduler() -> None:
    async def main() -> None:
        done = asyncio.get_running_loop().create_future()
        threads: set[int] = set()

        def action(value: int) -> rx.Observable[int]:
            noted = rx.timer(0.001).pipe(ops.do_action(lambda _: threads.add(threading.get_ident())))
            return noted.pipe(ops.map(lambda _: value - 1))

        ipc.repeat_while(lambda value: value > 0, action, 3).subscribe(
            done.set_result, scheduler=AsyncIOScheduler(asyncio.get_running_loop())
        )
        assert await done == 0
        assert threads == {threading.get_ident()}

    asyncio.run(main())


def test_turns_that_end_on_other_threads_are_taken_one_by_one() -> None:
    running: list[int] = []
    most: list[int] = []

    def end(_: int) -> None:
        running.pop()

    def turn() -> rx.Observable[int]:
        running.append(1)
        most.append(len(running))
        return rx.timer(0).pipe(ops.do_action(end))

    assert Seen(ipc.repeat_for(200, turn)).wait_for_end().values == [0]
    assert max(most) == 1
