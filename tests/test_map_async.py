"""``map_async`` runs coroutines for the items of a stream, on the subscriber's loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops
from reactivex.scheduler.eventloop import AsyncIOScheduler
from reactivex.subject import Subject

from rx_multicast_ipc.operators import map_async

from .helpers import PATIENCE, T, divide_by_zero, ipc


def on_loop(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What ``main`` returns, soon; in asyncio's debug mode."""
    return asyncio.run(asyncio.wait_for(main(), PATIENCE), debug=True)


class Handlers:
    """A coroutine function whose calls a test ends one by one."""

    def __init__(self) -> None:
        self.started: list[int] = []
        self.cancelled: list[int] = []
        self._ends: dict[int, asyncio.Event] = {}

    async def __call__(self, item: int) -> int:
        self.started.append(item)
        try:
            await self._end_of(item).wait()
        except asyncio.CancelledError:
            self.cancelled.append(item)
            raise
        return item * 10

    def end(self, item: int) -> None:
        self._end_of(item).set()

    def _end_of(self, item: int) -> asyncio.Event:
        return self._ends.setdefault(item, asyncio.Event())


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0)


async def doubled(item: int) -> int:
    await asyncio.sleep(0)
    return item * 2


def test_each_item_becomes_the_result_of_the_coroutine() -> None:
    async def main() -> list[int]:
        return await rx.of(1, 2, 3).pipe(map_async(doubled), ops.to_list())

    assert on_loop(main) == [2, 4, 6]


def test_one_at_a_time_is_in_order() -> None:
    async def main() -> None:
        handlers, results, source = Handlers(), list[int](), Subject[int]()
        source.pipe(map_async(handlers)).subscribe(results.append)
        for item in (1, 2):
            source.on_next(item)
        handlers.end(2)
        await until(lambda: handlers.started == [1])
        handlers.end(1)
        await until(lambda: len(results) == 2)
        assert (handlers.started, results) == ([1, 2], [10, 20])

    on_loop(main)


def test_so_many_run_at_the_same_time_and_results_come_as_they_end() -> None:
    async def main() -> None:
        handlers, results, source = Handlers(), list[int](), Subject[int]()
        source.pipe(map_async(handlers, max_concurrent=2)).subscribe(results.append)
        for item in (1, 2, 3):
            source.on_next(item)
        await until(lambda: handlers.started == [1, 2])
        handlers.end(2)
        await until(lambda: handlers.started == [1, 2, 3])
        assert results == [20]
        handlers.end(3)
        handlers.end(1)
        await until(lambda: len(results) == 3)
        assert set(results) == {10, 20, 30}

    on_loop(main)


def test_it_completes_after_the_last_handler() -> None:
    async def main() -> None:
        handlers, ends = Handlers(), list[str]()
        rx.of(1, 2).pipe(map_async(handlers)).subscribe(on_completed=lambda: ends.append("end"))
        await until(lambda: handlers.started)
        assert ends == []
        handlers.end(1)
        handlers.end(2)
        await until(lambda: ends)

    on_loop(main)


def test_disposing_cancels_what_runs_and_starts_nothing_more() -> None:
    async def main() -> None:
        handlers, source = Handlers(), Subject[int]()
        subscription = source.pipe(map_async(handlers, 2)).subscribe(divide_by_zero)
        for item in (1, 2, 3):
            source.on_next(item)
        await until(lambda: len(handlers.started) == 2)
        subscription.dispose()
        await until(lambda: len(handlers.cancelled) == 2)
        assert (handlers.started, source.observers) == ([1, 2], [])

    on_loop(main)


def test_a_handler_that_raises_ends_the_stream_and_cancels_the_others() -> None:
    async def main() -> None:
        handlers, errors, source = Handlers(), list[Exception](), Subject[int]()

        async def handle(item: int) -> int:
            if item == 2:
                raise KeyError(item)
            return await handlers(item)

        source.pipe(map_async(handle, 2)).subscribe(on_error=errors.append)
        source.on_next(1)
        await until(lambda: handlers.started)
        source.on_next(2)
        await until(lambda: handlers.cancelled)
        assert [type(error) for error in errors] == [KeyError]
        assert source.observers == []

    on_loop(main)


def test_a_subscriber_that_raises_is_detached_and_reported(unhandled: list[BaseException]) -> None:
    async def main() -> None:
        source = Subject[int]()
        source.pipe(map_async(doubled)).subscribe(divide_by_zero)
        source.on_next(1)
        await until(lambda: not source.observers)

    on_loop(main)
    assert [type(error) for error in unhandled] == [ZeroDivisionError]
    unhandled.clear()


@pytest.mark.parametrize(
    ("overflow", "handled"), [("drop_oldest", [0, 8, 9]), (ipc.Overflow.DROP_LATEST, [0, 1, 2]), ("error", [0, 1, 2])]
)
def test_what_waits_is_bounded_and_what_is_lost_is_told(
    overflow: Any, handled: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> list[int]:
        handlers, source, ends = Handlers(), Subject[int](), list[Exception | None]()
        buffer = map_async(handlers, capacity=2, overflow=overflow)
        source.pipe(buffer).subscribe(on_error=ends.append, on_completed=lambda: ends.append(None))
        source.on_next(0)
        await until(lambda: handlers.started)
        for item in range(1, 10):
            source.on_next(item)
        source.on_completed()
        for item in range(10):
            handlers.end(item)
        await until(lambda: ends)
        assert isinstance(ends[0], ipc.BufferOverflow) == (overflow == "error")
        return handlers.started

    assert on_loop(main) == handled
    assert ("7 items were lost" in caplog.text) == (overflow != "error")


def test_items_of_any_thread_are_handled_on_the_loop() -> None:
    async def main() -> set[int]:
        source, threads, results = Subject[int](), set[int](), list[int]()

        async def handle(item: int) -> int:
            threads.add(threading.get_ident())
            return item

        source.pipe(map_async(handle, 4)).subscribe(results.append)

        def produce() -> None:
            for item in range(500):
                source.on_next(item)

        producer = threading.Thread(target=produce)
        producer.start()
        await until(lambda: len(results) == 500)
        producer.join()
        assert sorted(results) == list(range(500))
        return threads - {threading.get_ident()}

    assert on_loop(main) == set()


def test_the_loop_may_be_brought_by_a_scheduler() -> None:
    results: list[int] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def subscribe() -> None:
            rx.of(1, 2).pipe(map_async(doubled)).subscribe(results.append, scheduler=AsyncIOScheduler(loop))

        await asyncio.to_thread(subscribe)
        await until(lambda: len(results) == 2)

    on_loop(main)
    assert results == [2, 4]


def test_without_a_loop_it_says_what_to_do() -> None:
    with pytest.raises(ipc.InvalidOption, match="inside a coroutine"):
        ipc.run(rx.of(1).pipe(map_async(doubled)))


def test_a_loop_that_ends_takes_the_handlers_with_it() -> None:
    handlers, source = Handlers(), Subject[int]()

    async def main() -> None:
        source.pipe(map_async(handlers)).subscribe(divide_by_zero)
        source.on_next(1)
        await until(lambda: handlers.started)

    on_loop(main)
    assert handlers.cancelled == [1]
    source.on_next(2)
    assert source.observers == []


def test_mistakes_are_told() -> None:
    with pytest.raises(ipc.InvalidOption, match="coroutine function"):
        map_async(5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ipc.InvalidOption, match="max_concurrent"):
        map_async(doubled, 0)
    with pytest.raises(ipc.InvalidOption, match="capacity"):
        map_async(doubled, capacity=0)

    async def main() -> None:
        wrong: Callable[[int], Awaitable[int]] = lambda item: item  # pyright: ignore # noqa: E731
        with pytest.raises(ipc.InvalidOption, match=r"ops\.map"):
            await rx.of(1).pipe(map_async(wrong))

    on_loop(main)


def test_an_observable_is_awaited_like_a_coroutine(channel: ipc.Channel) -> None:
    async def main() -> None:
        answered = channel.messages.pipe(map_async(lambda m: channel.broadcast(f"heard {m.text}")), ops.take(1))
        with answered.subscribe():
            await channel.broadcast("hello")
            heard = await channel.wait_for_message(lambda m: m.text == "heard hello", timeout=PATIENCE)
        assert heard.sender == channel.sender_address

    on_loop(main)
