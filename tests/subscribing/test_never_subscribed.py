from __future__ import annotations

import gc
import threading
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops
from reactivex.internal import SequenceContainsNoElementsError

import rx_multicast_ipc as ipc

from ..helpers import PATIENCE, Seen, nothing_left_behind, wait_until

COLD: dict[str, Callable[[ipc.Channel], rx.Observable[Any]]] = {
    "broadcast": lambda channel: channel.broadcast("x"),
    "send": lambda channel: channel.send("x", 9, "127.0.0.1"),
    "send to a name": lambda channel: channel.send("x", 9, "localhost"),
    "reply": lambda channel: channel.reply(ipc.Message(b"?", "127.0.0.1", 9), "x"),
    "broadcast_all": lambda channel: channel.broadcast_all(["x"]),
    "broadcast_all at a rate": lambda channel: channel.broadcast_all(rx.of("x"), rate=10),
    "request": lambda channel: channel.request("x", lambda m: True),
    "unbind": lambda channel: channel.unbind(),
    "with_socket": lambda channel: ipc.with_socket(lambda opened: opened.broadcast("x"), channel.group.port),
}

WAITING: dict[str, Callable[[ipc.Channel], rx.Observable[Any]]] = {
    "wait": lambda channel: channel.wait_for_message(timeout=0.01),
    "request": lambda channel: channel.request("x", lambda m: False, timeout=0.01),
    "broadcast_all at a rate": lambda channel: channel.broadcast_all(rx.never(), rate=10),
}


@pytest.mark.parametrize("kind", COLD)
def test_what_is_thrown_away_unsubscribed_warns(channel: ipc.Channel, kind: str) -> None:
    def forget() -> None:
        COLD[kind](channel)
        gc.collect()

    with pytest.warns(ipc.NeverSubscribedWarning, match="never subscribed"):
        forget()


@pytest.mark.parametrize("kind", COLD)
def test_what_is_subscribed_to_in_any_way_does_not_warn(channel: ipc.Channel, kind: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        COLD[kind](channel).subscribe().dispose()
        COLD[kind](channel).pipe(ops.map(str)).subscribe(scheduler=channel.scheduler).dispose()
        gc.collect()


@pytest.mark.parametrize("kind", COLD)
def test_it_says_what_it_is_and_whether_it_was_subscribed_to(channel: ipc.Channel, kind: str) -> None:
    cold = COLD[kind](channel)
    assert "nothing happens before it is subscribed to" in repr(cold)
    cold.subscribe().dispose()
    assert "nothing happens" not in repr(cold)


@pytest.mark.parametrize("kind", WAITING)
@pytest.mark.parametrize("operator", [ops.map(str), ops.delay(0)], ids=["map", "delay"])
def test_a_retry_without_an_end_ends_when_the_channel_closes(port: int, kind: str, operator: Any) -> None:
    with nothing_left_behind():
        channel = ipc.open_channel(port)
        seen = Seen(WAITING[kind](channel).pipe(operator, ops.retry()))
        plain = Seen(WAITING[kind](channel).pipe(ops.retry()))
        channel.close()
        assert seen.wait_for_end().completed
        assert plain.wait_for_end().completed
        wait_until(lambda: channel.transport.ended)  # on a busy machine after more seconds than close() waits


@pytest.mark.parametrize("kind", [*WAITING, "broadcast"])
def test_a_retry_that_begins_once_the_channel_is_closed_ends_too(channel: ipc.Channel, kind: str) -> None:
    cold = {**WAITING, **COLD}[kind](channel)
    channel.close()
    with pytest.raises(SequenceContainsNoElementsError):
        ipc.run(cold.pipe(ops.retry()), timeout=PATIENCE)
    assert Seen(cold.pipe(ops.retry())).wait_for_end().completed


def test_a_retry_of_a_hot_stream_ends_too(channel: ipc.Channel) -> None:
    messages = channel.messages
    channel.close()
    assert Seen(messages.pipe(ops.retry())).wait_for_end().completed


def test_a_retry_in_run_on_another_thread_ends_when_the_channel_closes(channel: ipc.Channel) -> None:
    ends: list[BaseException] = []

    def wait() -> None:
        try:
            ipc.run(channel.wait_for_message(timeout=0.01).pipe(ops.retry()))
        except BaseException as error:
            ends.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    channel.close()
    waiting.join(PATIENCE)
    assert [type(error) for error in ends] in ([SequenceContainsNoElementsError], [ipc.ChannelClosed])


def test_who_asks_anew_each_time_is_told_each_time(channel: ipc.Channel) -> None:
    waiting = channel.wait_for_message()
    channel.close()
    for _ in range(1500):
        with pytest.raises(ipc.ChannelClosed):
            ipc.run(waiting)


def test_the_advice_of_a_timeout_names_how_often_to_try_again() -> None:
    assert "ops.retry(3)" in str(ipc.MessageTimeout(5))
    assert "ops.retry()" not in str(ipc.MessageTimeout(5))
