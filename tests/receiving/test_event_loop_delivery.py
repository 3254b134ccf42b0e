from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from reactivex import operators as ops
from reactivex.scheduler.eventloop import AsyncIOScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc.receiving import event_loop_delivery
from rx_multicast_ipc.receiving.hot_source import HotSource

from ..helpers import PATIENCE, wait_until


@pytest.fixture
def source() -> HotSource[Any]:
    return HotSource(lambda: None)


def elsewhere(action: Any, *arguments: Any) -> None:
    """Call on another thread, as a channel's I/O thread does, and wait for it."""
    thread = threading.Thread(target=action, args=arguments)
    thread.start()
    thread.join(PATIENCE)


def scheduler() -> AsyncIOScheduler:
    return AsyncIOScheduler(asyncio.get_running_loop())


@pytest.mark.parametrize("kind", ["messages", "batches"])
def test_what_waits_for_a_busy_loop_is_bounded_in_bytes(
    source: HotSource[Any], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_loop_delivery, "QUEUE_BYTES", 1000)

    async def main() -> int:
        seen: list[Any] = []
        source.subscribe(seen.append, scheduler=scheduler())
        messages = [ipc.Message(bytes(100)) for _ in range(30)]
        items = messages if kind == "messages" else [messages[at : at + 3] for at in range(0, 30, 3)]
        elsewhere(source.emit, items)
        await asyncio.sleep(0)
        return sum(len(one) if isinstance(one, list) else 1 for one in seen)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]

    arrived = asyncio.run(main())
    assert arrived == (10 if kind == "messages" else 9)
    assert source.discarded == 30 - arrived


@pytest.mark.parametrize("raised", [asyncio.CancelledError, GeneratorExit, ZeroDivisionError])
def test_a_subscriber_that_raises_on_its_loop_is_detached_reported_and_told(
    source: HotSource[int], raised: type[BaseException], unhandled: list[BaseException]
) -> None:
    async def main() -> tuple[list[int], list[Exception], bool]:
        seen: list[int] = []
        errors: list[Exception] = []

        def on_next(value: int) -> None:
            seen.append(value)
            raise raised

        source.pipe(ops.map(lambda value: value)).subscribe(on_next, errors.append, scheduler=scheduler())
        elsewhere(source.emit, [1, 2, 3])
        elsewhere(source.emit, [4])
        elsewhere(source.end)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return seen, errors, source.observed

    seen, errors, observed = asyncio.run(main())
    assert seen == [1]
    assert len(errors) == 1
    assert not observed
    assert [type(error) for error in unhandled] == [raised]
    unhandled.clear()


def test_one_that_raises_costs_the_others_on_the_loop_nothing(
    source: HotSource[int], unhandled: list[BaseException]
) -> None:
    async def main() -> list[Any]:
        seen: list[Any] = []

        def cancel(_: int) -> None:
            raise asyncio.CancelledError

        source.subscribe(cancel, scheduler=scheduler())
        source.subscribe(seen.append, None, lambda: seen.append("end"), scheduler=scheduler())
        elsewhere(source.emit, [1, 2])
        elsewhere(source.end)
        await asyncio.sleep(0)
        return seen

    assert asyncio.run(main()) == [1, 2, "end"]
    assert [type(error) for error in unhandled] == [asyncio.CancelledError]
    unhandled.clear()


@pytest.mark.parametrize("woken", [False, True], ids=["idle", "woken before it was closed"])
def test_a_loop_that_is_gone_loses_its_subscriber_with_the_next_item(source: HotSource[int], woken: bool) -> None:
    async def main() -> None:
        source.subscribe(lambda _: None, scheduler=scheduler())

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    if woken:
        source.emit([1])  # asks the loop to wake up, which it never will
    loop.close()
    assert source.observed
    source.emit([2])
    assert not source.observed


def test_a_loop_that_is_gone_is_no_error_of_anybody(channel: ipc.Channel) -> None:
    async def main() -> None:
        for stream in (
            channel.messages,
            channel.wait_for_message(),
            channel.unbind(),
            channel.broadcast_all([], rate=1),
        ):
            stream.subscribe(lambda _: None, lambda _: None, scheduler=scheduler())

    busy, go_on = threading.Event(), threading.Event()

    def work(_: ipc.Message) -> None:
        busy.set()
        go_on.wait(PATIENCE)

    channel.messages.subscribe(work)
    ipc.run(channel.broadcast("x"))
    assert busy.wait(PATIENCE)
    asyncio.run(main())  # its loop is closed before the channel is
    told: list[None] = []
    channel.unbind().subscribe(told.append)
    go_on.set()
    wait_until(lambda: told)


def test_closing_tells_who_waits_on_a_loop(channel: ipc.Channel) -> None:
    async def main() -> Exception:
        ends: list[Exception] = []
        channel.wait_for_message().subscribe(on_error=ends.append, scheduler=scheduler())
        await channel.unbind()
        while not ends:  # noqa: ASYNC110
            await asyncio.sleep(0)
        return ends[0]

    assert isinstance(asyncio.run(asyncio.wait_for(main(), PATIENCE)), ipc.ChannelClosed)
