from __future__ import annotations

import asyncio
import re
import sys
import threading
import time
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc

from .helpers import PATIENCE, Seen, is_observed, nothing_left_behind, raw_sender


def test_a_broadcast_reaches_every_channel_of_the_group_its_own_among_them(channel: ipc.Channel, port: int) -> None:
    with ipc.open_channel(port) as other:
        here, there = Seen(channel.messages), Seen(other.messages)
        ipc.run(channel.broadcast("hello"))
        for seen in (here, there):
            (message,) = seen.wait_for_count(1)
            assert (message.text, message.sender, message.direct) == ("hello", channel.sender_address, False)


def test_without_echo_a_channel_hears_others_but_not_itself(port: int) -> None:
    with ipc.open_channel(port, echo=False) as quiet, ipc.open_channel(port) as other:
        seen = Seen(quiet.messages)
        ipc.run(quiet.broadcast("mine"))
        ipc.run(other.broadcast("yours"))
        assert [message.text for message in seen.wait_for_count(1)] == ["yours"]


def test_a_reply_reaches_the_one_process_that_asked(channel: ipc.Channel, port: int) -> None:
    with ipc.open_channel(port) as asking, ipc.open_channel(port) as other:
        answered, overheard = Seen(asking.messages), Seen(other.messages)
        ipc.run(asking.broadcast("who?"))
        question = ipc.run(channel.wait_for_message(timeout=PATIENCE))
        ipc.run(channel.reply(question, "me"))
        ipc.run(channel.broadcast("end"))
        by_text = {message.text: message for message in answered.wait_for_count(3)}
        assert by_text["me"].direct
        assert by_text["me"].sender == channel.sender_address
        assert [message.text for message in overheard.wait_for_count(2)] == ["who?", "end"]


def test_a_message_says_who_sent_it_and_when(channel: ipc.Channel) -> None:
    with raw_sender() as sender:
        sender.sendto(b"\xff!", ("224.0.2.1", channel.group.port))
        message = ipc.run(channel.wait_for_message(timeout=PATIENCE))
        assert message.sender == sender.getsockname()
        assert (message.data, message.text, message.family) == (b"\xff!", "\N{REPLACEMENT CHARACTER}!", "IPv4")
        assert message.received_at > 1.7e9


@pytest.mark.parametrize("payload", [b"bytes", bytearray(b"bytes"), memoryview(b"bytes"), "bytes"])
def test_text_and_anything_bytes_like_can_be_sent(
    channel: ipc.Channel, payload: str | bytes | bytearray | memoryview
) -> None:
    ipc.run(channel.broadcast(payload))
    assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).data == b"bytes"


def test_a_buffer_is_free_to_be_reused_once_the_send_is_built(channel: ipc.Channel) -> None:
    buffer = bytearray(b"before")
    send = channel.broadcast(buffer)
    buffer[:] = b"after!"
    ipc.run(send)
    assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).data == b"before"


def test_batches_bring_the_same_messages_as_lists(channel: ipc.Channel) -> None:
    batches, messages = Seen(channel.batches), Seen(channel.messages)
    with raw_sender() as sender:
        for number in range(500):
            sender.sendto(b"%d" % number, ("224.0.2.1", channel.group.port))
    messages.wait_for_count(500)
    assert [message for batch in batches.values for message in batch] == messages.values
    assert all(batches.values)


def test_all_delivery_is_on_one_thread(channel: ipc.Channel) -> None:
    seen = Seen(channel.messages)
    ipc.run(channel.broadcast("to all"))
    ipc.run(channel.send("to me", channel.sender_address[1], "127.0.0.1"))
    seen.wait_for_count(2)
    assert len(seen.threads) == 1
    assert threading.get_ident() not in seen.threads


def test_unbind_completes_messages_and_is_idempotent(channel: ipc.Channel) -> None:
    seen = Seen(channel.messages)
    assert ipc.run(channel.unbind()) is None
    assert seen.completed
    assert ipc.run(channel.unbind()) is None


def test_close_is_idempotent_and_returns_when_messages_completed(channel: ipc.Channel) -> None:
    seen = Seen(channel.messages)
    channel.close()
    assert seen.completed
    channel.close()


def test_a_subscriber_may_close_the_channel_and_gets_nothing_more(channel: ipc.Channel) -> None:
    seen = Seen(channel.messages)
    channel.messages.subscribe(lambda _: channel.close())
    with raw_sender() as sender:
        for payload in (b"first", b"second", b"third"):
            sender.sendto(payload, ("224.0.2.1", channel.group.port))
    assert [message.text for message in seen.wait_for_end().values] == ["first"]


def test_everything_after_close_says_that_the_channel_is_closed(channel: ipc.Channel) -> None:
    message = ipc.Message(b"", port=1)
    channel.close()
    for use in (
        lambda: channel.broadcast("x"),
        lambda: channel.send("x", 1, "127.0.0.1"),
        lambda: channel.reply(message, "x"),
        lambda: channel.broadcast_all(["x"]),
        lambda: channel.wait_for_message(),
        lambda: channel.request("x", bool),
        lambda: ipc.run(channel.messages),
        lambda: ipc.run(channel.batches),
    ):
        with pytest.raises(ipc.ChannelClosed, match="open another one"):
            use()


def test_a_send_built_before_close_errs_when_subscribed_after_it(channel: ipc.Channel) -> None:
    send = channel.broadcast("late")
    channel.close()
    with pytest.raises(ipc.ChannelClosed):
        ipc.run(send)


def test_what_is_counted_stays_readable_after_close(channel: ipc.Channel) -> None:
    ipc.run(channel.broadcast("four"))
    ipc.run(channel.wait_for_message(timeout=PATIENCE))
    channel.close()
    statistics = channel.statistics
    assert (statistics.sent, statistics.sent_bytes, statistics.received, statistics.received_bytes) == (1, 4, 1, 4)


def test_a_timer_on_the_channels_scheduler_is_serial_with_delivery_and_outlives_close(channel: ipc.Channel) -> None:
    ran = threading.Event()
    channel.scheduler.schedule_relative(0.05, lambda _scheduler, _state: ran.set())
    channel.close()
    assert ran.wait(PATIENCE)


def test_close_from_elsewhere_waits_for_the_running_subscriber(channel: ipc.Channel) -> None:
    entered, leave = threading.Event(), threading.Event()
    left: list[bool] = []

    def slow(_: ipc.Message) -> None:
        entered.set()
        leave.wait(PATIENCE)
        left.append(True)

    channel.messages.subscribe(slow)
    ipc.run(channel.broadcast("x"))
    assert entered.wait(PATIENCE)
    threading.Timer(0.05, leave.set).start()
    channel.close()
    assert left == [True]


def test_with_leaves_no_thread_and_no_descriptor(port: int) -> None:
    with nothing_left_behind(), ipc.open_channel(port) as channel:
        ipc.run(channel.broadcast("x"))


def test_repr_says_where_and_does_not_subscribe(channel: ipc.Channel) -> None:
    assert repr(channel) == (
        f"<Channel 224.0.2.1:{channel.group.port} on loopback, sending from 127.0.0.1:{channel.sender_address[1]}>"
    )
    repr(channel.messages)
    assert not is_observed(channel.messages)


@pytest.mark.quiet_machine
def test_disposing_under_an_operators_lock_never_waits_for_the_thread_that_wants_it(port: int) -> None:
    """``merge`` holds its lock while it delivers, and ``take`` disposes in there."""
    busy = threading.Event()

    def work(message: ipc.Message) -> ipc.Message:
        busy.set()
        threading.Event().wait(0.002)
        return message

    ending: rx.Subject[str] = rx.Subject()
    merged: rx.Observable[Any] = rx.merge(ending, ipc.messages(port).pipe(ops.map(work)))
    seen = Seen(merged.pipe(ops.filter(lambda value: value == "end"), ops.take(1)))
    with raw_sender() as sender:
        for _ in range(200):
            sender.sendto(b"x", ("224.0.2.1", port))
        assert busy.wait(PATIENCE)
        started = time.monotonic()
        ending.on_next("end")
    assert seen.completed
    assert time.monotonic() - started < 4  # closing waits 5 s for a thread that does not come back


@pytest.mark.parametrize("kind", [SystemExit, asyncio.CancelledError, KeyboardInterrupt])
def test_not_even_an_exit_in_a_subscriber_hurts_another_or_the_channel(
    channel: ipc.Channel, unhandled: list[BaseException], kind: type[BaseException]
) -> None:
    def leave(_: object = None) -> None:
        raise kind

    channel.messages.subscribe(leave)
    channel.messages.subscribe(on_completed=leave)
    good = Seen(channel.messages)
    ipc.run(channel.broadcast_all(["a", "b", "c"]))
    assert len(good.wait_for_count(3)) == 3
    assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).text == "a"
    assert ipc.run(channel.unbind(), timeout=PATIENCE) is None
    assert [type(error) for error in unhandled] == [kind, kind]
    unhandled.clear()


def test_a_far_timer_leaves_the_channel_hearing(channel: ipc.Channel) -> None:
    seen = Seen(channel.messages)
    far = Seen(channel.wait_for_message(lambda m: m.text == "never", timeout=400 * 86_400))
    ipc.run(channel.broadcast("x"))
    assert seen.wait_for_count(1)[0].text == "x"
    assert far.error is None


def test_waking_the_thread_from_many_threads_loses_no_wait(channel: ipc.Channel) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(60):
            waits: list[Seen[ipc.Message]] = []

            def wait() -> None:
                waits.append(Seen(channel.wait_for_message(timeout=0.01)))  # noqa: B023

            threads = [threading.Thread(target=wait) for _ in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for seen in waits:
                assert isinstance(seen.wait_for_end().error, ipc.MessageTimeout)
    finally:
        sys.setswitchinterval(interval)


def test_looking_at_a_channel_and_its_streams_subscribes_to_nothing(channel: ipc.Channel) -> None:
    for shown in (repr(channel), channel._repr_html_()):  # pyright: ignore[reportPrivateUsage]
        assert str(channel.group) in shown
    assert repr(channel.messages) == f"<messages of {channel.group}: hot, 0 subscribers>"
    subscription = channel.batches.subscribe()
    assert repr(channel.batches) == f"<batches of {channel.group}: hot, 1 subscriber>"
    subscription.dispose()
    channel.close()
    assert repr(channel.messages) == f"<messages of {channel.group}: ended>"


def test_in_a_notebook_a_channel_shows_what_it_counted(channel: ipc.Channel) -> None:
    ipc.run(channel.broadcast("hello"))
    shown = channel._repr_html_()  # pyright: ignore[reportPrivateUsage]
    assert re.search(r"sent_bytes</th><td[^>]*>5<", shown)
