from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator

import pytest
import reactivex as rx
from reactivex import operators as ops
from reactivex.subject import Subject

import rx_multicast_ipc as ipc

from ..helpers import PATIENCE, is_observed, run, wait_until


def test_what_waits_for_the_body_is_bounded_in_bytes() -> None:
    async def main() -> int:
        source = rx.from_iterable([ipc.Message(bytes(300))] * 8)
        return len([message async for message in ipc.to_async_iterable(source, capacity_bytes=1000)])

    assert asyncio.run(main()) == 3


def test_with_the_error_policy_the_error_names_the_bytes() -> None:
    async def main() -> None:
        source = rx.from_iterable([ipc.Message(bytes(300))] * 8)
        async for _ in ipc.to_async_iterable(source, overflow=ipc.Overflow.ERROR, capacity_bytes=1000):
            pass

    with pytest.raises(ipc.BufferOverflow, match="1000 bytes"):
        asyncio.run(main())


@pytest.mark.parametrize("capacity_bytes", [0, -1, 1.5, True])
def test_a_capacity_that_is_none_is_refused(capacity_bytes: int) -> None:
    with pytest.raises(ipc.InvalidOption, match="capacity_bytes"):
        ipc.to_async_iterable(rx.never(), capacity_bytes=capacity_bytes)


def test_what_a_slow_loop_loses_is_in_the_statistics_of_its_channel(channel: ipc.Channel) -> None:
    async def main() -> None:
        stream = aiter(ipc.to_async_iterable(channel.messages, capacity=4))
        heard = channel.messages.pipe(ops.take(10), ops.count())
        counting = asyncio.ensure_future(heard)  # behind the stream, on the same loop
        await asyncio.sleep(0)
        for _ in range(10):
            await channel.broadcast("x")
        await counting
        await anext(stream)

    asyncio.run(asyncio.wait_for(main(), PATIENCE))
    assert channel.statistics.discarded == 6


@pytest.mark.parametrize("overflow", list(ipc.Overflow))
def test_a_loop_that_ends_under_traffic_leaves_no_subscriber(channel: ipc.Channel, overflow: ipc.Overflow) -> None:
    kept: list[AsyncIterator[ipc.Message]] = []

    async def main() -> None:
        kept.append(aiter(ipc.to_async_iterable(channel.messages, capacity=2, overflow=overflow)))
        asyncio.get_running_loop().call_soon(lambda: [run(channel.broadcast("x")) for _ in range(5)])
        await asyncio.sleep(0)

    asyncio.run(main())
    run(channel.broadcast("the next"))
    wait_until(lambda: not is_observed(channel.messages))


def test_a_loop_that_ended_lets_go_of_what_waited() -> None:
    source: Subject[threading.Event] = Subject()
    kept: list[AsyncIterator[threading.Event]] = []

    async def main() -> weakref.ref[threading.Event]:
        kept.append(aiter(ipc.to_async_iterable(source)))
        item = threading.Event()
        source.on_next(item)
        return weakref.ref(item)

    item = asyncio.run(main())
    assert item() is not None
    source.on_next(threading.Event())
    gc.collect()
    assert item() is None
    assert not source.observers
