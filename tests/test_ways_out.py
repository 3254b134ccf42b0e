from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import pytest
import reactivex as rx
from reactivex import operators as ops
from reactivex.internal import SequenceContainsNoElementsError
from reactivex.scheduler import NewThreadScheduler
from reactivex.scheduler.eventloop import AsyncIOScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc import shared_channels

from .event_loops import on_loop
from .helpers import PATIENCE, Seen, divide_by_zero, is_observed, nothing_left_behind, raw_sender, wait_until

T = TypeVar("T")


def note_threads(threads: set[int]) -> Callable[[rx.Observable[T]], rx.Observable[T]]:
    """An operator that keeps on which threads values pass it."""
    return ops.do_action(lambda _: threads.add(threading.get_ident()))


def test_run_returns_the_last_value() -> None:
    assert ipc.run(rx.of(1, 2, 3)) == 3


def test_run_raises_what_the_source_ended_with() -> None:
    with pytest.raises(KeyError):
        ipc.run(rx.throw(KeyError("x")))


def test_run_of_a_source_without_a_value_says_so() -> None:
    with pytest.raises(SequenceContainsNoElementsError):
        ipc.run(rx.empty())


def test_a_run_that_times_out_disposes_of_its_subscription() -> None:
    disposed: list[bool] = []
    source = rx.never().pipe(ops.finally_action(lambda: disposed.append(True)))
    with pytest.raises(ipc.MessageTimeout, match=r"0\.05 s"):
        ipc.run(source, timeout=0.05)
    assert disposed == [True]


def test_run_runs_the_timers_of_operators_on_the_calling_thread_and_starts_none(channel: ipc.Channel) -> None:
    with raw_sender() as sender:

        def flood(_: int) -> None:
            for _ in range(2000):
                sender.sendto(b"x", ("224.0.2.1", channel.group.port))

        threads = threading.active_count()
        most: list[int] = []
        counted = channel.messages.pipe(
            ops.timeout(5.0), ops.do_action(lambda _: most.append(threading.active_count())), ops.take(2000)
        )
        sending = rx.timer(0.01).pipe(ops.do_action(flood), ops.ignore_elements())
        assert ipc.run(rx.merge(counted, sending).pipe(ops.count())) == 2000
        assert max(most) <= threads


def test_timers_of_a_run_fire_in_order_and_on_time() -> None:
    started = time.monotonic()
    order = rx.merge(rx.timer(0.06), rx.timer(0.02), rx.timer(0.04)).pipe(
        ops.map(lambda _: threading.get_ident()), ops.to_list()
    )
    assert ipc.run(order) == [threading.get_ident()] * 3
    assert time.monotonic() - started >= 0.06


def test_run_in_a_subscriber_says_that_it_would_wait_for_itself(channel: ipc.Channel) -> None:
    waiting = channel.messages.pipe(ops.map(lambda _: ipc.run(channel.wait_for_message())))
    seen = Seen(waiting)
    ipc.run(channel.broadcast("x"))
    assert isinstance(seen.wait_for_end().error, ipc.WouldDeadlock)


def test_twenty_thousand_messages_through_a_timeout_start_no_thread(port: int) -> None:
    threads: list[int] = []

    def talk(api: ipc.Channel) -> rx.Observable[int]:
        return rx.merge(
            api.messages.pipe(
                ops.timeout(5.0), ops.do_action(lambda _: threads.append(threading.active_count())), ops.take(20_000)
            ),
            api.broadcast_all(("x" for _ in range(20_000)), rate=40_000).pipe(ops.ignore_elements()),
        ).pipe(ops.count())

    before = threading.active_count()
    assert ipc.run(ipc.with_socket(talk, port)) == 20_000
    assert max(threads) <= before + 1  # the channel's own


def test_await_wakes_its_loop_at_once(port: int) -> None:
    async def main() -> None:
        async with ipc.open_channel(port) as channel:
            assert await channel.broadcast("x") is None
            message = await channel.wait_for_message(timeout=PATIENCE)
            assert message.text == "x"
            assert (await channel.send("by name", channel.sender_address[1], "localhost")) is None
            assert (await channel.wait_for_message(lambda m: m.direct, timeout=PATIENCE)).text == "by name"
            with pytest.raises(ipc.MessageTimeout):
                await channel.wait_for_message(timeout=0.01)
        assert channel.closed

    with nothing_left_behind():
        on_loop(main())


def test_subscribed_with_an_asyncio_scheduler_everything_happens_on_its_loop(port: int) -> None:
    async def main() -> set[int]:
        threads: set[int] = set()
        note = note_threads(threads)
        async with ipc.open_channel(port) as channel:
            hearing = asyncio.ensure_future(channel.messages.pipe(note, ops.take(3)))
            await asyncio.sleep(0)
            await channel.broadcast_all(["a", "b", "c"]).pipe(note)
            await hearing
            await channel.wait_for_message().pipe(note)
            await channel.unbind().pipe(note)
        return threads

    assert on_loop(main()) == {threading.get_ident()}


def test_with_socket_on_a_loop_stays_on_it_and_leaves_nothing(port: int) -> None:
    async def main() -> set[int]:
        threads: set[int] = set()
        note = note_threads(threads)
        conversation = ipc.with_socket(
            lambda api: api.broadcast("x").pipe(
                note, ops.flat_map(lambda _: api.wait_for_message(timeout=PATIENCE)), note, ops.delay(0.001), note
            ),
            port,
        )
        message = await conversation
        assert message is not None
        assert message.text == "x"
        return threads

    with nothing_left_behind():
        assert on_loop(main()) == {threading.get_ident()}


def test_cancelling_an_await_disposes_of_its_subscription(port: int) -> None:
    async def main() -> None:
        async with ipc.open_channel(port) as channel:
            for waiting in (channel.messages, channel.wait_for_message()):
                task = asyncio.ensure_future(waiting)
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert not is_observed(channel.messages)
            await channel.broadcast("kept")
            assert (await channel.wait_for_message(timeout=PATIENCE)).text == "kept"

    on_loop(main())


def test_cancelling_a_with_socket_closes_its_socket(port: int) -> None:
    async def main() -> None:
        opened = asyncio.Event()

        def use(api: ipc.Channel) -> rx.Observable[ipc.Message]:
            opened.set()
            return api.messages

        task = asyncio.ensure_future(ipc.with_socket(use, port))
        await opened.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with nothing_left_behind():
        on_loop(main())


def test_async_for_sees_every_message_in_order(port: int) -> None:
    async def main() -> list[str]:
        texts: list[str] = []
        async with ipc.open_channel(port) as channel:
            stream = aiter(ipc.to_async_iterable(channel.messages))
            await channel.broadcast_all(map(str, range(500)))
            async for message in stream:
                texts.append(message.text)
                if len(texts) == 500:
                    break
        return texts

    assert on_loop(main()) == [str(number) for number in range(500)]


def test_leaving_an_async_for_disposes_of_its_subscription_at_once(port: int) -> None:
    async def main() -> None:
        async with ipc.open_channel(port) as channel:
            await channel.broadcast("x")

            async def loop() -> None:
                async for _ in ipc.to_async_iterable(channel.messages):
                    break

            hearing = asyncio.ensure_future(loop())
            await asyncio.sleep(0)
            assert is_observed(channel.messages)
            await channel.broadcast("y")
            await hearing
            assert not is_observed(channel.messages)

    on_loop(main())


def test_an_async_for_ends_with_its_source(port: int) -> None:
    async def main() -> list[ipc.Message]:
        async with ipc.open_channel(port) as channel:
            stream = aiter(ipc.to_async_iterable(channel.messages))
            await channel.unbind()
            return [message async for message in stream]

    assert on_loop(main()) == []


def test_an_async_for_raises_what_its_source_ended_with() -> None:
    async def main() -> None:
        async for _ in ipc.to_async_iterable(rx.throw(KeyError("x"))):
            pass

    with pytest.raises(KeyError):
        on_loop(main())


def test_an_async_for_is_fed_from_any_thread() -> None:
    async def main() -> list[int]:
        source = rx.interval(0.001, scheduler=NewThreadScheduler()).pipe(ops.take(20))
        return [value async for value in ipc.to_async_iterable(source)]

    assert on_loop(main()) == list(range(20))


async def take_all(stream: AsyncIterator[int]) -> list[int]:
    return [value async for value in stream]


@pytest.mark.parametrize(
    ("overflow", "kept"), [(ipc.Overflow.DROP_OLDEST, [2, 3, 4]), (ipc.Overflow.DROP_LATEST, [0, 1, 2])]
)
def test_an_async_for_that_falls_behind_loses_what_its_policy_says(overflow: ipc.Overflow, kept: list[int]) -> None:
    async def main() -> list[int]:
        return await take_all(aiter(ipc.to_async_iterable(rx.of(0, 1, 2, 3, 4), capacity=3, overflow=overflow)))

    assert on_loop(main()) == kept


def test_an_async_for_with_the_error_policy_gets_what_did_fit_and_then_the_error() -> None:
    async def main() -> None:
        stream = aiter(ipc.to_async_iterable(rx.of(0, 1, 2, 3), capacity=2, overflow=ipc.Overflow.ERROR))
        assert [await anext(stream), await anext(stream)] == [0, 1]
        with pytest.raises(ipc.BufferOverflow, match="2 items"):
            await anext(stream)

    on_loop(main())


def test_an_async_step_that_times_out_loses_nothing(port: int) -> None:
    async def main() -> str:
        async with ipc.open_channel(port) as channel:
            stream = aiter(ipc.to_async_iterable(channel.messages))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0.01)
            await channel.broadcast("later")
            return (await anext(stream)).text

    assert on_loop(main()) == "later"


def test_a_subscriber_that_raises_on_a_loop_is_detached_and_reported(port: int, unhandled: list[BaseException]) -> None:
    async def main() -> None:
        async with ipc.open_channel(port) as channel:
            bad = channel.messages.subscribe(divide_by_zero, scheduler=AsyncIOScheduler(asyncio.get_running_loop()))
            good = asyncio.ensure_future(channel.messages.pipe(ops.take(3), ops.count()))
            await asyncio.sleep(0)
            await channel.broadcast_all(["abc"] * 3)
            assert await good == 3
            bad.dispose()

    on_loop(main())
    assert [type(error) for error in unhandled] == [ZeroDivisionError]
    unhandled.clear()


def test_a_loop_that_falls_far_behind_loses_the_oldest_and_counts_them(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rx_multicast_ipc.receiving.event_loop_delivery.LOOP_CAPACITY", 10)

    async def main() -> tuple[list[str], int]:
        async with ipc.open_channel(port) as channel:
            hearing = asyncio.ensure_future(channel.messages.pipe(ops.take(10), ops.to_list()))
            await asyncio.sleep(0)
            ipc.run(channel.broadcast_all(map(str, range(25))))
            wait_until(lambda: channel.statistics.discarded == 15)  # keeps the loop busy
            return [message.text for message in await hearing], channel.statistics.discarded

    assert on_loop(main()) == ([str(number) for number in range(15, 25)], 15)


def test_async_with_closes_after_an_exception_too(port: int) -> None:
    async def main() -> None:
        async with ipc.open_channel(port) as channel:
            seen.append(channel)
            raise KeyError("x")

    seen: list[ipc.Channel] = []
    with pytest.raises(KeyError):
        on_loop(main())
    assert seen[0].closed
    gc.collect()


def test_the_next_item_of_a_fresh_iterator_can_be_awaited(port: int) -> None:
    async def main() -> str:
        async with ipc.open_channel(port) as channel:
            asyncio.get_running_loop().call_later(0.02, channel.broadcast("x").subscribe)
            return (await anext(aiter(ipc.to_async_iterable(channel.messages)))).text

    assert on_loop(main()) == "x"


def test_an_iterator_that_is_collected_anywhere_takes_no_lock(port: int) -> None:
    """The collector may come by while this very thread holds a lock that disposing wants."""

    async def abandon() -> None:
        cycle: list[object] = [aiter(ipc.to_async_iterable(ipc.messages(port)))]
        cycle.append(cycle)
        await asyncio.sleep(0)

    on_loop(abandon())
    with shared_channels._lock:  # pyright: ignore[reportPrivateUsage]
        collecting = threading.Thread(target=gc.collect)
        collecting.start()
        collecting.join(PATIENCE)
        assert not collecting.is_alive()
    ipc.run(ipc.broadcast("wakes it", port))
    wait_until(lambda: not any(key.group.port == port for key in shared_channels._channels))  # pyright: ignore[reportPrivateUsage]


def test_a_wait_with_a_timeout_loses_nothing_however_short(port: int) -> None:
    async def main() -> list[str]:
        async with ipc.open_channel(port, backlog=10_000) as channel:
            sending = asyncio.ensure_future(channel.broadcast_all(map(str, range(500)), rate=4000))
            texts: list[str] = []
            while len(texts) < 500:
                with contextlib.suppress(ipc.MessageTimeout):
                    texts.append((await channel.wait_for_message(timeout=0.0004)).text)
            await sending
            return texts

    assert on_loop(main()) == [str(number) for number in range(500)]


def test_a_slow_async_for_is_told_what_it_lost(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        await anext(aiter(ipc.to_async_iterable(rx.from_iterable(range(10)), capacity=3)))

    on_loop(main())
    assert "lost 7 items (drop_oldest, capacity 3)" in caplog.text


@pytest.mark.parametrize("timeout", [-1, "5", float("nan")])
def test_a_timeout_of_run_that_is_none_is_refused(timeout: float) -> None:
    with pytest.raises(ipc.InvalidOption, match="seconds"):
        ipc.run(rx.just(1), timeout=timeout)
