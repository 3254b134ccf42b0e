"""Channels close whatever happens: interrupted, twice, by each other, with a broken thread."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
import reactivex as rx
from reactivex.abc import DisposableBase

import rx_multicast_ipc as ipc
from rx_multicast_ipc import shared_channels
from rx_multicast_ipc.transport.latch import Latch

from .helpers import PATIENCE, THOROUGH, Seen, is_observed, nothing_left_behind, run, wait_until
from .interrupts import interrupted_at, traces_opcodes

USES: dict[str, Callable[[ipc.Channel], object]] = {
    "broadcast": lambda channel: channel.broadcast(b"x").subscribe(),
    "broadcast_all": lambda channel: ipc.run(channel.broadcast_all([b"x"] * 3)),
    "subscribe": lambda channel: channel.messages.subscribe(lambda _: None).dispose(),
    "timer": lambda channel: channel.scheduler.schedule_relative(0.001, lambda _scheduler, _state: None).dispose(),
    "wait": lambda channel: channel.wait_for_message().subscribe().dispose(),
}


to_the_collector = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
"""What an interrupt keeps from being assigned is closed by the garbage collector, which says so."""


def is_heard(channel: ipc.Channel) -> None:
    """Fail unless the channel can still be used."""
    heard: list[bytes] = []
    with channel.messages.subscribe(lambda message: heard.append(message.data)):
        run(channel.broadcast(b"still here"))
        wait_until(lambda: b"still here" in heard)


@traces_opcodes
@pytest.mark.filterwarnings("ignore::rx_multicast_ipc.NeverSubscribedWarning")
@pytest.mark.parametrize("use", USES)
def test_a_use_that_is_interrupted_anywhere_leaves_a_channel_that_works_and_closes(port: int, use: str) -> None:
    with nothing_left_behind():
        for place in count(1):
            with ipc.open_channel(port) as channel:
                reached = interrupted_at(place, lambda channel=channel: USES[use](channel))
                is_heard(channel)
            assert channel.transport.ended
            if not reached:
                break


@traces_opcodes
def test_a_wait_that_is_interrupted_as_it_begins_takes_no_message(port: int) -> None:
    for place in count(1):
        with ipc.open_channel(port) as channel:
            begun: list[DisposableBase] = []
            reached = interrupted_at(
                place, lambda channel=channel, begun=begun: begun.append(channel.wait_for_message().subscribe())
            )
            for wait in begun:
                wait.dispose()
            run(channel.broadcast("next"))
            assert run(channel.wait_for_message()).text == "next"
        if not reached:
            break


@traces_opcodes
@to_the_collector
@pytest.mark.parametrize("wait", [True, False])
def test_a_close_that_is_interrupted_anywhere_can_be_done_again(port: int, wait: bool) -> None:
    with nothing_left_behind():
        for place in count(1):
            channel = ipc.open_channel(port)
            told = Seen(channel.messages)
            reached = interrupted_at(place, lambda channel=channel: channel.close(wait=wait))
            channel.close()
            assert channel.transport.ended
            assert told.wait_for_end().completed
            if not reached:
                break
        gc.collect()


@traces_opcodes
@to_the_collector
def test_an_opening_that_is_interrupted_anywhere_leaves_nothing_behind(port: int) -> None:
    with nothing_left_behind():
        for place in count(1, 1 if THOROUGH else 7):
            opened: list[ipc.Channel] = []
            reached = interrupted_at(place, lambda opened=opened: opened.append(ipc.open_channel(port)))
            for channel in opened:
                channel.close()
            if not reached:
                break
            if place % 50 == 1:
                gc.collect()
        gc.collect()


@traces_opcodes
@to_the_collector
def test_a_conversation_that_is_interrupted_before_it_begins_leaves_nothing_behind(port: int) -> None:
    begun: list[ipc.Channel] = []

    def use(channel: ipc.Channel) -> rx.Observable[None]:
        begun.append(channel)
        return rx.just(None)

    with nothing_left_behind():
        for place in count(1, 1 if THOROUGH else 7):
            interrupted_at(place, lambda: ipc.run(ipc.with_socket(use, port)))
            if begun:
                break
        begun[0].close()
        gc.collect()


@traces_opcodes
@to_the_collector
def test_a_subscription_to_shared_messages_that_is_interrupted_leaves_nothing_behind(port: int) -> None:
    def is_subscribed() -> bool:
        return any(is_observed(shared.channel.messages) for shared in shared_channels._channels.values())  # pyright: ignore[reportPrivateUsage]

    kept: list[DisposableBase] = []
    with nothing_left_behind():
        for place in count(1, 1 if THOROUGH else 7):
            interrupted_at(place, lambda: kept.append(ipc.messages(port).subscribe(lambda _: None)))
            if is_subscribed():
                break
            assert not shared_channels._channels  # pyright: ignore[reportPrivateUsage]
        for shared in list(shared_channels._channels.values()):  # pyright: ignore[reportPrivateUsage]
            shared.channel.close()
        for subscription in kept:
            subscription.dispose()
        shared_channels._channels.clear()  # pyright: ignore[reportPrivateUsage]
        gc.collect()


@pytest.mark.quiet_machine
def test_two_channels_whose_subscribers_close_each_other_do_not_wait_for_each_other(port: int) -> None:
    one, other = ipc.open_channel(port), ipc.open_channel(port)
    both = threading.Barrier(2)
    took: list[float] = []

    def close(channel: ipc.Channel) -> Callable[[ipc.Message], None]:
        def on_message(_: ipc.Message) -> None:
            both.wait(PATIENCE)
            started = time.monotonic()
            channel.close()
            took.append(time.monotonic() - started)

        return on_message

    one.messages.subscribe(close(other))
    other.messages.subscribe(close(one))
    with ipc.open_channel(port) as sender:
        run(sender.broadcast("x"))
    wait_until(lambda: one.transport.ended and other.transport.ended and len(took) == 2)
    assert max(took) < 4  # of the 5 seconds that close waits for a subscriber that does not end


@pytest.mark.skipif(sys.platform == "win32", reason="no descriptor there is behind select()")
def test_a_channel_whose_thread_cannot_go_on_ends_once_and_says_why(
    channel: ipc.Channel, unhandled: list[BaseException]
) -> None:
    seen, waiting = Seen(channel.messages), Seen(channel.wait_for_message(lambda _: False))
    transport: Any = channel.transport
    poller = transport._thread._poller
    poller.close()  # as a program does that closes every descriptor it finds
    with ipc.open_channel(channel.group.port) as other:
        run(other.broadcast("are you there?"))
        transport._thread._wake()
        for told in (seen, waiting):
            error = told.wait_for_end().error
            assert isinstance(error, ipc.ChannelClosed)
            assert "open another channel" in str(error)
    assert channel.closed
    wait_until(lambda: channel.transport.ended)
    assert len(unhandled) <= 1
    unhandled.clear()


def test_exceptions_thrown_into_the_io_thread_leave_it_alive_or_end_its_channel(
    port: int, unhandled: list[BaseException]
) -> None:
    """As time-out decorators throw them, with ``PyThreadState_SetAsyncExc``."""

    class Thrown(Exception):
        pass

    ended = 0
    for _ in range(30):
        channel = ipc.open_channel(port)
        seen = Seen(channel.messages)
        transport: Any = channel.transport
        wait_until(lambda transport=transport: transport._thread._ident)
        ident = transport._thread._ident
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(Thrown))
        with ipc.open_channel(port) as other:
            run(other.broadcast("x"))
        seen.wait_for(lambda seen: seen.values or seen.error)
        ended += seen.error is not None
        channel.close()
        assert channel.transport.ended
        assert seen.completed or isinstance(seen.error, ipc.ChannelClosed)
    unhandled.clear()


def test_a_latch_lets_everybody_pass_once_it_is_set() -> None:
    latch = Latch()
    assert not latch.wait(0)
    passed: list[bool] = []
    threads = [threading.Thread(target=lambda: passed.append(latch.wait(PATIENCE))) for _ in range(5)]
    for thread in threads:
        thread.start()
    latch.set()
    latch.set()
    for thread in threads:
        thread.join()
    assert passed == [True] * 5
    assert latch.wait(0)
    assert latch.is_set


def test_a_latch_may_be_set_again_as_somebody_passes() -> None:
    latch = Latch()
    lock = latch._lock  # pyright: ignore[reportPrivateUsage]

    class SetAround:
        """Sets the latch before and after it is acquired."""

        locked, release = lock.locked, lock.release

        def acquire(self, timeout: float) -> bool:
            latch.set()
            acquired = lock.acquire(timeout=timeout)
            latch.set()
            return acquired

    latch._lock = SetAround()  # pyright: ignore[reportAttributeAccessIssue, reportPrivateUsage]
    assert latch.wait(PATIENCE)


def test_a_descriptor_number_that_is_used_again_is_left_alone(port: int) -> None:
    """Closing twice does not close what got the same number meanwhile."""
    channel = ipc.open_channel(port)
    channel.close()
    reused = [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]
    channel.close()
    for descriptor in reused:
        os.fstat(descriptor)
        os.close(descriptor)
