"""Channels do what a plain model of them does, whatever is asked of them in whatever order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from typing import Any, NamedTuple, TypeVar

import pytest
import reactivex as rx
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing import VirtualClock, VirtualNetwork
from rx_multicast_ipc.testing.conformance.transport_rig import free_port

from . import model
from .helpers import THOROUGH, wait_until
from .model import Heard

TICK = 0.05
"""Seconds. Everything is done, and arrives, at even ticks; what waited too long fails at odd ones."""

LATENCY = 2
"""Ticks from one host to another."""

HOSTS = ("10.0.0.1", "10.0.0.2", "10.0.0.3")


class Large(bytes):
    """Many zeros, that a failing example does not print."""

    def __repr__(self) -> str:
        return f"bytes({len(self)})"


@dataclass(frozen=True)
class Choice:
    """A predicate of messages, and the same one of the model."""

    name: str
    of_message: Callable[[ipc.Message], object]
    of_model: Callable[[Heard], bool]

    def __repr__(self) -> str:
        return self.name


def refuse(_: object) -> bool:
    raise ValueError("a predicate that raises, on purpose")


CHOICES = (
    Choice("any", lambda message: message.data or True, lambda heard: True),
    Choice("a", lambda message: message.text.startswith("a"), lambda heard: heard.data.startswith(b"a")),
    Choice("direct", lambda message: message.direct, lambda heard: heard.direct),
    Choice("none", lambda message: None, lambda heard: False),
    Choice("raises", refuse, refuse),
)

small_payloads = st.sampled_from([b"", b"a", b"aa", b"b", "ä".encode()])
payloads = small_payloads | st.sampled_from([2000, 65_507]).map(Large)
choices = st.sampled_from(CHOICES)
few = st.integers(1, 3)


class Record:
    """What one subscription did see. Messages are kept as they are, and shown as the model has them.

    Args:
        source: subscribed to at once; a list counts as what is in it.
        at: how many values there are when it calls ``react``.
        react: called once, while one is delivered.
    """

    def __init__(self, source: rx.Observable[Any], at: int = 0, react: Callable[[], object] = bool) -> None:
        self.raw: list[object] = []
        self.end: str | None = None
        self._at = at
        self._react = react
        self._subscription = source.subscribe(self._next, self._error, self._completed)

    @property
    def values(self) -> list[object]:
        return [
            Heard(value.data, value.sender, value.direct) if isinstance(value, ipc.Message) else value
            for value in self.raw
        ]

    def dispose(self) -> None:
        self._subscription.dispose()

    def _next(self, value: Any) -> None:
        before = len(self.raw)
        self.raw += value if isinstance(value, list) else [value]
        if before < self._at <= len(self.raw):
            self._react()

    def _error(self, error: Exception) -> None:
        if not isinstance(error, ZeroDivisionError):
            self.end = type(error).__name__

    def _completed(self) -> None:
        self.end = "completed"


class Pair(NamedTuple):
    """What happened, and what should have."""

    actual: Record
    expected: model.Stream


class Opened(NamedTuple):
    """A channel, and the model's one."""

    actual: ipc.Channel
    expected: model.Channel
    subscribers: list[Record]
    spawned: list[Record]


class Unsent(NamedTuple):
    """A send that is yet to be subscribed."""

    channel: Opened
    sink: rx.Observable[None]
    data: bytes


def in_seconds(ticks: int | None) -> float | None:
    return None if ticks is None else ticks * TICK


_Step = TypeVar("_Step", bound=Callable[..., Any])


def unless_closed(step: _Step) -> _Step:
    """A step with an open channel; with one that a subscriber closed, the step that shows how it refuses."""

    @wraps(step)
    def run(machine: ChannelsAsTheModel, channel: Opened, **drawn: Any) -> Any:
        if not channel.expected.closed:
            return step(machine, channel=channel, **drawn)
        machine.use_a_closed_channel(channel, b"late")
        return None if step.__annotations__["return"] == "None" else multiple()  # pyright: ignore[reportUnknownVariableType]

    guarded: Any = run
    return guarded


class ChannelsAsTheModel(RuleBasedStateMachine):
    """What can be asked of channels on every network."""

    channels: Bundle[Opened] = Bundle("channels")
    closed: Bundle[Opened] = Bundle("closed")
    pairs: Bundle[Pair] = Bundle("pairs")
    unsent: Bundle[Unsent] = Bundle("unsent")

    timeouts = (1, 3, 7)
    """Ticks: odd, so that nothing arrives at the moment when a wait fails."""

    reactions = ("", "take", "raise", "close", "dispose", "subscribe")
    batch_reactions = ("", "raise", "close", "dispose", "subscribe")
    """What a subscriber may do during a delivery."""

    def __init__(self) -> None:
        super().__init__()
        self.network = model.Network(LATENCY)
        self.opened: list[Opened] = []
        self.seen: list[Pair] = []
        self.kept: list[Unsent] = []
        self.unhandled: list[BaseException] = []
        self.previous_hook = ipc.set_unhandled_error_hook(self.unhandled.append)

    def open_channel(self, host: str, *, echo: bool, backlog: int) -> ipc.Channel:
        raise NotImplementedError

    def let_it_arrive(self) -> None:
        """Let what is on its way arrive."""

    def watch(self, actual: Record, expected: model.Stream) -> Pair:
        pair = Pair(actual, expected)
        self.seen.append(pair)
        return pair

    def sent(self, sink: rx.Observable[Any], expected: Iterable[object], error: str | None) -> None:
        """Subscribe to a send, which must end at once."""
        stream = model.Stream()
        if error is None:
            stream.values += expected
        stream.finish(error or "completed")
        self.watch(Record(sink), stream)

    @initialize(target=channels)
    def begin_with_two(self) -> Any:
        return multiple(*(self.open(host, echo=True, backlog=1000) for host in HOSTS[:2]))

    @precondition(lambda self: self.open_channels < 5)
    @rule(target=channels, host=st.sampled_from(HOSTS), echo=st.booleans(), backlog=st.sampled_from([1, 2, 1000]))
    def open(self, host: str, echo: bool, backlog: int) -> Opened:
        channel = self.open_channel(host, echo=echo, backlog=backlog)
        opened = Opened(channel, model.Channel(host, channel.sender_address, echo, backlog), [], [])
        self.network.channels.append(opened.expected)
        self.opened.append(opened)
        return opened

    @rule(target=pairs, channel=channels, in_batches=st.booleans(), at=few, data=st.data())
    @unless_closed
    def subscribe(self, channel: Opened, in_batches: bool, at: int, data: st.DataObject) -> Pair:
        reaction = data.draw(
            st.sampled_from(self.reactions if not in_batches else self.batch_reactions), label="reaction"
        )
        source: rx.Observable[Any] = channel.actual.batches if in_batches else channel.actual.messages
        if reaction == "take":
            source = source.pipe(ops.take(at))
        record = Record(source, at, lambda: self.react(reaction, record, channel))
        channel.subscribers.append(record)
        expected = model.Subscriber(in_batches, reaction, at)
        channel.expected.subscribers.append(expected)
        return self.watch(record, expected)

    def react(self, reaction: str, record: Record, channel: Opened) -> None:
        """What the model's subscriber does too."""
        if reaction == "raise":
            raise ZeroDivisionError
        if reaction == "close":
            channel.actual.close()
        elif reaction == "dispose":
            for other in reversed(channel.subscribers):
                if other is not record:
                    other.dispose()
                    break
        elif reaction == "subscribe":
            another = Record(channel.actual.messages)
            channel.subscribers.append(another)
            channel.spawned.append(another)

    @rule(target=pairs, channel=channels)
    @unless_closed
    def watch_the_network(self, channel: Opened) -> Pair:
        expected = model.Stream()
        channel.expected.watchers.append(expected)
        return self.watch(
            Record(channel.actual.events.pipe(ops.map(lambda event: str(getattr(event, "change", event))))), expected
        )

    @rule(pair=consumes(pairs))
    def dispose(self, pair: Pair) -> None:
        pair.actual.dispose()
        pair.expected.disposed = True

    @rule(channel=channels, data=payloads, times=few, arrives=st.booleans())
    @unless_closed
    def broadcast(self, channel: Opened, data: bytes, times: int, arrives: bool) -> None:
        sink = channel.actual.broadcast(data)
        for _ in range(times):
            self.sent(sink, [None], self.network.send(channel.expected, data))
        if arrives:
            self.let_it_arrive()

    @rule(target=unsent, channel=channels, data=payloads)
    @unless_closed
    def prepare(self, channel: Opened, data: bytes) -> Unsent:
        prepared = Unsent(channel, channel.actual.broadcast(data), data)
        self.kept.append(prepared)
        return prepared

    @rule(prepared=unsent)
    def send_what_was_prepared(self, prepared: Unsent) -> None:
        self.sent(prepared.sink, [None], self.network.send(prepared.channel.expected, prepared.data))

    @rule(channel=channels, many=st.lists(small_payloads, max_size=5), arrives=st.booleans())
    @unless_closed
    def broadcast_all(self, channel: Opened, many: list[bytes], arrives: bool) -> None:
        error = None
        for data in many:
            error = error or self.network.send(channel.expected, data)
        self.sent(channel.actual.broadcast_all(many), [len(many)], error)
        if arrives:
            self.let_it_arrive()

    @rule(channel=channels, to=channels | closed, data=payloads)
    @unless_closed
    def send(self, channel: Opened, to: Opened, data: bytes) -> None:
        address, port = to.expected.address
        error = self.network.send(channel.expected, data, (address, port))
        self.sent(channel.actual.send(data, port, address), [None], error)

    @rule(channel=channels, pair=pairs, data=payloads)
    @unless_closed
    def reply(self, channel: Opened, pair: Pair, data: bytes) -> None:
        messages = [value for value in pair.actual.raw if isinstance(value, ipc.Message)]
        if messages:
            error = self.network.send(channel.expected, data, messages[-1].sender)
            self.sent(channel.actual.reply(messages[-1], data), [None], error)

    @rule(channel=channels)
    @unless_closed
    def send_too_much(self, channel: Opened) -> None:
        with pytest.raises(ipc.PayloadTooLarge):
            channel.actual.broadcast(bytes(65_508))

    @rule(target=pairs, channel=channels, choice=choices, times=few, data=st.data())
    @unless_closed
    def wait(self, channel: Opened, choice: Choice, times: int, data: st.DataObject) -> Pair:
        timeout = self.draw_timeout(data)
        source = channel.actual.wait_for_message(choice.of_message, timeout=in_seconds(timeout))
        expected = model.Wait(choice.of_model, timeout, times)
        pair = self.watch(Record(source.pipe(ops.repeat(times))), expected)
        channel.expected.begin(expected, self.network.now)
        return pair

    @rule(target=pairs, channel=channels, payload=payloads, choice=choices, data=st.data())
    @unless_closed
    def request(self, channel: Opened, payload: bytes, choice: Choice, data: st.DataObject) -> Pair:
        timeout = self.draw_timeout(data)
        own = channel.expected.address
        source = channel.actual.request(payload, choice.of_message, timeout=in_seconds(timeout))
        expected = model.Wait(lambda heard: heard.sender != own and choice.of_model(heard), timeout)
        pair = self.watch(Record(source), expected)
        self.network.request(channel.expected, payload, expected)
        return pair

    @precondition(lambda self: self.open_channels > 1)
    @rule(
        target=closed,
        channel=consumes(channels),
        how=st.sampled_from(["close", "close without waiting", "unbind", "leave with"]),
    )
    def close(self, channel: Opened, how: str) -> Opened:
        if how == "unbind":
            self.sent(channel.actual.unbind(), [None], None)
        elif how == "leave with":
            with channel.actual:
                pass
        else:
            channel.actual.close(wait=how == "close")
        channel.expected.close()
        return channel

    @rule(channel=closed, data=payloads)
    def use_a_closed_channel(self, channel: Opened, data: bytes) -> None:
        used = channel.actual
        address, port = used.sender_address
        for use in (
            lambda: used.broadcast(data),
            lambda: used.broadcast_all([data]),
            lambda: used.send(data, port, address),
            lambda: used.reply(ipc.Message(data, port=1), data),
            lambda: used.wait_for_message(timeout=1.0),
            lambda: used.request(data, bool),
        ):
            with pytest.raises(ipc.ChannelClosed):
                use()
        for source in (used.messages, used.batches, used.events):
            self.sent(source, [], "ChannelClosed")
        self.sent(used.unbind(), [None], None)
        used.close()

    @property
    def open_channels(self) -> int:
        return sum(not one.expected.closed for one in self.opened)

    def draw_timeout(self, data: st.DataObject) -> int | None:
        return data.draw(st.none() | st.sampled_from(self.timeouts), label="timeout in ticks")

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        for actual, expected in self.seen:
            assert (actual.values, actual.end) == (expected.values, expected.end)
        for opened in self.opened:
            actual, expected = opened.actual, opened.expected
            counted = actual.statistics
            counts = counted.sent, counted.sent_bytes, counted.received, counted.received_bytes, counted.refused
            assert (counts, actual.closed) == (expected.counts, expected.closed)
            assert [(one.values, one.end) for one in opened.spawned] == [
                (one.values, one.end) for one in expected.spawned
            ]
        assert {type(error) for error in self.unhandled} <= {ZeroDivisionError}

    def teardown(self) -> None:
        for opened in self.opened:
            opened.actual.close()
        for prepared in self.kept:
            prepared.sink.subscribe(on_error=lambda error: None)
        ipc.set_unhandled_error_hook(self.previous_hook)


class VirtualChannels(ChannelsAsTheModel):
    """Channels on a virtual network, where time passes by the tick, hosts part and meet again."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = VirtualClock()
        self.virtual = VirtualNetwork(self.clock, latency=LATENCY * TICK)
        for host in HOSTS:
            self.virtual.add_host(host)

    def open_channel(self, host: str, *, echo: bool, backlog: int) -> ipc.Channel:
        return self.virtual.open_channel(host=host, echo=echo, backlog=backlog)

    @rule(steps=st.integers(1, 5))
    def let_time_pass(self, steps: int) -> None:
        self.clock.advance_by(2 * steps * TICK)
        self.network.advance(2 * steps)

    @rule()
    def let_it_arrive(self) -> None:
        self.let_time_pass(1)

    @rule(sides=st.lists(st.sampled_from(HOSTS), max_size=3, unique=True).map(lambda hosts: [hosts[:1], hosts[1:]]))
    def partition(self, sides: list[list[str]]) -> None:
        self.virtual.partition(*sides)
        self.network.partition(sides)

    @rule()
    def mend_everything(self) -> None:
        self.virtual.heal()
        self.network.partition([])
        for host in HOSTS:
            self.take_down_or_bring_up(host, False)
            self.resume(host)

    @rule(host=st.sampled_from(HOSTS), down=st.booleans())
    def take_down_or_bring_up(self, host: str, down: bool) -> None:
        (self.virtual.take_down if down else self.virtual.bring_up)(host)
        self.network.set_down(host, down)

    @rule(host=st.sampled_from(HOSTS))
    def pause(self, host: str) -> None:
        self.virtual.pause(host)
        self.network.pause(host)

    @rule(host=st.sampled_from(HOSTS))
    def resume(self, host: str) -> None:
        self.virtual.resume(host)
        self.network.resume(host)


class LiveChannels(ChannelsAsTheModel):
    """Channels on loopback, each step of which is over before the next."""

    timeouts = (1,)
    reactions = ("", "", "take", "raise")
    batch_reactions = ("",)
    """Not what depends on how many messages come in one batch."""

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()

    def open_channel(self, host: str, *, echo: bool, backlog: int) -> ipc.Channel:
        return ipc.open_channel(self.port, echo=echo, backlog=backlog)

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        self.network.advance(LATENCY + max(self.timeouts))
        for actual, expected, _, _ in self.opened:
            wait_until(lambda actual=actual, expected=expected: actual.statistics.received >= expected.received)
            wait_for_the_io_thread(actual)
        for actual, expected in self.seen:
            wait_until(lambda actual=actual, expected=expected: actual.end == expected.end)
        super().all_is_as_the_model_says()


def wait_for_the_io_thread(channel: ipc.Channel) -> None:
    """Until the channel's own thread did what it was asked for."""
    done = threading.Event()
    channel.transport.call(done.set)
    assert done.wait(60)


TestVirtualChannels = VirtualChannels.TestCase
TestVirtualChannels.settings = settings(max_examples=250 if THOROUGH else 50, stateful_step_count=50)

TestLiveChannels = LiveChannels.TestCase
TestLiveChannels.settings = settings(max_examples=20 if THOROUGH else 8, stateful_step_count=25)
