"""Reliable and sealed ends on a network in memory, whose time and I/O go on only when the test says so.

The ends take them for live ones. Their code and the schedulers' is the library's; the network is the test's.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from typing import Any

import pytest

from rx_multicast_ipc import ChannelClosed, ChannelOptions, Gap, Group, Key, Message, Reliable, Statistics
from rx_multicast_ipc.channel_options import complete
from rx_multicast_ipc.channel_scheduler import TimerScheduler
from rx_multicast_ipc.message import Address
from rx_multicast_ipc.subscribing.subscriber_errors import HERE, delivering_here
from rx_multicast_ipc.transport import Hears, WouldBlock
from rx_multicast_ipc.transport.framed import enveloped_transport, send_calls
from rx_multicast_ipc.transport.framed.open_framed import OpenFramed
from rx_multicast_ipc.transport.framed.packet_transport import PacketTransport
from rx_multicast_ipc.transport.sealed import packet_sealing

GROUP = Group.of(61000)
LATENCY = 0.0002
Act = Callable[[], None]


class HeldNetwork:
    """A clock, and what is on its way.

    Attributes:
        now: seconds.
        lose: says of each datagram whether it gets lost.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        self.lose: Callable[[bytes], bool] = lambda _: False
        self.links: list[Link] = []
        self._arrivals: list[tuple[float, int, Link, Message]] = []
        self._numbers = count()
        for module in (enveloped_transport, send_calls):
            patch.setattr(module, "time", self)
        patch.setattr("rx_multicast_ipc.channel_scheduler.time", self)

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now

    def run(self, seconds: float) -> None:
        """Let time pass, and everybody read, run what was called for, and run timers."""
        end = self.now + seconds
        with delivering_here():
            while self._step(end):
                pass
        self.now = max(self.now, end)

    def _step(self, end: float) -> bool:
        for link in self.links:
            if link.posted:
                link.posted.popleft()()
                return True
            if link.writable and link.space:
                link.writable.popleft()()
                return True
        dues = [due for link in self.links if (due := link.scheduler.next_due()) is not None]
        arrival = self._arrivals[0][0] if self._arrivals else end + 1
        due = min([arrival, *dues])
        if due > end:
            return False
        self.now = max(self.now, due)
        if arrival <= due:
            _, _, link, message = heapq.heappop(self._arrivals)
            if not link.closed:
                link.deliver([message])
        else:
            for link in self.links:
                link.scheduler.run_due(self.now)
        return True

    def carry(self, source: Link, payload: bytes, destination: Address | None) -> None:
        address, port = source.sender_address
        for link in self.links:
            if link is source or destination not in (None, link.sender_address) or self.lose(payload):
                continue
            at = self.now + LATENCY
            message = Message(payload, address, port, "IPv4", at, destination is not None)
            heapq.heappush(self._arrivals, (at, next(self._numbers), link, message))


class Link:
    """A transport of datagrams.

    Attributes:
        space: whether the send buffer has any.
        random: what the end around it draws from.
    """

    payload_limit = 65_507

    def __init__(self, network: HeldNetwork) -> None:
        self.network = network
        self.group = GROUP
        self.sender_address: Address = f"127.0.0.{len(network.links) + 1}", 5000
        self.own_addresses = frozenset((self.sender_address,))
        self.scheduler = TimerScheduler(lambda: None)
        self.statistics = Statistics(receive_buffer=1 << 20)
        self.random = Random(len(network.links))
        self.closed = self.ended = False
        self.space = True
        self.posted: deque[Act] = deque()
        self.writable: deque[Act] = deque()
        self.deliver: Callable[[list[Message]], None] = lambda _: None
        self._on_ended: Callable[[Exception | None], None] = lambda _: None
        network.links.append(self)

    def __call__(self, group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> Any:
        return self

    def start(self, deliver: Any, ended: Any, changed: Any = None) -> None:
        self.deliver, self._on_ended = deliver, ended

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        if self.closed:
            raise ChannelClosed
        if not self.space:
            raise WouldBlock("the send buffer is full")
        self.network.carry(self, payload, destination)

    def send_many(self, payloads: Sequence[bytes]) -> None:
        for payload in payloads:
            self.send(payload)

    def when_writable(self, action: Act) -> None:
        self.writable.append(action)

    def call(self, action: Act) -> None:
        if HERE.delivering:
            action()
        else:
            self.posted.append(action)

    def close(self, *, wait: bool = True) -> None:
        if not self.closed:
            self.closed = True
            try:
                self._on_ended(None)
            finally:
                self.ended = True


class HeldEnd:
    """One end, and what it told.

    Attributes:
        heard: payloads.
        events: all other.
        ends: how often it was told to have ended.
        takes: what it was started with.
    """

    def __init__(
        self, network: HeldNetwork, reliable: Reliable | None = None, keys: tuple[Key, ...] = (), *, echo: bool = True
    ) -> None:
        self.link = Link(network)
        envelope = (lambda: packet_sealing.PacketSealing(keys)) if keys else None
        opening = OpenFramed(self.link, reliable, envelope)
        self.transport: PacketTransport = opening(GROUP, complete({"echo": echo}))
        self.heard: list[bytes] = []
        self.events: list[Any] = []
        self.ends = 0
        self.takes = self._hear, self._end, self.events.append
        self.transport.start(*self.takes)

    @property
    def gaps(self) -> list[Gap]:
        return [event for event in self.events if isinstance(event, Gap)]

    def _hear(self, batch: list[Message]) -> None:
        assert batch
        self.heard += [message.data for message in batch]

    def _end(self, _: Exception | None) -> None:
        self.ends += 1
