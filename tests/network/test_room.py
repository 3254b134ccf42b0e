"""Sends over a link that is slower than they are: they wait for room, and nobody waits for them."""

from __future__ import annotations

import asyncio
import errno
import shutil
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from reactivex import operators as ops
from reactivex.scheduler.eventloop import AsyncIOScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc.transport import WouldBlock

from ..helpers import PATIENCE, Seen, divide_by_zero, nothing_left_behind, wait_until
from ..hosts import Host, hosts
from .channels_on_hosts import channel_on

FLOOD = [bytes(1000)] * 2000
"""More than a socket's send buffer holds."""


SLOW, STUCK = "50mbit", "8kbit"


def limit(host: Host, rate: str, interface: str = "eth0") -> None:
    """Let so many bits a second out of an interface of a host."""
    if shutil.which("tc") is None:
        pytest.skip("needs tc(8) to make a link slow")
    shape = f"tbf rate {rate} burst 20000 limit 20000000"
    host.namespace.run("tc", "qdisc", "replace", "dev", interface, "root", "handle", "1:", *shape.split())


@pytest.fixture(scope="module")
def slow_host() -> Iterator[Host]:
    """A host behind a link of 50 Mbit/s."""
    with hosts(1) as (host,):
        limit(host, SLOW)
        yield host


@pytest.fixture
def stuck_host() -> Iterator[Host]:
    """A host behind a link that lets so little out that sends wait for room, however long the test takes to look."""
    with hosts(1) as (host,):
        limit(host, STUCK)
        yield host


@pytest.fixture
def slow(slow_host: Host) -> Iterator[ipc.Channel]:
    with channel_on(slow_host) as channel:
        yield channel


def test_a_thread_that_sends_waits_for_room(slow: ipc.Channel) -> None:
    assert ipc.run(slow.broadcast_all(FLOOD), timeout=PATIENCE) == len(FLOOD)
    assert slow.statistics.refused == 0


def test_the_delivering_thread_sends_without_waiting_for_room(stuck_host: Host) -> None:
    order: list[str] = []
    with channel_on(stuck_host) as channel:
        sent = Seen(channel.messages.pipe(ops.skip(len(FLOOD) - 1), ops.take(1)))

        def begin() -> None:
            channel.broadcast_all(FLOOD).subscribe(on_completed=lambda: order.append("sent"))
            channel.transport.scheduler.schedule(lambda _scheduler, _state: order.append("went on"))

        channel.transport.call(begin)
        wait_until(lambda: order == ["went on"])
        limit(stuck_host, SLOW)
        sent.wait_for_end()
        wait_until(lambda: order == ["went on", "sent"])
        assert (channel.statistics.sent, channel.statistics.refused) == (len(FLOOD), 0)


def test_single_sends_of_the_delivering_thread_complete_once_they_are_out_and_in_order(stuck_host: Host) -> None:
    completed: list[int] = []
    begun = threading.Event()
    with channel_on(stuck_host) as channel:
        heard = Seen(channel.messages)

        def begin() -> None:
            for number in range(len(FLOOD)):
                payload = number.to_bytes(1000)
                channel.broadcast(payload).subscribe(on_completed=lambda number=number: completed.append(number))
            begun.set()

        channel.transport.call(begin)
        assert begun.wait(PATIENCE)
        assert len(completed) < len(FLOOD)
        limit(stuck_host, SLOW)
        heard.wait_for_count(len(FLOOD))
        wait_until(lambda: len(completed) == len(FLOOD))
        assert [int.from_bytes(message.data) for message in heard.values] == completed == list(range(len(FLOOD)))


def test_an_event_loop_goes_on_while_its_sends_wait_for_room(stuck_host: Host) -> None:
    with channel_on(stuck_host) as channel:

        async def main() -> None:
            sending = asyncio.gather(*(asyncio.ensure_future(channel.broadcast(payload)) for payload in FLOOD))
            await asyncio.sleep(0)
            assert channel.statistics.sent < len(FLOOD)  # the loop had a turn for this while they wait
            sending.cancel()

        asyncio.run(main())
        assert channel.statistics.refused == 0


def test_a_request_is_sent_as_soon_as_there_is_room(slow: ipc.Channel) -> None:
    slow.messages.pipe(
        ops.filter(lambda m: m.text == "question"), ops.flat_map(lambda m: slow.reply(m, b""))
    ).subscribe()
    heard = Seen(slow.messages.pipe(ops.filter(lambda m: m.direct)))
    asked: list[Seen[ipc.Message]] = []

    def begin() -> None:
        for payload in FLOOD:
            slow.broadcast(payload).subscribe()
        asked.append(Seen(slow.request("question", lambda m: m.direct)))

    slow.transport.call(begin)
    wait_until(lambda: asked and (asked[0].error or heard.values))
    assert asked[0].error is None


def test_what_waits_for_room_when_the_channel_closes_is_told(stuck_host: Host) -> None:
    errors: list[Exception] = []
    begun = threading.Event()
    with channel_on(stuck_host) as channel:

        def begin() -> None:
            for payload in FLOOD:
                channel.broadcast(payload).subscribe(on_error=errors.append)
            begun.set()

        channel.transport.call(begin)
        assert begun.wait(PATIENCE)
    assert errors
    assert {type(error) for error in errors} == {ipc.ChannelClosed}


def test_sends_that_wait_for_room_are_told_of_the_close_also_where_nobody_listens_for_errors(
    stuck_host: Host, unhandled: list[BaseException]
) -> None:
    with nothing_left_behind(), channel_on(stuck_host) as channel:
        seen = Seen(channel.messages)
        begun = threading.Event()

        def begin() -> None:
            for payload in FLOOD:
                channel.broadcast(payload).subscribe()
            begun.set()

        channel.transport.call(begin)
        assert begun.wait(PATIENCE)
        channel.close()
        assert seen.wait_for_end().completed
        wait_until(lambda: channel.transport.ended)
    assert {type(error) for error in unhandled} == {ipc.ChannelClosed}
    unhandled.clear()


def test_a_subscriber_that_raises_keeps_no_other_send_from_its_turn(
    stuck_host: Host, unhandled: list[BaseException]
) -> None:
    at_once: list[ZeroDivisionError] = []
    begun = threading.Event()
    with channel_on(stuck_host) as channel:
        heard = Seen(channel.messages)

        def begin() -> None:
            for payload in FLOOD:
                try:
                    channel.broadcast(payload).subscribe(on_completed=divide_by_zero)
                except ZeroDivisionError as error:  # of those that found room at once
                    at_once.append(error)
            begun.set()

        channel.transport.call(begin)
        assert begun.wait(PATIENCE)
        limit(stuck_host, SLOW)
        heard.wait_for_count(len(FLOOD))
        wait_until(lambda: len(at_once) + len(unhandled) == len(FLOOD))
    assert {type(error) for error in unhandled} == {ZeroDivisionError}
    unhandled.clear()


def test_sends_of_an_event_loop_keep_their_order_while_others_wait_for_room(slow: ipc.Channel) -> None:
    heard = Seen(slow.messages)

    async def main() -> None:
        scheduler = AsyncIOScheduler(asyncio.get_running_loop())
        for number in range(2 * len(FLOOD)):
            slow.broadcast(number.to_bytes(1000)).subscribe(scheduler=scheduler)
            if number % 50 == 0:
                await asyncio.sleep(0.003)

    asyncio.run(main())
    heard.wait_for_count(2 * len(FLOOD))
    assert [int.from_bytes(message.data) for message in heard.values] == list(range(2 * len(FLOOD)))


@pytest.mark.quiet_machine
def test_a_thread_that_waits_for_room_is_told_of_the_close_at_once(stuck_host: Host) -> None:
    told: list[Exception] = []
    with nothing_left_behind(), channel_on(stuck_host) as channel:

        async def finds_no_room() -> bool:
            try:
                channel.transport.send(b"")
            except WouldBlock:
                return True
            return False

        thread = threading.Thread(target=lambda: channel.broadcast_all(FLOOD).subscribe(on_error=told.append))
        thread.start()
        wait_until(lambda: asyncio.run(finds_no_room()))
        begun = time.monotonic()
        channel.close()
        thread.join(PATIENCE)
        assert time.monotonic() - begun < 1
    assert [type(error) for error in told] == [ipc.ChannelClosed]


def test_where_no_descriptor_is_left_to_wait_for_room_the_sends_are_tried_again(
    stuck_host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    duplicate, failures = socket.socket.dup, [OSError(errno.EMFILE, "Too many open files")] * 2

    def dup(opened: socket.socket) -> socket.socket:
        if failures:
            raise failures.pop()
        return duplicate(opened)

    with channel_on(stuck_host) as channel:
        monkeypatch.setattr(socket.socket, "dup", dup)
        heard = Seen(channel.messages)

        def begin() -> None:
            for payload in FLOOD:
                channel.broadcast(payload).subscribe()

        channel.transport.call(begin)
        wait_until(lambda: not failures)
        limit(stuck_host, SLOW)
        heard.wait_for_count(len(FLOOD))


@pytest.mark.parametrize("delivering", [False, True], ids=["plain thread", "delivering thread"])
def test_on_several_interfaces_with_a_slow_one_among_them_all_goes_out_of_each(delivering: bool) -> None:
    with hosts(2) as network:
        host, near = network
        host.add_interface("eth1", segment=1)
        far = network.add_host(segment=1)
        limit(host, SLOW, "eth1")
        payloads = [number.to_bytes(1000) for number in range(len(FLOOD))]
        with channel_on(near) as one, channel_on(far) as other, channel_on(host, interface="all") as channel:
            heard = Seen(one.messages), Seen(other.messages)
            sending: list[Seen[int]] = []

            def send() -> None:
                sending.append(Seen(channel.broadcast_all(payloads)))

            if delivering:
                channel.transport.call(send)
            else:
                send()
            for seen in heard:
                seen.wait_for_count(len(payloads))
                assert [message.data for message in seen.values] == payloads
            wait_until(lambda: sending)  # all may be heard before what sends it has returned
            assert sending[0].wait_for_end().values == [len(payloads)]
            assert channel.statistics.refused == 0
