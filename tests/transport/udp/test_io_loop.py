"""Channels that an event loop reads, and what becomes of them when it does not."""

from __future__ import annotations

import asyncio
import gc
import os
import selectors
import signal
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops
from reactivex.scheduler.eventloop import AsyncIOScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc.transport import Transport
from rx_multicast_ipc.transport.udp import pollers
from rx_multicast_ipc.transport.udp.io_loop import IoLoop
from rx_multicast_ipc.transport.udp.io_thread import NOTHING

from ...event_loops import endless_loop, on_loop
from ...helpers import PATIENCE, Seen, divide_by_zero, finish, needs_linux, nothing_left_behind, python, raw_sender, run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no event loop there can watch several sockets as one")


def reading_threads() -> set[threading.Thread]:
    """The threads that read channels."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("rx_multicast_ipc")}


async def soon(condition: Callable[[], object]) -> None:
    """Let the loop turn until ``condition`` holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.001)


def other_program(port: int) -> socket.socket:
    """A plain socket that sends to the channel's group."""
    sender = raw_sender()
    sender.connect(("224.0.2.1", port))
    return sender


# On the loop


def test_everything_is_delivered_on_the_loop_and_no_thread_is_started(port: int) -> None:
    async def main() -> None:
        before = reading_threads()
        async with ipc.open_channel(port, read_on="loop") as channel:
            seen, batches, ticks = (
                Seen(channel.messages),
                Seen(channel.batches),
                Seen(rx.timer(0.01, scheduler=channel.scheduler)),
            )
            await channel.broadcast("x")
            await soon(lambda: seen.values and batches.values and ticks.values)
            assert seen.threads | batches.threads | ticks.threads == {threading.get_ident()}
            assert reading_threads() <= before
        assert seen.completed

    on_loop(main())


def test_coroutines_talk(port: int) -> None:
    async def main() -> None:
        async with ipc.open_channel(port, read_on="loop") as one, ipc.open_channel(port, read_on="loop") as other:
            with other.respond(lambda m: m.text == "who?", lambda _: "me").subscribe():
                answer = await one.request("who?", lambda m: m.direct, timeout=PATIENCE)
                assert (answer.text, answer.sender) == ("me", other.sender_address)
            heard = aiter(one.messages)
            assert await other.broadcast_all(["a", "b", "c"]) == 3
            assert [(await anext(heard)).text for _ in "abc"] == ["a", "b", "c"]
            with pytest.raises(ipc.MessageTimeout):
                await one.wait_for_message(lambda m: m.text == "never", timeout=0.01)
            await other.broadcast_all([f"{number}" for number in range(50)], rate=20_000)
            assert (
                await one.wait_for_message(lambda m: m.text == "49", timeout=PATIENCE)
            ).sender == other.sender_address

    on_loop(main())


def test_what_it_sends_itself_is_not_lost_though_the_loop_never_goes_on_meanwhile(port: int) -> None:
    async def main() -> None:
        async with ipc.open_channel(port, read_on="loop", receive_buffer=65_536) as channel:
            seen = Seen(channel.messages)
            for number in range(1000):
                await channel.broadcast(b"%d" % number)  # which is done at once
            await channel.broadcast_all([b"%d" % number for number in range(1000, 3000)])
            for number in range(3000, 4000):
                channel.broadcast(b"%d" % number).subscribe()
            await soon(lambda: len(seen.values) == 4000)
            assert [int(message.text) for message in seen.values] == list(range(4000))

    on_loop(main())


def test_a_wait_finds_at_once_what_the_channel_sent_itself_before(port: int) -> None:
    async def main() -> None:
        async with ipc.open_channel(port, read_on="loop") as channel:
            for number in range(100):
                await channel.broadcast(b"%d" % number)
            for number in range(100):
                assert (await channel.wait_for_message(timeout=PATIENCE)).text == f"{number}"
                await channel.broadcast(b"%d" % (number + 100))

    on_loop(main())


def test_what_the_loop_reads_reaches_its_subscribers_in_the_same_turn(port: int) -> None:
    async def main() -> None:
        loop, order = asyncio.get_running_loop(), list[str]()

        def ask(_: ipc.Message) -> None:
            loop.call_soon(order.append, "what it asked for")

        async with ipc.open_channel(port, read_on="loop") as channel:
            sender = other_program(port)
            channel.messages.subscribe(ask)
            channel.messages.subscribe(lambda _: order.append("heard"), scheduler=AsyncIOScheduler(loop))
            sender.send(b"x")
            sender.close()
            await soon(lambda: len(order) == 2)
        assert order == ["heard", "what it asked for"]

    on_loop(main())


@pytest.mark.parametrize("echo", [True, False])
def test_it_hears_the_group_itself_if_asked_to_and_direct_messages(port: int, echo: bool) -> None:
    async def main() -> None:
        async with ipc.open_channel(port, read_on="loop", echo=echo) as channel:
            with ipc.open_channel(port) as other:
                seen = Seen(channel.messages.pipe(ops.map(lambda m: (m.text, m.direct))))
                await channel.broadcast("own")
                await other.broadcast("to all")
                await other.send("to one", channel.sender_address)
                await soon(lambda: len(seen.values) == 2 + echo)
                assert set(seen.values) - {("own", False)} == {("to all", False), ("to one", True)}
                assert await other.wait_for_message(lambda m: m.text == "own", timeout=PATIENCE)

    on_loop(main())


def test_other_threads_may_block_for_what_the_loop_reads(port: int) -> None:
    async def main() -> None:
        async with ipc.open_channel(port, read_on="loop") as channel:

            def work() -> list[str]:
                run(channel.broadcast("a question"))
                found = [run(channel.wait_for_message(timeout=PATIENCE)).text]
                with pytest.raises(ipc.MessageTimeout):
                    ipc.run(channel.wait_for_message(timeout=0.01))
                return found

            assert await asyncio.to_thread(work) == ["a question"]

    on_loop(main())


LAYERS: dict[str, dict[str, Any]] = {
    "raw": {},
    "reliable": {"reliable": True},
    "sealed": {"key": ipc.Key(bytes(range(32)))},
    "sealed and reliable": {"key": ipc.Key(bytes(range(32))), "reliable": True},
    "presence": {"presence": "ann"},
}


@pytest.mark.parametrize("layers", LAYERS)
def test_layers_topics_latest_values_and_members_work_there(port: int, layers: str) -> None:
    if "key" in LAYERS[layers]:
        pytest.importorskip("cryptography")

    async def main() -> None:
        options: dict[str, Any] = {"read_on": "loop", **LAYERS[layers]}
        async with ipc.open_channel(port, **options) as one, ipc.open_channel(port, **options) as other:
            poses = aiter(one.topic("pose", int).stream)
            await other.topic("pose", int).publish(7)
            assert await anext(poses) == 7
            values = aiter(one.latest("price"))
            await other.latest("price").set(b"42")
            assert await anext(values) == b"42"
            if layers == "presence":
                ends = {one.sender_address, other.sender_address}
                members = aiter(one.members)
                while {member.sender for member in await anext(members)} != ends:
                    pass
            if "reliable" in layers:
                big = os.urandom(300_000)
                heard = asyncio.ensure_future(first(one.messages.pipe(ops.filter(lambda m: len(m.data) == len(big)))))
                await asyncio.sleep(0)
                await other.broadcast(big, acknowledged=True, timeout=PATIENCE)
                assert (await heard).data == big

    on_loop(main())


async def first(stream: rx.Observable[Any]) -> Any:
    return await stream.pipe(ops.first())


def test_a_bridge_joins_channels_that_loops_read(port: int) -> None:
    async def main() -> None:
        async with (
            ipc.open_channel(port, "224.0.2.1", read_on="loop") as near,
            ipc.open_channel(port, "224.0.2.2", read_on="loop") as far,
            ipc.open_channel(port, "224.0.2.2", read_on="loop") as listener,
        ):
            with ipc.bridge(near, far):
                heard = aiter(listener.messages)
                async with ipc.open_channel(port, "224.0.2.1", read_on="loop") as speaker:
                    while True:  # until the bridge is there
                        await speaker.broadcast("across")
                        try:
                            assert (await asyncio.wait_for(anext(heard), 0.2)).text == "across"
                            break
                        except TimeoutError:
                            heard = aiter(listener.messages)

    on_loop(main())


def test_the_shared_channels_of_two_loops_are_two(port: int) -> None:
    async def hear() -> int:
        heard = aiter(ipc.messages(port, read_on="loop"))
        await ipc.broadcast("x", port)
        return (await anext(heard)).sender[1]

    assert on_loop(hear()) != on_loop(hear())


# What the loop cannot do


def test_who_would_block_the_loop_for_itself_is_told_to_await(port: int) -> None:
    waits: list[Callable[[ipc.Channel], rx.Observable[Any]]] = [
        lambda channel: channel.wait_for_message(lambda m: m.text == "never"),
        lambda channel: channel.request("?", lambda _: False),
        lambda channel: channel.messages.pipe(ops.take(1)),
        lambda channel: channel.send("x", 9, "localhost"),
        lambda channel: channel.broadcast_all(["a"], rate=1),
        lambda channel: rx.timer(0.01, scheduler=channel.scheduler),
    ]
    roads: list[Callable[[rx.Observable[Any]], Any]] = [
        ipc.run,
        lambda source: ipc.run(source, timeout=60),
        lambda source: source.run(),
    ]

    async def main() -> None:
        async with ipc.open_channel(port, read_on="loop") as channel:
            for wait in waits:
                for road in roads:
                    with pytest.raises(ipc.WouldDeadlock, match="await the Observable instead"):
                        road(wait(channel))
        assert ipc.run(rx.of(1)) == 1, "it reads no channel any more"

    def refused() -> None:
        on_loop(main())
        gc.collect()

    with pytest.warns(ipc.NeverSubscribedWarning):
        refused()


def test_blocking_in_a_subscriber_is_refused_as_on_a_thread(port: int) -> None:
    async def main() -> None:
        async with ipc.open_channel(port, read_on="loop") as channel:
            waiting = channel.messages.pipe(ops.map(lambda _: ipc.run(channel.wait_for_message())))
            seen = Seen(waiting)
            await channel.broadcast("x")
            await soon(lambda: seen.error)
            assert isinstance(seen.error, ipc.WouldDeadlock)

    on_loop(main())


def test_a_blocked_loop_loses_what_does_not_fit_and_says_how_much(port: int, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with ipc.open_channel(port, read_on="loop", receive_buffer=65_536) as channel:
            sender = other_program(port)
            heard = Seen(channel.messages)
            for number in range(2000):  # without an await between them
                sender.send(b"%d" % number)
            await soon(lambda: heard.values and len(heard.values) + (channel.statistics.dropped or 0) == 2000)
            assert [int(message.text) for message in heard.values] == list(range(len(heard.values)))
            assert len(heard.values) > 20
            await soon(lambda: "the kernel dropped" in caplog.text)
            sender.send(b"after")
            sender.close()
            await soon(lambda: heard.values[-1].data == b"after")

    on_loop(main())


@pytest.mark.parametrize("value", ["core", 1, None, True])
def test_what_cannot_read_is_refused(port: int, value: Any) -> None:
    with pytest.raises(ipc.InvalidOption, match='read_on is "thread", one of the channel\'s own, or "loop"'):
        ipc.open_channel(port, read_on=value)


def test_a_loop_that_does_not_run_is_refused(port: int) -> None:
    with pytest.raises(ipc.InvalidOption, match="none does here: open the channel in a coroutine"):
        ipc.open_channel(port, read_on="loop")
    loop = asyncio.new_event_loop()
    with pytest.raises(ipc.InvalidOption, match="this one does not"):
        ipc.open_channel(port, read_on=loop)
    loop.close()


def test_a_loop_does_not_spin(port: int) -> None:
    async def main() -> None:
        with pytest.raises(ipc.InvalidOption, match="spin="):
            ipc.open_channel(port, read_on="loop", spin=0.001)

    on_loop(main())


class LikeKqueue(pollers.Selector):
    """Stays ready for one look more than there is something to read.

    So does a kqueue(2) that another one watches: an event that stands for as long as a socket has something to read is
    queued again as it is told, and found to be over by the next look alone (``knote_process`` in bsd/kern/kern_event.c
    of the kernel of macOS).
    """

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self._told = os.eventfd(0, os.EFD_NONBLOCK)
        self._selector.register(self._told, selectors.EVENT_READ)

    def wait(self, seconds: float | None) -> list[tuple[int, int]]:
        self.looks += 1
        with suppress(BlockingIOError):
            os.eventfd_read(self._told)
        events = super().wait(seconds)
        if events:
            os.eventfd_write(self._told, 1)
        return events

    wait_finely = wait

    def close(self) -> None:
        super().close()
        os.close(self._told)


@needs_linux
def test_a_poller_that_is_ready_once_too_often_costs_a_look_and_no_more(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[LikeKqueue] = []

    def make() -> LikeKqueue:
        made.append(LikeKqueue())
        return made[-1]

    async def main() -> None:
        async with ipc.open_channel(port, read_on="loop") as channel:
            seen, sender = Seen(channel.messages), other_program(port)
            for number in range(20):
                sender.send(b"%d" % number)
                await soon(lambda number=number: len(seen.values) > number)
            sender.close()
            assert seen.threads == {threading.get_ident()}
            for _ in range(1000):
                await asyncio.sleep(0)
            assert [int(message.text) for message in seen.values] == list(range(20))
            assert made[-1].looks < 200

    monkeypatch.setattr(pollers, "new_poller", make)
    on_loop(main())
    assert len(made) == 1


# Exceptions


def test_a_subscriber_that_raises_costs_the_others_nothing(port: int) -> None:
    errors: list[BaseException] = []
    previous = ipc.set_unhandled_error_hook(errors.append)

    def leave(_: object) -> None:
        sys.exit("leave")

    async def main() -> None:
        async with ipc.open_channel(port, read_on="loop") as channel:
            for bad in (divide_by_zero, leave):
                channel.messages.subscribe(bad)
            seen = Seen(channel.messages)
            await channel.broadcast_all(["a", "b"])
            await soon(lambda: len(seen.values) == 2)

    try:
        on_loop(main())
    finally:
        ipc.set_unhandled_error_hook(previous)
    assert sorted(type(error).__name__ for error in errors) == ["SystemExit", "ZeroDivisionError"]


def test_ctrl_c_in_a_subscriber_ends_the_loop_and_not_the_channel(port: int) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    async def until_interrupted() -> None:
        opened.append(ipc.open_channel(port, read_on="loop"))
        opened[0].messages.pipe(ops.take(1)).subscribe(interrupt)
        await opened[0].broadcast("x")
        await asyncio.sleep(PATIENCE)

    async def go_on() -> None:
        async with opened[0] as channel:
            seen = Seen(channel.messages)
            await channel.broadcast("y")
            await soon(lambda: seen.values)
            assert seen.threads == {threading.get_ident()}

    opened: list[ipc.Channel] = []
    loop = asyncio.new_event_loop()
    try:
        with pytest.raises(KeyboardInterrupt):
            loop.run_until_complete(until_interrupted())
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(go_on())
    finally:
        loop.close()


def test_a_descriptor_that_somebody_closes_ends_the_channel_or_leaves_it_whole(port: int) -> None:
    async def main() -> None:
        channel = ipc.open_channel(port, read_on="loop")
        transport: Any = channel.transport
        os.close(transport._outlet.socket.detach())
        await channel.unbind()
        assert channel.closed

    on_loop(main())


# The end of the channel


CLOSERS: dict[str, Callable[[ipc.Channel], object]] = {
    "a thread": lambda channel: asyncio.to_thread(channel.close),
    "a thread, without waiting": lambda channel: asyncio.to_thread(channel.close, wait=False),
    "a coroutine": lambda channel: channel.close(),
    "await": lambda channel: channel.unbind(),
    "a subscriber": lambda channel: channel.messages.subscribe(lambda _: channel.close()),
    "a timer": lambda channel: channel.scheduler.schedule_relative(0.01, lambda _scheduler, _state: channel.close()),
}


@pytest.mark.parametrize("closer", CLOSERS)
def test_a_channel_can_be_closed_anywhere_and_leaves_nothing(port: int, closer: str) -> None:
    async def main() -> None:
        loop: Any = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        await asyncio.to_thread(int)  # which starts its thread
        for _ in range(2):  # what is made once is made now
            with nothing_left_behind():
                channel = ipc.open_channel(port, read_on="loop")
                seen = Seen(channel.messages)
                closing = CLOSERS[closer](channel)
                if asyncio.iscoroutine(closing) or isinstance(closing, rx.Observable):
                    await closing  # pyright: ignore[reportUnknownVariableType, reportGeneralTypeIssues]
                elif not channel.closed:
                    await channel.broadcast("x")
                await soon(lambda seen=seen: seen.completed)
                await soon(lambda channel=channel: channel.transport.ended)
                await asyncio.sleep(0)
                waiting = [
                    handle for handle in loop._scheduled if not handle.cancelled() and "_on_alarm" in repr(handle)
                ]
                assert waiting == []

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


def test_timers_run_on_after_close_on_the_loop(port: int) -> None:
    async def main() -> None:
        channel = ipc.open_channel(port, read_on="loop")
        await channel.unbind()
        seen = Seen(rx.timer(0.01, scheduler=channel.scheduler))
        await soon(lambda: seen.values)
        assert seen.threads == {threading.get_ident()}

    on_loop(main())


def test_a_closed_channel_lets_go_of_its_loop(port: int) -> None:
    async def main() -> None:
        nonlocal channel
        channel = ipc.open_channel(port, read_on="loop")
        await channel.broadcast("x")
        await channel.wait_for_message(timeout=PATIENCE)
        await channel.unbind()

    channel: ipc.Channel | None = None
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.close()
    gone = weakref.ref(loop)
    del loop, channel
    gc.collect()
    assert gone() is None


# The end of the loop


@pytest.fixture
def left_open(port: int) -> Iterator[ipc.Channel]:
    """A channel whose loop was closed."""

    async def main() -> ipc.Channel:
        channel = ipc.open_channel(port, read_on="loop")
        await channel.broadcast("of the first loop")
        assert (await channel.wait_for_message(timeout=PATIENCE)).text == "of the first loop"
        return channel

    with asyncio.run(main()) as channel:
        yield channel


def test_a_channel_outlives_its_loop(port: int, left_open: ipc.Channel) -> None:
    with raw_sender() as sender:
        sender.sendto(b"nobody asked yet", ("224.0.2.1", port))
    assert run(left_open.wait_for_message(timeout=PATIENCE)).data == b"nobody asked yet"
    seen = Seen(left_open.messages)
    run(left_open.broadcast("x"))
    seen.wait_for_count(1)
    assert threading.get_ident() not in seen.threads
    left_open.close()
    assert seen.completed


def test_what_arrives_while_the_loop_closes_is_not_lost(port: int) -> None:
    async def main() -> tuple[ipc.Channel, Seen[ipc.Message]]:
        channel = ipc.open_channel(port, read_on="loop")
        seen = Seen(channel.messages)
        for number in range(20):
            sender.sendto(b"%d" % number, ("224.0.2.1", port))
        return channel, seen

    with raw_sender() as sender:
        channel, seen = asyncio.run(main())
        with channel:
            assert [int(message.text) for message in seen.wait_for_count(20)] == list(range(20))


def test_another_loop_may_use_it(left_open: ipc.Channel) -> None:
    async def main() -> None:
        heard = aiter(left_open.messages)
        await left_open.broadcast("y")
        assert (await anext(heard)).text == "y"
        await left_open.unbind()

    on_loop(main())


def test_a_loop_that_is_closed_in_the_middle_of_everything(port: int) -> None:
    async def main() -> ipc.Channel:
        channel = ipc.open_channel(port, read_on="loop", reliable=True)
        channel.scheduler.schedule_relative(0.05, lambda _scheduler, _state: ran.set())
        await channel.broadcast("x")
        return channel

    ran = threading.Event()
    with nothing_left_behind(), asyncio.run(main()) as channel:
        assert ran.wait(PATIENCE)
        assert run(channel.wait_for_message(timeout=PATIENCE)).text == "x"


def test_a_loop_that_stopped_leaves_it_to_a_thread_when_somebody_waits(port: int) -> None:
    async def opened() -> ipc.Channel:
        return ipc.open_channel(port, read_on="loop")

    async def use(channel: ipc.Channel) -> None:
        await channel.broadcast("of the loop")
        await channel.wait_for_message(lambda m: m.text == "of the loop", timeout=PATIENCE)

    loop = asyncio.new_event_loop()
    try:
        channel = loop.run_until_complete(opened())
        loop.run_until_complete(use(channel))
        run(channel.broadcast("meanwhile"))
        assert run(channel.wait_for_message(lambda m: m.text == "meanwhile", timeout=PATIENCE)).text == "meanwhile"
        loop.run_until_complete(use(channel))
        with pytest.raises(ipc.MessageTimeout):
            ipc.run(channel.wait_for_message(timeout=0.01))
        channel.close()
        assert channel.transport.ended
        again = loop.run_until_complete(opened())
        again.close()
        assert again.transport.ended
        watched: Any = loop
        assert len(watched._selector.get_map()) == 1, "the loop watches itself alone"
    finally:
        loop.close()


def test_a_loop_that_stopped_goes_on_reading_when_it_goes_on(port: int) -> None:
    async def main() -> None:
        channel = ipc.open_channel(port, read_on="loop")
        opened.append((channel, Seen(channel.messages)))

    async def go_on() -> None:
        channel, seen = opened[0]
        await soon(lambda: len(seen.values) == 2)
        assert seen.threads == {threading.get_ident()}
        await channel.unbind()

    opened: list[tuple[ipc.Channel, Seen[ipc.Message]]] = []
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(main())
        run(opened[0][0].broadcast("own"))
        with raw_sender() as sender:
            sender.sendto(b"other", ("224.0.2.1", port))
        loop.run_until_complete(go_on())
    finally:
        loop.close()


def test_a_channel_of_a_loop_elsewhere_is_closed_from_here(port: int) -> None:
    loop = endless_loop()
    with nothing_left_behind(), ipc.open_channel(port, read_on=loop) as channel:
        seen = Seen(channel.messages)
        run(channel.broadcast("x"))
        seen.wait_for_count(1)
        assert threading.get_ident() not in seen.threads
    assert seen.completed


def test_a_channel_forgotten_open_is_warned_of(port: int) -> None:
    async def main() -> Transport:
        return ipc.open_channel(port, read_on="loop").transport

    def forgotten() -> Transport:
        transport = asyncio.run(main())
        gc.collect()
        return transport

    with pytest.warns(ResourceWarning, match="forgotten without being closed"):
        transport = forgotten()
    transport.close()
    assert transport.ended


# Processes


QUIETLY = """
import asyncio, logging, os, sys, threading, warnings
import rx_multicast_ipc as ipc
warnings.simplefilter("ignore")
logging.getLogger("asyncio").setLevel("ERROR")  # development mode tells of each turn that takes long
"""

EXITS = {
    "a loop that was closed": "asyncio.run(main())",
    "a loop that was not": "loop = asyncio.new_event_loop(); loop.run_until_complete(main())",
    "a loop on a daemon": """
loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
asyncio.run_coroutine_threadsafe(main(), loop).result()
""",
    "sys.exit in a coroutine": """
async def leave():
    await main()
    sys.exit()
asyncio.run(leave())
""",
}


@pytest.mark.parametrize("how", EXITS)
def test_a_process_ends_and_hears_what_it_said_last(port: int, how: str) -> None:
    code = f"""{QUIETLY}
async def main():
    global channel
    channel = ipc.open_channel(int(sys.argv[1]), read_on="loop")
    channel.messages.subscribe(lambda m: print(m.text), on_completed=lambda: print("completed"))
    await channel.broadcast("last words")
{EXITS[how]}
"""
    assert finish(python(code, port)).splitlines() == ["last words", "completed"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_after_a_fork_the_loop_reads_on_and_the_child_has_no_part_in_it(port: int) -> None:
    code = f"""{QUIETLY}
port = int(sys.argv[1])
async def main():
    channel = ipc.open_channel(port, read_on="loop")
    heard = aiter(channel.messages)
    child = os.fork()
    if child == 0:
        try:
            channel.broadcast("x")
        except ipc.ChannelClosed:
            with ipc.open_channel(port) as own:
                ipc.run(own.broadcast("from the child"))
                assert ipc.run(own.wait_for_message(timeout=60)).text == "from the child"
            channel.close()
        finally:
            os._exit(0)
    assert (await anext(heard)).text == "from the child"
    os.waitpid(child, 0)
    await channel.broadcast("from the parent")
    print((await anext(heard)).text)
    await channel.unbind()
asyncio.run(main())
"""
    assert finish(python(code, port)) == "from the parent\n"


def test_ctrl_c_closes_channel_and_loop(port: int) -> None:
    code = f"""{QUIETLY}
async def main():
    async with ipc.open_channel(int(sys.argv[1]), read_on="loop") as channel:
        channel.messages.subscribe(on_completed=lambda: print("completed"))
        await channel.broadcast("ready")
        await channel.wait_for_message()
        print("ready", flush=True)
        await asyncio.sleep(1000)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    print("interrupted")
"""
    process = python(code, port)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert finish(process) == "completed\ninterrupted\n"


def test_a_signal_handler_may_close_it(port: int) -> None:
    async def main() -> None:
        channel = ipc.open_channel(port, read_on="loop")
        seen = Seen(channel.messages)
        before = signal.signal(signal.SIGUSR1, lambda _number, _frame: channel.close())
        try:
            for _ in range(100):
                await channel.broadcast("x")
                os.kill(os.getpid(), signal.SIGUSR1)
                if channel.closed:
                    break
            await soon(lambda: channel.transport.ended)
        finally:
            signal.signal(signal.SIGUSR1, before)
        assert seen.completed

    on_loop(main())


# The object itself


def test_what_is_asked_for_while_the_loop_takes_its_last_turn_is_not_lost() -> None:
    async def main() -> None:
        thread = IoLoop(asyncio.get_running_loop(), "test", NOTHING, lambda: None)
        for _ in range(50):
            ran = asyncio.Event()
            loop = asyncio.get_running_loop()
            await asyncio.to_thread(thread.post, lambda ran=ran, loop=loop: loop.call_soon(ran.set))
            await ran.wait()
            assert threading.get_ident() == threading.main_thread().ident
        assert thread.is_current

    on_loop(main())


def test_timers_of_a_loop_come_in_order_and_none_too_early(port: int) -> None:
    async def main() -> None:
        async with ipc.open_channel(port, read_on="loop") as channel:
            began, ran = time.monotonic(), list[tuple[str, float]]()
            now = channel.scheduler.now
            for pause, name in ((0.03, "last"), (0.01, "first"), (0.02, "second")):
                channel.scheduler.schedule_absolute(
                    now + timedelta(seconds=pause),
                    lambda _scheduler, _state, name=name: ran.append((name, time.monotonic() - began)),
                )
            await soon(lambda: len(ran) == 3)
            assert [name for name, _ in ran] == ["first", "second", "last"]
            assert all(took >= pause - 1e-5 for (_, took), pause in zip(ran, (0.01, 0.02, 0.03), strict=True))

    on_loop(main())
