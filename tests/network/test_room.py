"""Sends over a link that is slower than they are: they wait for room, and nobody waits for them."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator

import pytest
from reactivex import operators as ops

import rx_multicast_ipc as ipc

from ..helpers import PATIENCE, Seen
from ..hosts import Host, hosts
from .on import channel_on

FLOOD = [bytes(1000)] * 2000
"""More than a socket's send buffer holds."""


@pytest.fixture(scope="module")
def slow_host() -> Iterator[Host]:
    """A host behind a link of 50 Mbit/s."""
    if shutil.which("tc") is None:
        pytest.skip("needs tc(8) to make a link slow")
    with hosts(1) as (host,):
        host.namespace.run("sh", "-c", "tc qdisc add dev eth0 root tbf rate 50mbit burst 20000 limit 20000000")
        yield host


@pytest.fixture
def slow(slow_host: Host) -> Iterator[ipc.Channel]:
    with channel_on(slow_host) as channel:
        yield channel


def test_a_thread_that_sends_waits_for_room(slow: ipc.Channel) -> None:
    assert ipc.run(slow.broadcast_all(FLOOD), timeout=PATIENCE) == len(FLOOD)
    assert slow.statistics.refused == 0


def test_the_delivering_thread_sends_without_waiting_for_room(slow: ipc.Channel) -> None:
    order: list[str] = []

    def begin() -> None:
        slow.broadcast_all(FLOOD).subscribe(on_completed=lambda: order.append("sent"))
        slow.transport.scheduler.schedule(lambda _scheduler, _state: order.append("went on"))

    last = Seen(slow.messages.pipe(ops.skip(len(FLOOD) - 1), ops.take(1)))
    slow.transport.call(begin)
    last.wait_for_end()
    assert order == ["went on", "sent"]
    assert (slow.statistics.sent, slow.statistics.refused) == (len(FLOOD), 0)


def test_single_sends_of_the_delivering_thread_complete_once_they_are_out_and_in_order(slow: ipc.Channel) -> None:
    completed: list[int] = []
    heard = Seen(slow.messages)

    def begin() -> None:
        for number in range(len(FLOOD)):
            payload = number.to_bytes(1000)
            slow.broadcast(payload).subscribe(on_completed=lambda number=number: completed.append(number))
        assert len(completed) < len(FLOOD)

    slow.transport.call(begin)
    heard.wait_for_count(len(FLOOD))
    assert [int.from_bytes(message.data) for message in heard.values] == completed == list(range(len(FLOOD)))


def test_an_event_loop_goes_on_while_its_sends_wait_for_room(slow: ipc.Channel) -> None:
    async def main() -> None:
        sending = asyncio.gather(*(asyncio.ensure_future(slow.broadcast(payload)) for payload in FLOOD))
        await asyncio.sleep(0)
        assert slow.statistics.sent < len(FLOOD)  # the loop had a turn for this while they wait
        await sending

    asyncio.run(main())
    assert (slow.statistics.sent, slow.statistics.refused) == (len(FLOOD), 0)


def test_what_waits_for_room_when_the_channel_closes_is_told(slow_host: Host) -> None:
    errors: list[Exception] = []
    begun = threading.Event()
    with channel_on(slow_host) as channel:

        def begin() -> None:
            for payload in FLOOD:
                channel.broadcast(payload).subscribe(on_error=errors.append)
            begun.set()

        channel.transport.call(begin)
        assert begun.wait(PATIENCE)
    assert errors
    assert {type(error) for error in errors} == {ipc.ChannelClosed}
