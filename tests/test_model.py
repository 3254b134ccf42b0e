"""Channels do what a plain model of them does, whatever is asked of them in whatever order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import reactivex as rx
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, precondition, rule
from reactivex import operators as ops
from reactivex.testing import TestScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing import VirtualNetwork
from rx_multicast_ipc.testing.conformance.rig import free_port

from . import model
from .helpers import wait_until
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

    of_message: Callable[[ipc.Message], object] | None
    of_model: Callable[[Heard], bool]


def refuse(_: object) -> bool:
    raise ValueError("a predicate that raises, on purpose")


CHOICES: dict[str, Choice] = {
    "any": Choice(None, lambda heard: True),
    "a": Choice(lambda message: message.text.startswith("a"), lambda heard: heard.data.startswith(b"a")),
    "direct": Choice(lambda message: message.direct, lambda heard: heard.direct),
    "none": Choice(lambda message: False, lambda heard: False),
    "raises": Choice(refuse, refuse),
}

small_payloads = st.sampled_from([b"", b"a", b"aa", b"b", "ä".encode()])
payloads = small_payloads | st.sampled_from([2000, 65_507]).map(Large)
choices = st.sampled_from(sorted(CHOICES))
few = st.integers(1, 3)


class Record:
    """What one subscription did see. Messages are kept as they are, and shown as the model has them.

    Args:
        source: subscribed to at once.
        raise_at: the number of the value at which it raises.
    """

    def __init__(self, source: rx.Observable[Any], raise_at: int | None = None) -> None:
        self.raw: list[object] = []
        self.end: str | None = None
        self._raise_at = raise_at
        self._subscription = source.subscribe(self._next, self._error, self._completed)

    @property
    def values(self) -> list[object]:
        return [
            Heard(value.data, value.sender, value.direct) if isinstance(value, ipc.Message) else value
            for value in self.raw
        ]

    def dispose(self) -> None:
        self._subscription.dispose()

    def _next(self, value: object) -> None:
        self.raw.append(value)
        if len(self.raw) == self._raise_at:
            raise ZeroDivisionError

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


class Unsent(NamedTuple):
    """A send that is yet to be subscribed."""

    channel: Opened
    sink: rx.Observable[None]
    data: bytes


def nothing() -> Any:
    """What a step returns that adds to no bundle."""
    return multiple()  # pyright: ignore[reportUnknownVariableType]


class ChannelsAsTheModel(RuleBasedStateMachine):
    """What can be asked of channels on every network."""

    channels: Bundle[Opened] = Bundle("channels")
    pairs: Bundle[Pair] = Bundle("pairs")
    unsent: Bundle[Unsent] = Bundle("unsent")

    timeouts = (1, 3, 7)
    """Ticks: odd, so that nothing arrives at the moment when a wait fails."""

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

    @precondition(lambda self: sum(not one.expected.closed for one in self.opened) < 5)
    @rule(target=channels, host=st.sampled_from(HOSTS), echo=st.booleans(), backlog=st.sampled_from([1, 2, 1000]))
    def open(self, host: str, echo: bool, backlog: int) -> Opened:
        channel = self.open_channel(host, echo=echo, backlog=backlog)
        opened = Opened(channel, model.Channel(host, channel.sender_address, echo, backlog))
        self.network.channels.append(opened.expected)
        self.opened.append(opened)
        return opened

    @rule(
        target=pairs,
        channel=channels,
        in_batches=st.booleans(),
        take=st.none() | few,
        raise_at=st.none() | few,
    )
    def subscribe(self, channel: Opened, in_batches: bool, take: int | None, raise_at: int | None) -> Pair:
        source = channel.actual.messages
        if in_batches:
            source = channel.actual.batches.pipe(ops.concat_map(rx.from_iterable))
        if take is not None:
            source, raise_at = source.pipe(ops.take(take)), None
        expected = model.Subscriber(take, raise_at)
        if channel.expected.closed:
            expected.finish("ChannelClosed")
        channel.expected.subscribers.append(expected)
        return self.watch(Record(source, raise_at), expected)

    @rule(pair=pairs)
    def dispose(self, pair: Pair) -> None:
        pair.actual.dispose()
        pair.expected.disposed = True

    @rule(channel=channels, data=payloads, times=few)
    def broadcast(self, channel: Opened, data: bytes, times: int) -> None:
        if channel.expected.closed:
            with pytest.raises(ipc.ChannelClosed):
                channel.actual.broadcast(data)
            return
        sink = channel.actual.broadcast(data)
        for _ in range(times):
            self.sent(sink, [None], self.network.send(channel.expected, data))

    @rule(target=unsent, channel=channels, data=payloads)
    def prepare(self, channel: Opened, data: bytes) -> Any:
        if channel.expected.closed:
            return nothing()
        prepared = Unsent(channel, channel.actual.broadcast(data), data)
        self.kept.append(prepared)
        return prepared

    @rule(prepared=unsent)
    def send_what_was_prepared(self, prepared: Unsent) -> None:
        self.sent(prepared.sink, [None], self.network.send(prepared.channel.expected, prepared.data))

    @rule(channel=channels, many=st.lists(small_payloads, max_size=5))
    def broadcast_all(self, channel: Opened, many: list[bytes]) -> None:
        if channel.expected.closed:
            with pytest.raises(ipc.ChannelClosed):
                channel.actual.broadcast_all(many)
            return
        error = None
        for data in many:
            error = error or self.network.send(channel.expected, data)
        self.sent(channel.actual.broadcast_all(many), [len(many)], error)

    @rule(channel=channels, to=channels, data=payloads)
    def send(self, channel: Opened, to: Opened, data: bytes) -> None:
        address, port = to.expected.address
        if channel.expected.closed:
            with pytest.raises(ipc.ChannelClosed):
                channel.actual.send(data, port, address)
            return
        self.sent(
            channel.actual.send(data, port, address),
            [None],
            self.network.send(channel.expected, data, to.expected.address),
        )

    @rule(channel=channels, pair=pairs, data=payloads)
    def reply(self, channel: Opened, pair: Pair, data: bytes) -> None:
        messages = [value for value in pair.actual.raw if isinstance(value, ipc.Message)]
        if messages and not channel.expected.closed:
            self.sent(
                channel.actual.reply(messages[-1], data),
                [None],
                self.network.send(channel.expected, data, messages[-1].sender),
            )

    @rule(channel=channels)
    def send_too_much(self, channel: Opened) -> None:
        error = ipc.ChannelClosed if channel.expected.closed else ipc.PayloadTooLarge
        with pytest.raises(error):
            channel.actual.broadcast(bytes(65_508))

    @rule(target=pairs, channel=channels, choice=choices, times=few, data=st.data())
    def wait(self, channel: Opened, choice: str, times: int, data: st.DataObject) -> Any:
        timeout = data.draw(st.none() | st.sampled_from(self.timeouts), label="timeout in ticks")
        predicate, chooses = CHOICES[choice].of_message, CHOICES[choice].of_model
        seconds = None if timeout is None else timeout * TICK
        if channel.expected.closed:
            with pytest.raises(ipc.ChannelClosed):
                channel.actual.wait_for_message(predicate, timeout=seconds)
            return nothing()
        source = channel.actual.wait_for_message(predicate, timeout=seconds)
        expected = model.Wait(chooses, timeout, times)
        pair = self.watch(Record(source.pipe(ops.repeat(times))), expected)
        channel.expected.begin(expected, self.network.now)
        return pair

    @rule(target=pairs, channel=channels, payload=payloads, choice=choices, data=st.data())
    def request(self, channel: Opened, payload: bytes, choice: str, data: st.DataObject) -> Any:
        timeout = data.draw(st.none() | st.sampled_from(self.timeouts), label="timeout in ticks")
        predicate, chooses = CHOICES[choice].of_message, CHOICES[choice].of_model
        own = channel.expected.address
        if channel.expected.closed:
            with pytest.raises(ipc.ChannelClosed):
                channel.actual.request(payload, predicate or bool)
            return nothing()
        source = channel.actual.request(
            payload, predicate or (lambda message: True), timeout=None if timeout is None else timeout * TICK
        )
        expected = model.Wait(lambda heard: heard.sender != own and chooses(heard), timeout)
        pair = self.watch(Record(source), expected)
        self.network.request(channel.expected, payload, expected)
        return pair

    @rule(channel=channels, how=st.sampled_from(["close", "close without waiting", "unbind", "with"]))
    def close(self, channel: Opened, how: str) -> None:
        if how == "unbind":
            self.sent(channel.actual.unbind(), [None], None)
        elif how == "with":
            with channel.actual:
                pass
        else:
            channel.actual.close(wait=how == "close")
        channel.expected.close()

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        for actual, expected in self.seen:
            assert (actual.values, actual.end) == (expected.values, expected.end)
        for actual, expected in self.opened:
            counted = actual.statistics
            counts = counted.sent, counted.sent_bytes, counted.received, counted.received_bytes, counted.refused
            assert (counts, actual.closed) == (expected.counts, expected.closed)
        assert {type(error) for error in self.unhandled} <= {ZeroDivisionError}

    def teardown(self) -> None:
        for actual, _ in self.opened:
            actual.close()
        for prepared in self.kept:
            prepared.sink.subscribe(on_error=lambda error: None)
        ipc.set_unhandled_error_hook(self.previous_hook)


class VirtualChannels(ChannelsAsTheModel):
    """Channels on a virtual network, where time passes by the tick, hosts part and meet again."""

    def __init__(self) -> None:
        super().__init__()
        self.scheduler = TestScheduler()
        self.virtual = VirtualNetwork(self.scheduler, latency=LATENCY * TICK)
        for host in HOSTS:
            self.virtual.add_host(host)

    def open_channel(self, host: str, *, echo: bool, backlog: int) -> ipc.Channel:
        return self.virtual.open_channel(host=host, echo=echo, backlog=backlog)

    @rule(steps=st.integers(1, 5))
    def let_time_pass(self, steps: int) -> None:
        self.scheduler.advance_by(2 * steps * TICK)
        self.network.advance(2 * steps)

    @rule(sides=st.lists(st.sampled_from(HOSTS), max_size=3, unique=True).map(lambda hosts: [hosts[:1], hosts[1:]]))
    def partition(self, sides: list[list[str]]) -> None:
        self.virtual.partition(*sides)
        self.network.partition(sides)

    @rule()
    def heal(self) -> None:
        self.virtual.heal()
        self.network.partition([])

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

    def __init__(self) -> None:
        super().__init__()
        self.port = free_port()

    def open_channel(self, host: str, *, echo: bool, backlog: int) -> ipc.Channel:
        return ipc.open_channel(self.port, echo=echo, backlog=backlog)

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        self.network.advance(LATENCY + max(self.timeouts))
        for actual, expected in self.opened:
            wait_until(lambda actual=actual, expected=expected: actual.statistics.received >= expected.received)
            wait_for_home(actual)
        for actual, expected in self.seen:
            wait_until(lambda actual=actual, expected=expected: actual.end == expected.end)
        super().all_is_as_the_model_says()


def wait_for_home(channel: ipc.Channel) -> None:
    """Until the channel's own thread did what it was asked for."""
    done = threading.Event()
    channel.transport.call(done.set)
    assert done.wait(20)


TestVirtualChannels = VirtualChannels.TestCase
TestVirtualChannels.settings = settings(max_examples=150, stateful_step_count=50, deadline=None)

TestLiveChannels = LiveChannels.TestCase
TestLiveChannels.settings = settings(
    max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
