from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from reactivex import operators as ops
from reactivex.abc import DisposableBase

import rx_multicast_ipc as ipc
from rx_multicast_ipc import shared_channels
from rx_multicast_ipc.sending import kept_sender

from .helpers import PATIENCE, Seen, nothing_left_behind, wait_until


def test_a_process_hears_its_own_broadcasts(port: int) -> None:
    seen = Seen(ipc.messages(port).pipe(ops.filter(lambda m: m.text.startswith("join:"))))
    ipc.run(ipc.broadcast("noise", port))
    ipc.run(ipc.broadcast("join:Ann", port))
    assert [message.text for message in seen.wait_for_count(1)] == ["join:Ann"]
    seen.subscription.dispose()


def test_equal_arguments_share_one_channel_that_closes_with_its_last_subscriber(port: int) -> None:
    with nothing_left_behind():
        seen = [Seen(ipc.messages(port)) for _ in range(5)]
        assert sum(str(port) in thread.name for thread in threading.enumerate()) == 1
        for one in seen:
            one.subscription.dispose()


def test_a_second_life_of_the_shared_channel_works_as_the_first(port: int) -> None:
    for _ in range(3):
        seen = Seen(ipc.messages(port).pipe(ops.take(1)))
        ipc.run(ipc.broadcast("x", port))
        assert seen.wait_for_end().values[0].text == "x"


def test_a_reply_to_a_broadcast_reaches_the_processs_subscribers(channel: ipc.Channel) -> None:
    port = channel.group.port
    channel.messages.pipe(
        ops.filter(lambda m: m.text == "?"), ops.flat_map(lambda m: channel.reply(m, "!"))
    ).subscribe()
    answers = Seen(ipc.messages(port).pipe(ops.filter(lambda m: m.direct)))
    ipc.run(ipc.broadcast("?", port))
    assert answers.wait_for_count(1)[0].text == "!"
    answers.subscription.dispose()


def test_send_reaches_one_address(channel: ipc.Channel) -> None:
    ipc.run(ipc.send("direct", channel.sender_address[1], "127.0.0.1"))
    assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).direct
    ipc.run(ipc.send("by name", channel.sender_address[1], "localhost"), timeout=PATIENCE)
    assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).text == "by name"


def test_a_broadcast_without_subscribers_leaves_nothing_open_for_long(
    channel: ipc.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_sender, "_KEPT", 0.05)
    with nothing_left_behind():
        ipc.run(ipc.broadcast("x", channel.group.port).pipe(ops.repeat(10)))
    wait_until(lambda: channel.statistics.received == 10)


def test_broadcasts_without_subscribers_share_a_sender_while_it_is_kept(channel: ipc.Channel) -> None:
    heard = Seen(channel.messages)
    for _ in range(10):
        ipc.run(ipc.broadcast("x", channel.group.port))
    assert len({message.port for message in heard.wait_for_count(10)}) == 1


def test_a_sender_that_fails_is_opened_anew(channel: ipc.Channel) -> None:
    heard = Seen(channel.messages)
    ipc.run(ipc.broadcast("first", channel.group.port))
    (kept,) = [sender for place, sender in kept_sender._kept.items() if place.group == channel.group]  # pyright: ignore[reportPrivateUsage]
    live: Any = kept
    live._outlet.socket.close()
    ipc.run(ipc.broadcast("second", channel.group.port))
    assert [message.text for message in heard.wait_for_count(2)] == ["first", "second"]


def test_what_cannot_be_opened_errs_the_observable(port: int) -> None:
    for use in (ipc.messages(port, interface="nosuch0"), ipc.broadcast("x", port, interface="nosuch0")):
        with pytest.raises(ipc.InvalidInterface):
            ipc.run(use)


def test_a_fault_of_the_shared_channel_does_not_outlive_it(port: int) -> None:
    broken = Seen(ipc.messages(port))
    (key,) = [key for key in shared_channels._channels if key.group.port == port]  # pyright: ignore[reportPrivateUsage]
    shared_channels._channels[key].channel.close()  # pyright: ignore[reportPrivateUsage]
    broken.wait_for_end()
    fresh = Seen(ipc.messages(port))
    broken.subscription.dispose()
    ipc.run(ipc.broadcast("x", port))
    assert fresh.wait_for_count(1)
    fresh.subscription.dispose()


def test_subscribing_while_the_last_one_leaves_never_yields_a_dead_stream(port: int) -> None:
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            ipc.messages(port).subscribe().dispose()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        for _ in range(100):
            seen = Seen(ipc.messages(port).pipe(ops.take(1)))
            ipc.run(ipc.broadcast("x", port))
            assert seen.wait_for_end().completed
    finally:
        stop.set()
        thread.join()
    wait_until(lambda: not any(key.group.port == port for key in shared_channels._channels))  # pyright: ignore[reportPrivateUsage]


def hear(port: int, group: str | None = None) -> None:
    ipc.messages(port, group).subscribe().dispose()


def say(port: int, group: str | None = None) -> None:
    ipc.run(ipc.broadcast("x", port, group))


@pytest.mark.parametrize(
    ("module", "opener", "use"), [(shared_channels, "make_channel_in", hear), (kept_sender, "_open", say)]
)
def test_what_takes_long_to_open_keeps_nobody_else_waiting(
    module: Any, opener: str, use: Callable[..., None], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a connection to an engine that does not answer, which takes seconds."""
    begun, may_open, done = threading.Event(), threading.Event(), threading.Event()
    open_it = getattr(module, opener)

    def open_slowly(first: Any, group: ipc.Group, *others: Any) -> Any:
        if group.address == "239.255.0.9":
            begun.set()
            assert may_open.wait(PATIENCE)
        return open_it(first, group, *others)

    def use_another() -> None:
        use(port)
        done.set()

    monkeypatch.setattr(module, opener, open_slowly)
    slow = threading.Thread(target=use, args=(port, "239.255.0.9"))
    slow.start()
    assert begun.wait(PATIENCE)
    threading.Thread(target=use_another).start()
    in_time = done.wait(PATIENCE)
    may_open.set()
    slow.join()
    assert in_time


def test_who_comes_while_a_channel_is_being_opened_shares_it(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    begun, may_open = threading.Event(), threading.Event()
    open_it = shared_channels.make_channel_in

    def open_slowly(*arguments: Any) -> Any:
        opened.append(arguments)
        begun.set()
        assert may_open.wait(PATIENCE)
        return open_it(*arguments)

    def listen() -> None:
        subscriptions.append(ipc.messages(port).subscribe())

    subscriptions: list[DisposableBase] = []
    monkeypatch.setattr(shared_channels, "make_channel_in", open_slowly)
    threads = [threading.Thread(target=listen) for _ in range(2)]
    threads[0].start()
    assert begun.wait(PATIENCE)
    threads[1].start()
    may_open.set()
    for thread in threads:
        thread.join()
    assert len(opened) == 1
    for subscription in subscriptions:
        subscription.dispose()
    assert not any(key.group.port == port for key in shared_channels._channels)  # pyright: ignore[reportPrivateUsage]


def test_looking_at_shared_messages_opens_nothing(port: int) -> None:
    with nothing_left_behind():
        assert repr(ipc.messages(port)) == f"<messages of 224.0.2.1:{port} on loopback: hot, shared by this process>"
