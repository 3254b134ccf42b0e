"""What channels promise, as a plain model: lists and loops, in whole ticks of time, without sockets and Observables."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from rx_multicast_ipc.message import Address


class Heard(NamedTuple):
    """What a subscriber may see of one datagram."""

    data: bytes
    sender: Address
    direct: bool


Chooses = Callable[[Heard], bool]
"""A predicate; it may raise ``ValueError``."""


class Stream:
    """What one subscription must have seen.

    Attributes:
        values: so far.
        end: ``"completed"``, the name of an error's type, or None while it goes on.
        disposed: whether it was disposed of: it sees nothing any more.
    """

    def __init__(self) -> None:
        self.values: list[object] = []
        self.end: str | None = None
        self.disposed = False

    @property
    def active(self) -> bool:
        return self.end is None and not self.disposed

    def next(self, value: object) -> None:
        if self.active:
            self.values.append(value)

    def finish(self, end: str) -> None:
        if self.active:
            self.end = end


class Subscriber(Stream):
    """A subscriber of messages or of batches, which may do something when it has seen so many messages.

    Args:
        in_batches: whether it sees one batch after the other, and reacts after a whole one.
        reaction: what it does then: ``""``, ``"take"`` (it has enough), ``"raise"``, ``"close"`` (the channel),
            ``"dispose"`` (the newest other subscriber) or ``"subscribe"`` (one more subscriber).
        at: how many messages.
    """

    def __init__(self, in_batches: bool = False, reaction: str = "", at: int = 0) -> None:
        super().__init__()
        self.in_batches = in_batches
        self._reaction = reaction
        self._at = at

    def see(self, some: Sequence[Heard], channel: Channel) -> None:
        before = len(self.values)
        self.values += some
        if before < self._at <= len(self.values):
            self._react(channel)

    def _react(self, channel: Channel) -> None:
        if self._reaction == "take":
            self.finish("completed")
        elif self._reaction == "raise":
            self.disposed = True
        elif self._reaction == "close":
            channel.close()
        elif self._reaction == "dispose":
            for other in reversed(channel.subscribers):
                if other is not self:
                    other.disposed = True
                    break
        elif self._reaction == "subscribe":
            another = Subscriber()
            channel.subscribers.append(another)
            channel.spawned.append(another)


class Wait(Stream):
    """A wait, repeated ``times`` times, each with its own timeout in ticks; or a request."""

    def __init__(self, chooses: Chooses, timeout: int | None, times: int = 1) -> None:
        super().__init__()
        self.timeout = timeout
        self.deadline: int | None = None
        self._chooses = chooses
        self._times = times

    def offer(self, heard: Heard) -> bool:
        """Whether it takes the datagram."""
        try:
            matches = self._chooses(heard)
        except ValueError:
            self.finish("ValueError")
            return False
        if matches:
            self.next(heard)
            if len(self.values) == self._times:
                self.finish("completed")
        return matches


class Channel:
    """One end: who listens, what was not waited for, and what was counted."""

    def __init__(self, host: str, address: Address, echo: bool, capacity: int) -> None:
        self.host = host
        self.address = address
        self.closed = False
        self.subscribers: list[Subscriber] = []
        self.spawned: list[Subscriber] = []
        self.watchers: list[Stream] = []
        self.waits: list[Wait] = []
        self.requests: list[Wait] = []
        self.backlog: deque[Heard] = deque(maxlen=capacity)
        self.unread: list[Heard] = []
        self.sent = self.sent_bytes = self.received = self.received_bytes = self.refused = 0
        self.echo = echo

    @property
    def counts(self) -> tuple[int, ...]:
        return self.sent, self.sent_bytes, self.received, self.received_bytes, self.refused

    def deliver(self, batch: list[Heard], now: int) -> None:
        self.received += len(batch)
        self.received_bytes += sum(len(heard.data) for heard in batch)
        self._show(batch, in_batches=True)
        for heard in batch:
            self._show([heard], in_batches=False)
        for heard in batch:
            self._offer(heard, now)

    def _show(self, some: list[Heard], in_batches: bool) -> None:
        for subscriber in self.subscribers[:]:
            if some and subscriber.active and subscriber.in_batches == in_batches:
                subscriber.see(some, self)

    def _offer(self, heard: Heard, now: int) -> None:
        if any(request.active and request.offer(heard) for request in self.requests):
            return
        offered = self.waits = [wait for wait in self.waits if wait.active]
        for wait in offered:
            if wait.offer(heard) and wait.active:  # repeated
                self.waits = [other for other in self.waits if other is not wait]
                self.begin(wait, now)
        if not offered:
            self.backlog.append(heard)

    def begin(self, wait: Wait, now: int) -> None:
        """Look for the next match in the backlog, then in what comes."""
        if self.closed:
            wait.finish("ChannelClosed")
        wait.deadline = None if wait.timeout is None else now + wait.timeout
        while self.backlog and wait.active:
            wait.offer(self.backlog.popleft())
        if wait.active:
            self.waits = [*self.waits, wait]

    def close(self) -> None:
        self.closed = True
        self.backlog.clear()
        self.unread.clear()
        for subscriber in (*self.subscribers, *self.watchers):
            subscriber.finish("completed")
        for wait in (*self.requests, *self.waits):
            wait.finish("ChannelClosed")


class _Arrival(NamedTuple):
    tick: int
    channel: Channel
    source: str
    heard: Heard


class Network:
    """Hosts, and datagrams on their way between them.

    Args:
        latency: ticks from one host to another; within a host a datagram takes none.
    """

    def __init__(self, latency: int) -> None:
        self.now = 0
        self.channels: list[Channel] = []
        self._latency = latency
        self._arrivals: list[_Arrival] = []
        self._sides: dict[str, int] = {}
        self._down: set[str] = set()
        self._paused: set[str] = set()

    def send(self, sender: Channel, data: bytes, destination: Address | None = None) -> str | None:
        """Send to the group or to one address; the name of the error that this is, if it is one."""
        if sender.closed:
            return "ChannelClosed"
        if sender.host in self._down:
            sender.refused += 1
            return "SendFailed"
        sender.sent += 1
        sender.sent_bytes += len(data)
        heard = Heard(data, sender.address, destination is not None)
        for channel in self.channels:
            if channel is sender and destination is None and not sender.echo:
                continue
            if not channel.closed and destination in (None, channel.address):
                local = channel.host == sender.host
                if local or not self._is_cut(sender.host, channel.host):
                    tick = self.now + (0 if local else self._latency)
                    self._arrivals.append(_Arrival(tick, channel, sender.host, heard))
        return None

    def request(self, sender: Channel, data: bytes, request: Wait) -> None:
        request.deadline = None if request.timeout is None else self.now + request.timeout
        sender.requests.append(request)
        error = self.send(sender, data)
        if error is not None:
            request.finish(error)

    def advance(self, ticks: int) -> None:
        """Let time pass: what arrives is heard, and what waited too long fails, in the order of the moments."""
        end = self.now + ticks
        while True:
            moments = [arrival.tick for arrival in self._arrivals]
            moments += [wait.deadline for wait in self._waiting() if wait.deadline is not None]
            if not moments or min(moments) > end:
                break
            self.now = max(self.now, min(moments))
            arrived = [arrival for arrival in self._arrivals if arrival.tick <= self.now]
            self._arrivals = [arrival for arrival in self._arrivals if arrival.tick > self.now]
            for channel in self.channels:
                self._arrive(channel, [arrival for arrival in arrived if arrival.channel is channel])
            for wait in self._waiting():
                if wait.deadline is not None and wait.deadline <= self.now:
                    wait.finish("MessageTimeout")
        self.now = end

    def partition(self, sides: Iterable[Iterable[str]]) -> None:
        self._sides = {host: number for number, side in enumerate(sides, start=1) for host in side}

    def set_down(self, host: str, down: bool) -> None:
        if (host in self._down) != down:
            (self._down.add if down else self._down.discard)(host)
            for channel in self.channels:
                if channel.host == host:
                    for watcher in channel.watchers:
                        watcher.next("down" if down else "up")

    def pause(self, host: str) -> None:
        self._paused.add(host)

    def resume(self, host: str) -> None:
        self._paused.discard(host)
        for channel in self.channels:
            if channel.host == host:
                unread, channel.unread = channel.unread, []
                channel.deliver(unread, self.now)

    def _arrive(self, channel: Channel, arrivals: list[_Arrival]) -> None:
        batch = [
            one.heard for one in arrivals if one.source == channel.host or not self._is_cut(one.source, channel.host)
        ]
        if channel.closed:
            return
        if channel.host in self._paused:
            channel.unread += batch
        else:
            channel.deliver(batch, self.now)

    def _is_cut(self, one: str, other: str) -> bool:
        return bool({one, other} & self._down) or self._sides.get(one, 0) != self._sides.get(other, 0)

    def _waiting(self) -> list[Wait]:
        return [wait for one in self.channels for wait in (*one.requests, *one.waits) if wait.active]
