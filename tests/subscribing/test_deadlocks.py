from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops
from reactivex.scheduler import NewThreadScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing import VirtualClock, VirtualNetwork

from ..helpers import PATIENCE, Seen, run

pytestmark = pytest.mark.filterwarnings(  # run() refuses before it subscribes
    "ignore::rx_multicast_ipc.NeverSubscribedWarning"
)


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    """What was refused is collected while its warning is ignored, not in the next test."""
    yield
    gc.collect()


ENDLESS: dict[str, Callable[[ipc.Channel], rx.Observable[Any]]] = {
    "wait": lambda channel: channel.wait_for_message(lambda m: m.text == "never"),
    "wait with a timeout": lambda channel: channel.wait_for_message(lambda m: m.text == "never", timeout=60),
    "request": lambda channel: channel.request("?", lambda m: False),
    "messages": lambda channel: channel.messages.pipe(ops.take(1)),
    "batches": lambda channel: channel.batches.pipe(ops.take(1)),
    "events": lambda channel: channel.events.pipe(ops.take(1)),
    "operator": lambda channel: channel.messages.pipe(ipc.operators.wait_for_message()),
    "buffer": lambda channel: channel.messages.pipe(ipc.operators.on_backpressure_buffer(9), ops.take(1)),
    "send to a name": lambda channel: channel.send("x", 9, "localhost"),
    "paced iterable": lambda channel: channel.broadcast_all(["a"], rate=1),
    "paced Observable": lambda channel: channel.broadcast_all(rx.of("a"), rate=1),
    "timer": lambda channel: rx.timer(0.01, scheduler=channel.scheduler),
    "delay": lambda channel: rx.of(1).pipe(ops.delay(0.01, scheduler=channel.scheduler)),
    "idle Observable": lambda channel: channel.broadcast_all(rx.never()),
}

PIPED: dict[str, Callable[[rx.Observable[Any]], rx.Observable[Any]]] = {
    "plain": lambda source: source,
    "map": lambda source: source.pipe(ops.map(str)),
    "merge": lambda source: rx.merge(source, rx.never()),
    "flat_map": lambda source: rx.of(1).pipe(ops.flat_map(lambda _: source)),
    "defer": lambda source: rx.defer(lambda _: source),
}


def awaited(source: rx.Observable[Any]) -> Any:
    async def main() -> Any:
        return await source

    return asyncio.run(main())


def iterated(source: rx.Observable[Any]) -> Any:
    async def main() -> Any:
        return [item async for item in ipc.to_async_iterable(source)]

    return asyncio.run(main())


ROADS: dict[str, Callable[[rx.Observable[Any]], Any]] = {
    "ipc.run": lambda source: ipc.run(source),
    "ipc.run with a timeout": lambda source: ipc.run(source, timeout=60),
    "Observable.run": lambda source: source.run(),
    "Observable.run on a scheduler": lambda source: source.run(NewThreadScheduler()),
    "asyncio.run, await": awaited,
    "asyncio.run, async for": iterated,
}


def outcome_in_subscriber(channel: ipc.Channel, block: Callable[[], Any]) -> Any:
    """What it returns or raises in a subscriber on the channel's I/O thread."""
    outcomes: list[Any] = []
    over = threading.Event()

    def subscriber(_: ipc.Message) -> None:
        try:
            outcomes.append(block())
        except BaseException as error:
            outcomes.append(error)
        over.set()

    channel.messages.pipe(ops.take(1)).subscribe(subscriber)
    run(channel.broadcast("begin"))
    assert over.wait(PATIENCE), "it hangs"
    return outcomes[0]


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("kind", ENDLESS)
def test_blocking_in_a_subscriber_until_its_own_thread_goes_on_is_refused(
    channel: ipc.Channel, kind: str, road: str
) -> None:
    outcome = outcome_in_subscriber(channel, lambda: ROADS[road](ENDLESS[kind](channel)))
    assert isinstance(outcome, ipc.WouldDeadlock)
    assert "flat_map" in str(outcome)


@pytest.mark.parametrize("piped", PIPED)
@pytest.mark.parametrize("road", ["Observable.run", "Observable.run on a scheduler", "asyncio.run, await"])
def test_operators_do_not_hide_it(channel: ipc.Channel, piped: str, road: str) -> None:
    waiting = PIPED[piped](channel.wait_for_message(lambda m: False))
    outcome = outcome_in_subscriber(channel, lambda: ROADS[road](waiting))
    assert isinstance(outcome, ipc.WouldDeadlock)


ENDING_AT_ONCE: dict[str, Callable[[ipc.Channel], rx.Observable[Any]]] = {
    "broadcast": lambda channel: channel.broadcast("x"),
    "broadcast_all": lambda channel: channel.broadcast_all(["x"]),
    "unbind": lambda channel: channel.unbind(),
}


@pytest.mark.parametrize("road", ["Observable.run", "asyncio.run, await"])
@pytest.mark.parametrize("kind", ENDING_AT_ONCE)
def test_what_ends_at_once_is_not_refused(channel: ipc.Channel, kind: str, road: str) -> None:
    assert outcome_in_subscriber(channel, lambda: ROADS[road](ENDING_AT_ONCE[kind](channel))) in (None, 1)


def test_a_refused_request_sends_nothing(channel: ipc.Channel) -> None:
    outcome_in_subscriber(channel, lambda: channel.request("?", lambda m: False).run())
    assert channel.statistics.sent == 1


def test_subscribing_in_a_subscriber_is_no_blocking(channel: ipc.Channel, port: int) -> None:
    with ipc.open_channel(port) as other:
        conversation = channel.messages.pipe(
            ops.filter(lambda m: m.text == "begin"),
            ops.flat_map(lambda _: channel.request("?", lambda m: m.text == "!", timeout=PATIENCE)),
        )
        Seen(other.messages.pipe(ops.filter(lambda m: m.text == "?"), ops.flat_map(lambda m: other.reply(m, "!"))))
        seen = Seen(conversation)
        run(other.broadcast("begin"))
        assert seen.wait_for_count(1)[0].text == "!"


def test_elsewhere_observable_run_waits_as_ever(channel: ipc.Channel) -> None:
    run(channel.broadcast("x"))
    assert channel.wait_for_message(timeout=PATIENCE).run().text == "x"


def soon(block: Callable[[], Any]) -> Any:
    """What it returns or raises on a thread that nobody else uses; a failure if it hangs."""
    outcome: Future[Any] = Future()

    def work() -> None:
        try:
            outcome.set_result(block())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return outcome.result(PATIENCE)


@pytest.fixture
def virtual() -> ipc.Channel:
    return VirtualNetwork(VirtualClock()).open_channel()


@pytest.mark.parametrize("road", ["ipc.run", "Observable.run"])
@pytest.mark.parametrize("kind", ["wait", "wait with a timeout", "request", "messages", "paced iterable"])
def test_blocking_until_a_virtual_clock_moves_is_refused(virtual: ipc.Channel, kind: str, road: str) -> None:
    with pytest.raises(ipc.WouldDeadlock, match="virtual clock"):
        soon(lambda: ROADS[road](ENDLESS[kind](virtual)))


def test_operators_do_not_hide_a_virtual_clock(virtual: ipc.Channel) -> None:
    for piped in PIPED.values():
        with pytest.raises(ipc.WouldDeadlock, match="virtual clock"):
            soon(lambda piped=piped: ipc.run(piped(virtual.wait_for_message())))
    later = rx.timer(0.01).pipe(ops.flat_map(lambda _: virtual.wait_for_message()))
    with pytest.raises(ipc.WouldDeadlock, match="virtual clock"):
        soon(lambda: ipc.run(later))


@pytest.mark.parametrize("road", ["ipc.run", "Observable.run"])
def test_what_is_there_already_is_taken_in_virtual_time(virtual: ipc.Channel, road: str) -> None:
    ROADS[road](virtual.broadcast("x"))
    clock: Any = virtual.scheduler
    clock.start()
    assert ROADS[road](virtual.wait_for_message(timeout=3)).text == "x"


def test_a_run_that_moves_the_clock_itself_ends(virtual: ipc.Channel) -> None:
    clock: Any = virtual.scheduler
    moving = rx.timer(0.01).pipe(ops.do_action(lambda _: clock.advance_by(5)), ops.ignore_elements())
    with pytest.raises(ipc.MessageTimeout, match="within 3 s"):
        ipc.run(rx.merge(virtual.wait_for_message(timeout=3), moving))


def test_a_run_with_a_timeout_waits_for_who_moves_the_clock_elsewhere(virtual: ipc.Channel) -> None:
    with pytest.raises(ipc.MessageTimeout, match="end of the Observable"):
        ipc.run(virtual.wait_for_message(), timeout=0.05)
