from __future__ import annotations

import threading

import pytest
import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc.channel_scheduler import TimerScheduler

from .helpers import PATIENCE, Seen, nothing_left_behind, wait_until


def test_the_result_is_the_last_value_of_the_conversation(port: int) -> None:
    assert ipc.run(ipc.with_socket(lambda api: api.broadcast("x").pipe(ops.map(lambda _: "done")), port)) == "done"


def test_a_conversation_without_a_value_results_in_none(port: int) -> None:
    assert ipc.run(ipc.with_socket(lambda api: rx.empty(), port)) is None


def test_a_whole_conversation(port: int) -> None:
    def online(api: ipc.Channel) -> rx.Observable[None]:
        return api.broadcast("I am online!").pipe(
            ops.flat_map(lambda _: api.wait_for_message(timeout=PATIENCE)),
            ops.flat_map(lambda m: api.broadcast("pong") if m.data == b"ping" else api.unbind()),
        )

    with ipc.open_channel(port) as peer:
        talking = Seen(ipc.with_socket(online, port, echo=False))
        assert ipc.run(peer.wait_for_message(timeout=PATIENCE)).text == "I am online!"
        ipc.run(peer.broadcast("ping"))
        assert ipc.run(peer.wait_for_message(lambda m: m.text == "pong", timeout=PATIENCE))
        assert talking.wait_for_end().completed


def test_nothing_is_open_before_it_is_subscribed_or_after_it_ended(port: int) -> None:
    channels: list[ipc.Channel] = []

    def use(api: ipc.Channel) -> rx.Observable[int]:
        channels.append(api)
        return rx.just(1)

    conversation = ipc.with_socket(use, port)
    assert channels == []
    with nothing_left_behind():
        ipc.run(conversation)
        assert channels[0].closed
        ipc.run(conversation)
    assert len(channels) == 2


def test_the_socket_is_closed_before_the_end_is_told(port: int) -> None:
    closed: list[bool] = []
    channels: list[ipc.Channel] = []
    conversation = ipc.with_socket(lambda api: (channels.append(api), rx.just(1))[1], port)
    ipc.run(conversation.pipe(ops.do_action(lambda _: closed.append(channels[0].closed))))
    assert closed == [True]


@pytest.mark.parametrize("fails", ["in the function", "in the Observable", "later"])
def test_an_error_closes_the_socket_and_is_passed_on(port: int, fails: str) -> None:
    def use(api: ipc.Channel) -> rx.Observable[int]:
        if fails == "in the function":
            raise KeyError(fails)
        error = rx.throw(KeyError(fails))
        return error if fails == "in the Observable" else rx.timer(0.01).pipe(ops.flat_map(lambda _: error))

    with nothing_left_behind(), pytest.raises(KeyError, match=fails):
        ipc.run(ipc.with_socket(use, port))


def test_disposing_closes_the_socket(port: int) -> None:
    with nothing_left_behind():
        channels: list[ipc.Channel] = []
        ipc.with_socket(lambda api: (channels.append(api), api.messages)[1], port).subscribe().dispose()
        assert channels[0].closed


def test_what_cannot_be_opened_errs_the_observable(port: int) -> None:
    with pytest.raises(ipc.InvalidInterface, match="there is no interface"):
        ipc.run(ipc.with_socket(lambda api: api.messages, port, interface="nosuch0"))


def test_a_function_that_returns_no_observable_is_told_so(port: int) -> None:
    with pytest.raises(ipc.InvalidOption, match="must return an Observable, not None"):
        ipc.run(ipc.with_socket(lambda api: None, port))  # pyright: ignore[reportArgumentType]


def test_a_conversation_can_go_on_after_unbind(port: int) -> None:
    conversation = ipc.with_socket(lambda api: api.unbind().pipe(ops.delay(0.01), ops.map(lambda _: "after")), port)
    assert ipc.run(conversation, timeout=PATIENCE) == "after"


def test_a_wait_after_unbind_fails_instead_of_waiting_for_ever(port: int) -> None:
    conversation = ipc.with_socket(lambda api: api.unbind().pipe(ops.flat_map(lambda _: api.wait_for_message())), port)
    with pytest.raises(ipc.ChannelClosed):
        ipc.run(conversation, timeout=PATIENCE)


def test_timers_of_a_conversation_run_on_the_channels_thread(port: int) -> None:
    names: list[str] = []
    timer = rx.timer(0.01).pipe(ops.do_action(lambda _: names.append(threading.current_thread().name)))
    ipc.run(ipc.with_socket(lambda api: timer, port))
    assert names == [f"rx_multicast_ipc 224.0.2.1:{port} on loopback"]


def test_fifteen_waits_that_time_out_leave_nothing(port: int) -> None:
    def use(api: ipc.Channel) -> rx.Observable[float | None]:
        timers = api.transport.scheduler
        assert isinstance(timers, TimerScheduler)
        waiting = api.wait_for_message(timeout=0.001).pipe(ops.catch(lambda _error, _source: rx.just(None)))
        return ipc.repeat_for(15, lambda: waiting).pipe(ops.map(lambda _: timers.until_next()))

    assert ipc.run(ipc.with_socket(use, port)) is None


def test_retry_opens_another_socket(port: int) -> None:
    opened: list[ipc.Channel] = []

    def use(api: ipc.Channel) -> rx.Observable[str]:
        opened.append(api)
        return rx.throw(RuntimeError()) if len(opened) < 3 else rx.just("third")

    assert ipc.run(ipc.with_socket(use, port).pipe(ops.retry(3))) == "third"
    wait_until(lambda: all(channel.closed for channel in opened))
