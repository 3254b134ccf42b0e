"""A network in virtual time: the transport's seam without sockets, threads or sleeping."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from itertools import cycle

import msgspec
from reactivex.scheduler import VirtualTimeScheduler

from ..errors import ChannelClosed, InvalidAddress, InvalidOption, SendFailed, Unsupported
from ..group import Group, Ip
from ..message import Address, Message
from ..statistics import Statistics
from .base import Deliver, Ended

_EPHEMERAL_PORTS = range(49_152, 65_536)
"""The ports that a system gives out by itself (RFC 6335, section 6)."""


class Datagram(msgspec.Struct, frozen=True, gc=False):
    """A datagram that was sent on a virtual network.

    Attributes:
        time: when, in virtual seconds.
        source: the sender's address and port.
        destination: the address and port, of a group or of one process, that it was sent to.
        payload: the whole of it.
    """

    time: float
    source: Address
    destination: Address
    payload: bytes


class VirtualHost:
    """One host of a virtual network; opens transports the way :class:`OpenTransport` says."""

    def __init__(self, wire: Wire, address: str) -> None:
        ip = Ip.parse(address)
        if ip is None:
            raise InvalidAddress(f'a virtual host has a numeric address such as "10.0.0.1", not {address!r}')
        self.address = str(ip)
        self._wire = wire

    def __call__(self, group: Group, *, receive_buffer: int, listen: bool = True) -> MemoryTransport:
        address = "127.0.0.1" if group.is_loopback else self.address
        return MemoryTransport(self._wire, self.address, (address, self._wire.next_port()), group)


class Wire:
    """What joins the hosts of a virtual network, and how long a datagram takes on it.

    Args:
        scheduler: its clock.
        latency: seconds from every send to its delivery.
        on_send: told of every datagram, before it is carried.
    """

    def __init__(
        self,
        scheduler: VirtualTimeScheduler,
        latency: float,
        on_send: Callable[[Datagram], None] = lambda datagram: None,
    ) -> None:
        if not isinstance(latency, int | float) or latency < 0:
            raise InvalidOption(f"latency is a number of seconds, 0 or more, not {latency!r}")
        self.scheduler = scheduler
        self._latency = float(latency)
        self._on_send = on_send
        self._ends: list[MemoryTransport] = []
        self._ports = cycle(_EPHEMERAL_PORTS)

    def next_port(self) -> int:
        return next(self._ports)

    def attach(self, end: MemoryTransport) -> None:
        self._ends.append(end)

    def detach(self, end: MemoryTransport) -> None:
        self._ends.remove(end)

    def carry(self, sender: MemoryTransport, payload: bytes, destination: Address) -> None:
        """Schedule the delivery of one datagram at every end that hears it."""
        now = self.scheduler.to_seconds(self.scheduler.now)
        self._on_send(Datagram(now, sender.sender_address, destination, payload))
        for end in self._ends:
            direct = end.sender_address == destination and sender.reaches(end)
            if direct or end.hears(sender, destination):
                message = Message(payload, *sender.sender_address, sender.group.family, now + self._latency, direct)
                end.arrive(message, self._latency)


class MemoryTransport:
    """One end of a group on a virtual network. See :class:`rx_multicast_ipc.transport.base.Transport`."""

    def __init__(self, wire: Wire, host: str, sender_address: Address, group: Group) -> None:
        self.group = group
        self.sender_address = sender_address
        self._wire = wire
        self._host = host
        self._deliver: Deliver | None = None
        self._ended: Ended | None = None
        self._closed = False
        self._arriving: dict[float, list[Message]] = {}
        self._received = self._received_bytes = self._sent = self._sent_bytes = self._refused = 0

    @property
    def scheduler(self) -> VirtualTimeScheduler:
        return self._wire.scheduler

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def ended(self) -> bool:
        return self._closed

    def start(self, deliver: Deliver, ended: Ended) -> None:
        self._deliver = deliver
        self._ended = ended
        self._wire.attach(self)

    @property
    def statistics(self) -> Statistics:
        return Statistics(
            received=self._received,
            received_bytes=self._received_bytes,
            sent=self._sent,
            sent_bytes=self._sent_bytes,
            refused=self._refused,
            dropped=0,
        )

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        if self._closed:
            raise ChannelClosed
        target = destination or (self.group.address, self.group.port)
        if len(payload) > self.group.payload_limit:
            self._refused += 1
            error = OSError(errno.EMSGSIZE, "Message too long")
            raise SendFailed(f"cannot send to {target[0]}:{target[1]}: {error.strerror}") from error
        self._wire.carry(self, payload, target)
        self._sent += 1
        self._sent_bytes += len(payload)

    has_names = False

    def look_up(self, name: str) -> str:
        raise Unsupported(f"a virtual network has no host names, so no {name!r}")

    def send_many(self, payloads: Sequence[bytes]) -> None:
        for number, payload in enumerate(payloads):
            try:
                self.send(payload)
            except SendFailed as error:
                error.sent = number
                raise

    def call(self, action: Callable[[], None]) -> None:
        action()

    def close(self, *, wait: bool = True) -> None:
        if not self._closed:
            self._closed = True
            if self._ended is not None:
                self._wire.detach(self)
                self._ended(None)

    def reaches(self, end: MemoryTransport) -> bool:
        """Whether a datagram of this end can get to the other one's host over this end's interface."""
        if self.group.is_loopback or end.group.is_loopback:
            return self._host == end._host and self.group.is_loopback == end.group.is_loopback
        return self.group.ttl > 0 or self._host == end._host

    def hears(self, sender: MemoryTransport, destination: Address) -> bool:
        """Whether a datagram of ``sender`` to a group is one that this end joined."""
        return destination == (self.group.address, self.group.port) and sender.reaches(self)

    def arrive(self, message: Message, latency: float) -> None:
        """Deliver ``message`` after ``latency``, in one batch with what arrives at the same moment."""
        batch = self._arriving.get(message.received_at)
        if batch is not None:
            batch.append(message)
            return
        self._arriving[message.received_at] = [message]

        def deliver(_scheduler: object, _state: object) -> None:
            batch = self._arriving.pop(message.received_at)
            if self._deliver is not None and not self._closed:
                self._received += len(batch)
                self._received_bytes += sum(len(one.data) for one in batch)
                self._deliver(batch)

        self.scheduler.schedule_relative(latency, deliver)
