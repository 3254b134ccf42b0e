from __future__ import annotations

import errno
import gc
import signal
import socket
import warnings
from collections.abc import Callable, Iterator
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
import reactivex as rx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reactivex import operators as ops
from reactivex.abc import SchedulerBase
from reactivex.scheduler import ImmediateScheduler
from reactivex.testing import TestScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc.sending.cold_send import Send, SendToName

from ..helpers import PATIENCE, Seen, finish, needs_posix, python, wait_until


def texts(channel: ipc.Channel, count: int) -> list[str]:
    waits = channel.wait_for_message(timeout=PATIENCE).pipe(ops.repeat(count), ops.to_list())
    return [message.text for message in ipc.run(waits)]


def assert_silent(channel: ipc.Channel) -> None:
    """Nothing was sent before this."""
    ipc.run(channel.broadcast("only this"))
    assert texts(channel, 1) == ["only this"]


def test_nothing_is_sent_before_it_is_subscribed(channel: ipc.Channel) -> None:
    send = channel.broadcast("not yet")
    assert_silent(channel)
    ipc.run(send)
    assert texts(channel, 1) == ["not yet"]


def test_each_subscription_sends_once_emits_none_and_completes(channel: ipc.Channel) -> None:
    send = channel.broadcast("x")
    for _ in range(3):
        assert Seen(send).wait_for_end().values == [None]
    assert texts(channel, 3) == ["x", "x", "x"]
    assert channel.statistics.sent == 3


def test_repeat_concat_and_delay_work_on_sends(channel: ipc.Channel) -> None:
    ipc.run(channel.broadcast("a").pipe(ops.repeat(2), ops.concat(channel.broadcast("b").pipe(ops.delay(0.01)))))
    assert texts(channel, 3) == ["a", "a", "b"]


def test_a_send_obeys_the_time_of_a_test_scheduler(channel: ipc.Channel) -> None:
    scheduler = TestScheduler()
    rx.timer(30.0).pipe(ops.flat_map(lambda _: channel.broadcast("later"))).subscribe(scheduler=scheduler)
    scheduler.advance_to(29)
    assert_silent(channel)
    scheduler.advance_to(31)
    assert texts(channel, 1) == ["later"]


class Refusing:
    """A socket as a firewall would make it: refuses so many sends, and then none."""

    def __init__(self, sender: socket.socket, times: int) -> None:
        self._sender = sender
        self._times = times

    def sendto(self, payload: bytes, address: tuple[str, int]) -> int:
        if self._times:
            self._times -= 1
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return self._sender.sendto(payload, address)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sender, name)


def refuse(channel: ipc.Channel, times: int) -> None:
    transport: Any = channel.transport
    transport._outlet.socket = Refusing(transport._outlet.socket, times)


def test_a_failed_send_errs_alone_and_the_channel_goes_on(channel: ipc.Channel) -> None:
    seen = Seen(channel.messages)
    refuse(channel, times=1)
    with pytest.raises(ipc.SendFailed, match="firewall") as raised:
        ipc.run(channel.broadcast("x"))
    assert isinstance(raised.value.__cause__, PermissionError)
    ipc.run(channel.broadcast("still here"))
    assert seen.wait_for_count(1)[0].text == "still here"
    assert (channel.statistics.refused, channel.statistics.sent) == (1, 1)


def test_retry_sends_again(channel: ipc.Channel) -> None:
    refuse(channel, times=2)
    ipc.run(channel.broadcast("third time lucky").pipe(ops.retry(3)))
    assert texts(channel, 1) == ["third time lucky"]


def test_a_send_that_nobody_subscribed_to_warns_when_it_is_thrown_away(channel: ipc.Channel) -> None:
    def forget() -> None:
        channel.broadcast("forgotten")
        gc.collect()

    with pytest.warns(ipc.NeverSubscribedWarning, match="b'forgotten' was never subscribed"):
        forget()


def test_a_send_in_a_pipeline_that_was_subscribed_does_not_warn(channel: ipc.Channel) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ipc.run(channel.broadcast("x").pipe(ops.map(lambda _: 1)))
        gc.collect()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(size=st.one_of(st.integers(0, 65_507), st.sampled_from([0, 1, 1472, 1473, 65_507])), seed=st.integers(0, 2**32))
def test_any_payload_up_to_the_limit_arrives_byte_identical(channel: ipc.Channel, size: int, seed: int) -> None:
    payload = Random(seed).randbytes(size)
    ipc.run(channel.broadcast(payload))
    assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).data == payload


def test_an_empty_payload_is_a_message(channel: ipc.Channel) -> None:
    ipc.run(channel.broadcast(b""))
    assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).data == b""


def test_one_byte_over_the_limit_is_refused_at_once_and_nothing_is_sent(channel: ipc.Channel) -> None:
    with pytest.raises(ipc.PayloadTooLarge, match="65507") as raised:
        channel.broadcast(bytes(65_508))
    assert (raised.value.size, raised.value.limit) == (65_508, 65_507)
    assert_silent(channel)


def test_a_name_is_looked_up_and_reached(channel: ipc.Channel) -> None:
    ipc.run(channel.send("by name", channel.sender_address[1], "localhost"), timeout=PATIENCE)
    assert texts(channel, 1) == ["by name"]


def test_an_empty_address_is_this_machine(channel: ipc.Channel) -> None:
    ipc.run(channel.send("here", channel.sender_address[1], ""))
    assert texts(channel, 1) == ["here"]


def test_looking_up_a_name_does_not_hold_up_delivery(channel: ipc.Channel) -> None:
    seen = Seen(channel.messages)

    def slow(*_: object) -> object:
        seen.wait_for_count(1)  # ends once a message was delivered meanwhile
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", 0))]

    with patch("socket.getaddrinfo", slow):
        sending = Seen(channel.send("after", channel.sender_address[1], "slow.example"))
        ipc.run(channel.broadcast("meanwhile"))
        sending.wait_for_end()
    assert [message.text for message in seen.wait_for_count(2)] == ["meanwhile", "after"]


def test_a_name_that_stands_for_nothing_errs_with_advice(channel: ipc.Channel) -> None:
    with (
        patch("socket.getaddrinfo", side_effect=socket.gaierror(-2, "Name or service not known")),
        pytest.raises(ipc.InvalidAddress, match="check the name"),
    ):
        ipc.run(channel.send("x", 1, "nowhere.example"), timeout=PATIENCE)


def test_a_send_that_is_disposed_of_during_its_look_up_sends_nothing(channel: ipc.Channel) -> None:
    release: list[Callable[[], None]] = []
    with patch("threading.Thread") as thread:

        def hold(target: Callable[[], None], **_: object) -> Any:
            release.append(target)
            return thread.return_value

        thread.side_effect = hold
        sending = channel.send("x", channel.sender_address[1], "localhost").subscribe()
    sending.dispose()
    release[0]()
    assert_silent(channel)


def test_broadcast_all_sends_an_iterable_in_order_and_counts(channel: ipc.Channel) -> None:
    assert ipc.run(channel.broadcast_all(str(number) for number in range(100))) == 100
    assert texts(channel, 100) == [str(number) for number in range(100)]


def test_broadcast_all_sends_an_observable_in_order_and_counts(channel: ipc.Channel) -> None:
    assert ipc.run(channel.broadcast_all(rx.of("a", "b", "c"))) == 3
    assert texts(channel, 3) == ["a", "b", "c"]


def test_broadcast_all_passes_on_the_error_of_its_source_after_what_came_before(channel: ipc.Channel) -> None:
    source = rx.of("a").pipe(ops.concat(rx.throw(KeyError("source"))))
    for rate in (None, 1000.0):
        with pytest.raises(KeyError, match="source"):
            ipc.run(channel.broadcast_all(source, rate=rate))
    assert texts(channel, 2) == ["a", "a"]


def test_a_bad_payload_in_the_middle_ends_the_transfer_there(channel: ipc.Channel) -> None:
    with pytest.raises(ipc.InvalidPayload, match="int"):
        ipc.run(channel.broadcast_all(["a", 5, "b"]))  # pyright: ignore[reportArgumentType]
    assert texts(channel, 1) == ["a"]
    assert_silent(channel)


def test_broadcast_all_stops_when_it_is_disposed_of(channel: ipc.Channel) -> None:
    sending = channel.broadcast_all((str(number) for number in range(1_000_000)), rate=1000).subscribe()
    wait_until(lambda: channel.statistics.sent >= 3)
    sending.dispose()
    ipc.run(channel.unbind())
    assert channel.statistics.sent < 1_000_000


@pytest.mark.parametrize("source", ["text", b"bytes", 5, None])
def test_broadcast_all_of_what_is_no_source_is_refused_at_once(channel: ipc.Channel, source: object) -> None:
    with pytest.raises(ipc.InvalidPayload, match="iterable or Observable"):
        channel.broadcast_all(source)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("rate", [0, -1, "fast", True, float("nan")])
def test_a_rate_that_is_none_is_refused_at_once(channel: ipc.Channel, rate: float) -> None:
    with pytest.raises(ipc.InvalidOption, match="messages a second"):
        channel.broadcast_all(["x"], rate=rate)


@pytest.mark.parametrize("scheduler", [None, ImmediateScheduler()], ids=["none", "immediate"])
def test_nothing_is_sent_after_a_failure_even_by_a_source_that_does_not_stop(
    channel: ipc.Channel, scheduler: SchedulerBase | None
) -> None:
    errors: list[Exception] = []
    channel.broadcast_all(rx.of("a", 5, "b")).subscribe(on_error=errors.append, scheduler=scheduler)
    assert [type(error) for error in errors] == [ipc.InvalidPayload]
    assert texts(channel, 1) == ["a"]
    assert_silent(channel)


def test_an_iterator_may_wait_for_the_answer_to_what_it_gave(channel: ipc.Channel) -> None:
    def conversation() -> Iterator[str]:
        for text in ("a", "b", "c"):
            yield text
            assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).text == text

    assert ipc.run(channel.broadcast_all(conversation()), timeout=PATIENCE) == 3


def test_a_send_that_a_signal_handler_cut_short_in_the_making_is_collected_without_a_word() -> None:
    for kind in (Send, SendToName):
        kind.__new__(kind).__del__()


@needs_posix
def test_a_signal_handler_may_close_what_its_thread_is_sending_on(port: int) -> None:
    code = """
import os, signal, sys
import rx_multicast_ipc as ipc
channel = ipc.open_channel(int(sys.argv[1]))
def leave(*_):
    channel.close()
    os.write(1, b"closed %r\\n" % channel.closed)  # for the signal may come within the print below
    sys.exit()
signal.signal(signal.SIGUSR1, leave)
send = channel.broadcast("x")  # one, for the signal may also come between the making of one and its subscription
send.subscribe()
print("sending", flush=True)
while True:
    send.subscribe()
"""
    for _ in range(5):
        process = python(code, port)
        assert process.stdout is not None
        assert process.stdout.readline() == "sending\n"
        process.send_signal(signal.SIGUSR1)
        assert finish(process) == "closed True\n"


def test_a_send_says_whether_it_was_subscribed_to(channel: ipc.Channel) -> None:
    sending = channel.broadcast("hello")
    assert repr(sending) == "<send of b'hello'; nothing happens before it is subscribed to, awaited or passed to run()>"
    ipc.run(sending)
    assert repr(sending) == "<send of b'hello'>"
