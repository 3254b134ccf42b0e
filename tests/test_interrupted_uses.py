"""Ctrl-C, or a signal handler that raises, at any place of an ordinary use: what comes after it works as if nothing had
happened. Nothing of it is lost or sent twice, nobody waits for ever, and nothing stays taken."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from types import SimpleNamespace
from typing import Any, cast

import pytest
from reactivex.observer import Observer
from reactivex.subject import Subject

import rx_multicast_ipc as ipc
from rx_multicast_ipc.channel_options import complete
from rx_multicast_ipc.option_values.engines import Nats
from rx_multicast_ipc.receiving.bounded_queue import BoundedQueue
from rx_multicast_ipc.receiving.event_loop_delivery import LoopObserver
from rx_multicast_ipc.receiving.pending_wait import PendingWait
from rx_multicast_ipc.sending import kept_sender
from rx_multicast_ipc.subscribing.deadlocks import BLOCKED
from rx_multicast_ipc.subscribing.subscriber_errors import delivering_here
from rx_multicast_ipc.transport import Hears, delivered_batch, may_wait
from rx_multicast_ipc.transport.engine.nats import cluster
from rx_multicast_ipc.transport.engine.nats.login import Login
from rx_multicast_ipc.transport.engine.nats.server_link import ServerLink
from rx_multicast_ipc.transport.engine.nats.wire import Parser
from rx_multicast_ipc.transport.engine.numbered_sends import NumberedSends
from rx_multicast_ipc.transport.engine.running_numbers import RunningNumbers
from rx_multicast_ipc.transport.engine.sent_topics import SentTopics
from rx_multicast_ipc.transport.engine.transport import EngineTransport
from rx_multicast_ipc.transport.own_messages import OwnMessages
from rx_multicast_ipc.transport.udp.io_thread import IoThread
from rx_multicast_ipc.transport.udp.transport import UdpTransport

from .helpers import THOROUGH, Seen, is_observed, run, wait_until
from .interrupts import interrupted_at, traces_opcodes

pytestmark = traces_opcodes

STRIDE = 1 if THOROUGH else 4


@dataclass
class Scene:
    """What is interrupted at one place after the other, each with its number, and what goes on after it."""

    use: Callable[[int], object]
    go_on: Callable[[int], object]
    prepare: Callable[[int], object] = lambda _: None


def sweep(scene: Scene) -> None:
    for place in count(1, STRIDE):
        scene.prepare(place)
        reached = interrupted_at(place, lambda place=place: scene.use(place))
        try:
            assert delivered_batch.HERE.batch is None
            assert BLOCKED.blocking is None
            assert may_wait()
            scene.go_on(place)
        except BaseException as error:
            error.add_note(f"interrupted at place {place}")
            raise
        if not reached:
            break


class Ends:
    """Two channels that hear each other; what both hear of the first one's messages is to be the same."""

    def __init__(self, sender: ipc.Channel, other: ipc.Channel) -> None:
        self.sender = sender
        self.own, self.others = Seen(sender.messages), Seen(other.messages)
        self.direct = 0

    def hear(self, data: bytes, *, alike: bool = True) -> None:
        """Wait until both have heard it, and see that they heard the same before."""
        for seen in (self.own, self.others):
            seen.wait_for(lambda seen: any(message.data == data for message in seen.values[-3:]))
        if alike:
            wait_until(lambda: self.are_alike)
        wait_until(lambda: self.sender.statistics.sent == len(self.others.values))
        assert self.sender.statistics.dropped == 0

    @property
    def are_alike(self) -> bool:
        """Whether all that was sent was heard, by both."""
        others = [message.data for message in self.others.values if not message.direct]
        return [message.data for message in self.own.values] == others

    def go_on(self, place: int) -> None:
        data = b"%d after" % place
        run(self.sender.broadcast(data))
        self.hear(data)


@contextmanager
def two_ends(port: int) -> Generator[Ends]:
    with ipc.open_channel(port) as sender, ipc.open_channel(port) as other:
        yield Ends(sender, other)


class Full:
    """A socket whose send buffer is full until somebody asks whether it can be written to."""

    def __init__(self, opened: Any) -> None:
        self.opened = opened
        self.full = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.opened, name)

    def dup(self) -> Any:
        self.full = False
        return self.opened.dup()

    def sendto(self, payload: bytes, to: Any) -> int:
        if self.full:
            raise BlockingIOError
        return self.opened.sendto(payload, to)


@contextmanager
def single_sends(port: int, _: pytest.MonkeyPatch) -> Generator[Scene]:
    with two_ends(port) as ends:
        yield Scene(lambda place: ends.sender.broadcast(b"%d" % place).subscribe(), ends.go_on)


@contextmanager
def direct_sends(port: int, _: pytest.MonkeyPatch) -> Generator[Scene]:
    with two_ends(port) as ends, ipc.open_channel(port) as third:
        run(third.broadcast("where I am"))
        address = run(third.wait_for_message()).sender
        ends.own.wait_for_count(1)
        ends.others.wait_for_count(1)
        ends.own.values.clear()
        ends.others.values.clear()
        ends.others = Seen(third.messages)
        yield Scene(lambda place: ends.sender.send(b"%d" % place, address).subscribe(), ends.go_on)


@contextmanager
def lists(port: int, _: pytest.MonkeyPatch) -> Generator[Scene]:
    with two_ends(port) as ends:

        def use(place: int) -> None:
            payloads = [b"%d-%d" % (place, number) for number in range(3)]
            ipc.run(ends.sender.broadcast_all([*payloads, b"%d-longer" % place, b"%d-longer still" % place]))

        yield Scene(use, ends.go_on)


@contextmanager
def full_send_buffers(port: int, _: pytest.MonkeyPatch) -> Generator[Scene]:
    with two_ends(port) as ends:
        outlet: Any = ends.sender.transport
        outlet = outlet._outlet
        outlet.socket = full = Full(outlet.socket)

        def fill(_: int) -> None:
            full.full = True

        def go_on(place: int) -> None:
            fill(place)
            data = b"%d after" % place
            with delivering_here():
                ends.sender.broadcast(data).subscribe()
            ends.hear(data, alike=False)  # for it may hear what was just taken back

        def use(place: int) -> None:
            with delivering_here():  # which may not wait
                ends.sender.broadcast(b"%d" % place).subscribe()

        yield Scene(use, go_on, fill)
        outlet.socket = full.opened


@contextmanager
def answers_to_a_batch(port: int, monkeypatch: pytest.MonkeyPatch) -> Generator[Scene]:
    monkeypatch.setattr(delivered_batch, "_QUICK", float("inf"))
    with two_ends(port) as ends, ipc.open_channel(port, "224.0.2.77") as asked:
        inbox: Any = asked
        inbox = inbox._inbox

        def subscribe(_: int) -> None:
            inbox.messages.end_subscribers()
            asked.messages.subscribe(lambda message: (ends.sender.broadcast(message.data).subscribe(), None)[1])

        def use(place: int) -> None:
            inbox._delivery([ipc.Message(b"%d-%d" % (place, number)) for number in range(4)])

        def go_on(place: int) -> None:
            outlet: Any = ends.sender.transport
            assert not outlet._outlet._gathered.waiting
            ends.go_on(place)

        yield Scene(use, go_on, subscribe)


def streams(**options: float) -> Callable[[int, pytest.MonkeyPatch], AbstractContextManager[Scene]]:
    @contextmanager
    def scene(port: int, _: pytest.MonkeyPatch) -> Generator[Scene]:
        with two_ends(port) as ends:
            source: Subject[bytes] = Subject()
            sending = Seen(ends.sender.broadcast_all(source, **options))

            def go_on(place: int) -> None:
                data = b"%d after" % place
                source.on_next(data)
                ends.hear(data)

            yield Scene(lambda place: source.on_next(b"%d" % place), go_on)
            source.on_completed()
            assert sending.wait_for_end().completed

    return scene


@contextmanager
def bursts_that_linger(port: int, _: pytest.MonkeyPatch) -> Generator[Scene]:
    with two_ends(port) as ends:
        source: Subject[bytes] = Subject()
        before = [0]

        def prepare(place: int) -> None:
            before[0] = len(ends.others.values)
            sending = Seen(ends.sender.broadcast_all(source, linger=3600))
            del sending
            for number in range(63):
                source.on_next(b"%d-%d" % (place, number))

        def go_on(place: int) -> None:
            source.on_next(b"%d after" % place)
            for observer in list(source.observers):
                observer.on_completed()
            ends.hear(b"%d after" % place)
            heard = [message.data for message in ends.others.values[before[0] :] if b"after" not in message.data]
            assert [data for data in heard if not data.endswith(b"-63")] == [
                b"%d-%d" % (place, number) for number in range(63)
            ]

        yield Scene(lambda place: source.on_next(b"%d-63" % place), go_on, prepare)


@contextmanager
def buffered_streams(_port: int, _: pytest.MonkeyPatch) -> Generator[Scene]:
    source: Subject[int] = Subject()
    seen = Seen(source.pipe(ipc.operators.on_backpressure_buffer(100)))

    def go_on(place: int) -> None:
        source.on_next(-place)
        seen.wait_for(lambda seen: -place in seen.values)

    yield Scene(source.on_next, go_on)
    source.on_completed()
    assert seen.wait_for_end().completed
    assert seen.values == sorted(seen.values, key=abs)
    assert len(set(seen.values)) == len(seen.values)


@contextmanager
def sends_without_a_channel(port: int, monkeypatch: pytest.MonkeyPatch) -> Generator[Scene]:
    monkeypatch.setattr(kept_sender, "_KEPT", 0.01)
    with ipc.open_channel(port) as channel:
        heard = Seen(channel.messages)
        kept: Any = vars(kept_sender)["_kept"]

        def go_on(place: int) -> None:
            wait_until(lambda: not kept)
            run(ipc.broadcast(b"%d after" % place, port))
            heard.wait_for(lambda heard: any(message.data == b"%d after" % place for message in heard.values))
            wait_until(lambda: not kept)

        yield Scene(lambda place: ipc.broadcast(b"%d" % place, port).subscribe(), go_on)


@contextmanager
def waits_for_what_came(port: int, monkeypatch: pytest.MonkeyPatch, capacity: int = 10) -> Generator[Scene]:
    with ipc.open_channel(port, backlog=capacity) as channel:
        backlog: Any = channel
        backlog = backlog._inbox.backlog
        taken: list[bytes] = []

        def prepare(place: int) -> None:
            taken.clear()
            backlog.put([ipc.Message(b"%d-%d" % (place, number)) for number in range(3)])

        def go_on(place: int) -> None:
            while len(taken) < 3:
                taken.append(run(channel.wait_for_message()).data)
            assert taken == [b"%d-%d" % (place, number) for number in range(3)]
            assert len(backlog._messages) == 0

        yield Scene(lambda _: taken.append(ipc.run(channel.wait_for_message()).data), go_on, prepare)


def waits_for_what_came_to_many(port: int, monkeypatch: pytest.MonkeyPatch) -> AbstractContextManager[Scene]:
    """In a backlog that weighs what it holds."""
    return waits_for_what_came(port, monkeypatch, 100_000)


class Breaking(socket.socket):
    """A connection that breaks when it is written to."""

    broken = False

    def send(self, *arguments: Any) -> int:
        if self.broken:
            raise BrokenPipeError
        return super().send(*arguments)


class Owner:
    def __init__(self) -> None:
        self.losses = 0

    def greeting(self) -> bytes:
        return b""

    def take(self, messages: object) -> None: ...

    def hear_violation(self, reason: str, text: bytes) -> None: ...

    def lost(self) -> None:
        self.losses += 1

    def back(self) -> None: ...


@contextmanager
def lost_links(_port: int, monkeypatch: pytest.MonkeyPatch) -> Generator[Scene]:
    servers: list[socket.socket] = []

    def log_in(*_: object) -> Login:
        near, far = socket.socketpair()
        servers.append(far)
        near.setblocking(False)
        return Login(Breaking(fileno=near.detach()), {}, Parser(), ("127.0.0.1", 4222))

    monkeypatch.setattr(cluster, "log_in", log_in)
    thread, owner = IoThread("link"), Owner()
    link = ServerLink(Nats("nats://127.0.0.1"), thread, threading.RLock(), owner)
    link.begin()
    internals: Any = link
    told: list[bool] = []

    def prepare(_: int) -> None:
        told.clear()
        link.ask(told.append)
        internals._socket.broken = True

    def go_on(_: int) -> None:
        with suppress(ipc.SendFailed):
            link.write(b"PING\r\n")  # which finds out, if nobody did before
        wait_until(lambda: link.up and not internals._socket.broken)
        link.write(b"PING\r\n")
        assert told == [False]

    def use(_: int) -> None:
        with pytest.raises(ipc.SendFailed):
            link.write(b"PING\r\n")

    try:
        yield Scene(use, go_on, prepare)
    finally:
        link.shut()
        thread.call(link.close)
        for far in servers:
            far.close()


@contextmanager
def subscriptions(port: int, _: pytest.MonkeyPatch) -> Generator[Scene]:
    with ipc.open_channel(port) as channel:
        kept: list[Any] = []
        heard: list[bytes] = []

        def use(_: int) -> None:
            kept.append(channel.messages.subscribe(lambda message: heard.append(message.data)))

        def go_on(place: int) -> None:
            assert is_observed(channel.messages) == bool(kept)
            data = b"%d" % place
            run(channel.broadcast(data))
            assert run(channel.wait_for_message()).data == data
            assert heard == [data] * len(kept)
            for subscription in kept:
                subscription.dispose()
            assert not is_observed(channel.messages)
            kept.clear()
            heard.clear()

        yield Scene(use, go_on)


@contextmanager
def disposals(port: int, _: pytest.MonkeyPatch) -> Generator[Scene]:
    with ipc.open_channel(port) as channel:
        heard: list[bytes] = []
        subscribed: list[Any] = []

        def prepare(_: int) -> None:
            subscribed[:] = [channel.messages.subscribe(lambda message: heard.append(message.data))]

        def go_on(place: int) -> None:
            subscribed[0].dispose()
            assert not is_observed(channel.messages)
            run(channel.broadcast(b"%d" % place))
            run(channel.wait_for_message())
            assert heard == []

        yield Scene(lambda _: subscribed[0].dispose(), go_on, prepare)


@contextmanager
def subscriptions_to_topics(port: int, _: pytest.MonkeyPatch) -> Generator[Scene]:
    with ipc.open_channel(port) as channel:
        topic = channel.topic("name", int)
        kept: list[Any] = []
        heard: list[int] = []

        def go_on(place: int) -> None:
            seen = Seen(channel.topic("name", int).stream)
            run(topic.publish(place))
            assert seen.wait_for_count(1) == [place]
            run(channel.wait_for_message())
            assert heard == [place] * len(kept)
            for subscription in (*kept, seen.subscription):
                subscription.dispose()
            assert not is_observed(channel.messages)
            kept.clear()
            heard.clear()

        yield Scene(lambda _: kept.append(topic.stream.subscribe(heard.append)), go_on)


@contextmanager
def latest_values(port: int, _: pytest.MonkeyPatch) -> Generator[Scene]:
    with ipc.open_channel(port) as other:
        opened: list[ipc.Channel] = []

        def prepare(_: int) -> None:
            opened[:] = [ipc.open_channel(port)]

        def go_on(place: int) -> None:
            seen = Seen(opened[0].latest("value", int))
            run(other.latest("value", int).set(place))
            seen.wait_for(lambda seen: place in seen.values)
            opened[0].close()
            assert seen.wait_for_end().completed

        yield Scene(lambda _: opened[0].latest("value", int), go_on, prepare)


class Receivers:
    """The connection of an engine, and those that count what it brings them."""

    payload_limit = 1000

    def __init__(self) -> None:
        self._published: list[Any] = []
        self.missing = 0
        self._numbers = RunningNumbers()

    def publish(self, *arguments: Any) -> None:
        self._published.append(arguments)

    def hear(self) -> list[bytes]:
        """What was published since the last time; it is counted as those do who hear it."""
        heard: list[bytes] = []
        self.missing = 0
        for _, payloads, number, destination, runs in self._published:
            for place, data in enumerate(payloads):
                self._hear(destination is not None, number + place)
                for of in runs:
                    if of.start <= place < of.stop and of.topic is not None:
                        self._hear(data[:4], -(number + place) if of.others is None else number + place - of.others)
                heard.append(data)
        self._published.clear()
        return heard

    def _hear(self, stream: Any, number: int) -> None:
        missing = self._numbers.missing_before(("sender", 1), stream, number)
        assert missing is not None, "it has the number of one before, so nobody takes it"
        self.missing += missing

    def when_writable(self, action: Callable[[], None]) -> None: ...


@contextmanager
def sends_by_an_engine(_port: int, _: pytest.MonkeyPatch) -> Generator[Scene]:
    receivers = Receivers()
    connection: Any = receivers
    end: Any = SimpleNamespace(sender_address=("sender", 1), group=ipc.Group.of())
    own = OwnMessages(("group", 1), 1 << 20)
    own.start()
    sends: NumberedSends[Any] = NumberedSends(end, connection, 1, SentTopics(str), own, lambda _: None, lambda: None)

    def use(place: int) -> None:
        sends.send([b"%d" % place, b"name\0%d" % place, b"name\0again"], None)
        sends.send([b"direct"], ("somebody", 2))

    def go_on(place: int) -> None:
        use(place)
        published = receivers.hear()
        unheard = sends.sent - len(published)  # what a signal kept from being published behind the last look
        own_ones = [message.data for message in own.take()]
        assert own_ones == [data for data in published if data != b"direct"] or unheard
        assert bool(unheard) == bool(receivers.missing)
        sends.sent = 0

    yield Scene(use, go_on)


class Engine:
    """The connection of an engine that keeps what is published to itself."""

    url, session, payload_limit = "nats://nowhere:4222", "0123456789abcdef", 1 << 20

    def attach(self, end: object) -> None: ...

    def detach(self, end: object) -> None: ...

    def publish(self, *_: object) -> None: ...


def own_messages_on_a_loop(make: Callable[[ipc.Group, Any], Any]) -> Callable[..., AbstractContextManager[Scene]]:
    """What an event loop takes, and is interrupted before it has delivered it."""

    @contextmanager
    def scene(port: int, _: pytest.MonkeyPatch) -> Generator[Scene]:
        loop, heard = asyncio.new_event_loop(), list[ipc.Message]()

        async def start() -> Any:
            end = make(ipc.Group.of(port), complete({"read_on": "loop"}))
            end.start(heard.extend, print)
            return end

        def use(_: int) -> None:
            with delivering_here():
                end._thread._run_lazy()

        def go_on(place: int) -> None:
            assert heard or end._thread._lazy.pending
            end.send(b"after")
            use(place)
            assert [message.data for message in heard] == [b"%d" % place, b"after"]
            assert end.statistics.received == 2 * ((place - 1) // STRIDE + 1)

        def prepare(place: int) -> None:
            heard.clear()
            end.send(b"%d" % place)

        end = loop.run_until_complete(start())
        try:
            yield Scene(use, go_on, prepare)
        finally:
            end.close()
            loop.close()

    return scene


@contextmanager
def waits_in_a_stream(_port: int, _: pytest.MonkeyPatch) -> Generator[Scene]:
    source: Subject[ipc.Message] = Subject()
    waiting: list[Seen[ipc.Message]] = []

    def prepare(_: int) -> None:
        waiting[:] = [Seen(source.pipe(ipc.operators.wait_for_message()))]

    def go_on(place: int) -> None:
        (seen,) = waiting
        source.on_next(ipc.Message(b"after"))
        seen.wait_for_end()
        assert not source.observers

    yield Scene(lambda place: source.on_next(ipc.Message(b"%d" % place)), go_on, prepare)


@contextmanager
def waits_for_what_comes(port: int, _: pytest.MonkeyPatch) -> Generator[Scene]:
    """Where an event loop reads, which is what may be interrupted then."""
    with ipc.open_channel(port) as channel:
        backlog: Any = channel
        backlog = backlog._inbox.backlog
        told: list[list[object]] = []
        waits: list[PendingWait] = []

        def prepare(_: int) -> None:
            told[:] = [[]]
            observer = Observer[ipc.Message](told[0].append, told[0].append, lambda: told[0].append("completed"))
            waits[:] = [PendingWait(lambda message: message.data != b"none", observer)]
            waits[0].stand_in(backlog._waits)

        def go_on(_: int) -> None:
            backlog.put([ipc.Message(b"after")])
            assert told[0][-1:] == ["completed"]
            assert not backlog._waits
            backlog._messages.clear()

        yield Scene(lambda place: backlog.put([ipc.Message(b"%d" % place)]), go_on, prepare)


@contextmanager
def sealed_sends(port: int, _: pytest.MonkeyPatch) -> Generator[Scene]:
    key = ipc.Key(bytes(range(32)))
    with ipc.open_channel(port, key=key) as sender, ipc.open_channel(port, key=key) as other:
        heard = Seen(other.messages)

        def go_on(place: int) -> None:
            run(sender.broadcast(b"%d after" % place))
            heard.wait_for(lambda heard: heard.values[-1:] and heard.values[-1].data == b"%d after" % place)

        def use(place: int) -> None:
            sender.broadcast(b"%d" % place).subscribe()
            ipc.run(sender.broadcast_all([b"%d-%d" % (place, number) for number in range(3)]))

        yield Scene(use, go_on)


SCENES: dict[str, Callable[[int, pytest.MonkeyPatch], AbstractContextManager[Scene]]] = {
    "single sends": single_sends,
    "direct sends": direct_sends,
    "lists": lists,
    "full send buffers": full_send_buffers,
    "answers to a batch": answers_to_a_batch,
    "streams": streams(),
    "streams that linger": streams(linger=0.001),
    "bursts that linger": bursts_that_linger,
    "paced streams": streams(rate=1e5),
    "buffered streams": buffered_streams,
    "sends without a channel": sends_without_a_channel,
    "waits for what came": waits_for_what_came,
    "waits for what came to many": waits_for_what_came_to_many,
    "lost links": lost_links,
    "sends by an engine": sends_by_an_engine,
    "subscriptions": subscriptions,
    "disposals": disposals,
    "subscriptions to topics": subscriptions_to_topics,
    "latest values": latest_values,
    "own messages on a loop": own_messages_on_a_loop(UdpTransport),
    "own messages of an engine on a loop": own_messages_on_a_loop(
        lambda group, options: EngineTransport(group, options, Hears.ALL, cast("Any", Engine()))
    ),
    "waits in a stream": waits_in_a_stream,
    "waits for what comes": waits_for_what_comes,
    "sealed sends": sealed_sends,
}


@pytest.mark.filterwarnings("ignore::rx_multicast_ipc.NeverSubscribedWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("scene", SCENES)
def test_what_is_interrupted_anywhere_leaves_nothing_wrong(
    scene: str, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SCENES[scene](port, monkeypatch) as played:
        sweep(played)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_handler_of_map_async_that_is_interrupted_as_it_starts_keeps_no_place() -> None:
    async def main() -> None:
        source: Subject[int] = Subject()
        results: list[int] = []
        waiting = SimpleNamespace(event=asyncio.Event())

        async def double(item: int) -> int:
            return 2 * item

        def on_next(result: int) -> None:
            results.append(result)
            waiting.event.set()

        source.pipe(ipc.operators.map_async(double)).subscribe(on_next)

        async def result_of(item: int) -> None:
            while 2 * item not in results:
                waiting.event.clear()
                await waiting.event.wait()

        for place in count(1, STRIDE):
            reached = interrupted_at(place, lambda place=place: source.on_next(place))
            source.on_next(-place)
            await result_of(-place)
            if not reached:
                break

    asyncio.run(asyncio.wait_for(main(), 60))


def test_what_is_interrupted_on_its_way_to_an_event_loop_keeps_nothing_from_it() -> None:
    async def main() -> None:
        seen: list[int] = []
        came = asyncio.Event()

        def on_next(value: int) -> None:
            seen.append(value)
            came.set()

        observer: LoopObserver[int] = LoopObserver(Observer(on_next), asyncio.get_running_loop())
        for place in count(1):
            reached = interrupted_at(place, lambda place=place: observer.on_next(place))
            observer.on_next(-place)
            while -place not in seen:
                came.clear()
                await came.wait()
            if not reached:
                break

    asyncio.run(asyncio.wait_for(main(), 60))


QUEUE_USES: dict[str, Callable[[BoundedQueue[Any], list[Any]], object]] = {
    "put": lambda queue, _: queue.put(ipc.Message(b"more")),
    "put what is too much": lambda queue, _: [queue.put(ipc.Message(b"more")) for _ in range(10)],
    "put many": lambda queue, _: queue.put_all([ipc.Message(b"more")] * 5),
    "extend": lambda queue, _: queue.extend([ipc.Message(b"more")] * 5),
    "take": lambda queue, taken: taken.append(queue.take()),
    "take some": lambda queue, taken: queue.move_some(3, taken),
    "take all": lambda queue, taken: queue.move_some(100, taken),
}


@pytest.mark.parametrize("use", QUEUE_USES)
def test_a_queue_that_is_interrupted_anywhere_loses_nothing_by_it(use: str) -> None:
    for place in count(1):
        queue: BoundedQueue[ipc.Message] = BoundedQueue(12)
        for number in range(3):
            queue.put(ipc.Message(b"%d" % number))
        queue.put_all([ipc.Message(b"%d" % number) for number in range(3, 6)])
        taken: list[ipc.Message] = []
        reached = interrupted_at(place, lambda queue=queue, taken=taken: QUEUE_USES[use](queue, taken))
        while queue:
            taken.append(queue.take())
        numbers = [message.data for message in taken if message.data != b"more"]
        assert numbers == [b"%d" % number for number in range(6)][-len(numbers) :]
        assert len(numbers) == 6 or use == "put what is too much"
        assert not queue.put_all([ipc.Message(b"after")] * 12), f"interrupted at place {place}"
        assert len(queue.put(ipc.Message(b"one more"))) == 1
        if not reached:
            break
