"""The transport's seam in virtual time: no socket, no thread, no sleeping."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence
from random import Random

from reactivex.scheduler import VirtualTimeScheduler

from ...channel_events import NetworkChange, NetworkEvent
from ...channel_options import ChannelOptions
from ...channel_statistics import Statistics
from ...errors import ChannelClosed, InvalidAddress, SendFailed, Unsupported
from ...group import DEFAULT_INTERFACE, Group
from ...message import Address, Message
from ...subscribing.subscriber_errors import HERE, delivering_here, report
from ..base import Changed, Deliver, Ended, Hears
from ..ip_datagrams import PAYLOAD_LIMITS, check_ip_destination, no_names
from ..udp.error_advice import send_failed
from .host_interfaces import Interface, interfaces_of
from .network import Wire

_RECORD_COST = 256
_LEAST_COST = 576
_HEADROOM = 352
_LARGEST_SLAB = 32_768
_PAGE = 4096
"""What Linux charges to a receive buffer for a datagram, in bytes, as measured on loopback."""

_LEAST_BUFFER = 1152
"""Bytes of receive buffer that Linux grants at least."""


class VirtualHost:
    """One host of a virtual network; opens transports the way :class:`OpenTransport` says.

    Args:
        wire: what joins it to the others.
        address: its numeric address.
    """

    has_names = False

    def __init__(self, wire: Wire, address: str) -> None:
        self.address = wire.hosts.add(address)
        self._wire = wire

    def __call__(self, group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> MemoryTransport:
        if (":" in self.address) != (group.family == "IPv6"):
            raise InvalidAddress(
                f"host {self.address} cannot join an {group.family} group; name a host with an {group.family} address"
            )
        interfaces = interfaces_of(group, self.address, self._wire.hosts.interface_name(self.address))
        return MemoryTransport(self._wire, self.address, group, interfaces, options, hears)


class MemoryTransport:
    """One end of a group on a virtual network. See :class:`rx_multicast_ipc.transport.base.Transport`."""

    __slots__ = (  # there may be ten thousand, and each message needs some of these: nowhere else in memory
        "__dict__",  # for who replaces a method of one, and made only then
        "__weakref__",
        "_changed",
        "_closed",
        "_deliver",
        "_dropped",
        "_ended",
        "_random",
        "_receive_buffer",
        "_received",
        "_received_bytes",
        "_refused",
        "_sent",
        "_sent_bytes",
        "_waiting",
        "_waiting_cost",
        "_wire",
        "group",
        "hears_itself",
        "host",
        "interfaces",
        "is_bound_to_interface",
        "names_interfaces",
        "number",
        "own_addresses",
        "sender_address",
    )

    def __init__(
        self,
        wire: Wire,
        host: str,
        group: Group,
        interfaces: tuple[Interface, ...],
        options: ChannelOptions,
        hears: Hears,
    ) -> None:
        if options["send_from"] == "group":
            raise Unsupported(
                'a virtual network has no shared ports to send from: leave send_from="group" out, or use UDP'
            )
        self.group = group
        self.host = host
        self.interfaces = interfaces
        self.names_interfaces = group.has_several_interfaces
        self.is_bound_to_interface = not self.names_interfaces and group.interfaces != (DEFAULT_INTERFACE,)
        port = wire.hosts.free_port(host)
        self.sender_address: Address = interfaces[0].address, port
        self.own_addresses = frozenset((interface.address, port) for interface in interfaces)
        self._wire = wire
        self.number = -1
        self._random: Random | None = None
        self._deliver: Deliver | None = None
        self._ended: Ended | None = None
        self._changed: Changed | None = None
        self._closed = False
        self._receive_buffer = max(options["receive_buffer"], _LEAST_BUFFER)
        self.hears_itself = options["echo"]
        self._waiting: list[Message] = []
        self._waiting_cost = 0
        self._received = self._received_bytes = self._sent = self._sent_bytes = self._refused = self._dropped = 0
        wire.attach(self, hears)

    @property
    def scheduler(self) -> VirtualTimeScheduler:
        return self._wire.scheduler

    @property
    def random(self) -> Random:
        """See :func:`~..random_numbers.random_of`; made when it is first needed, for most ends draw nothing."""
        if self._random is None:
            self._random = self._wire.random_for(self)
        return self._random

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def ended(self) -> bool:
        return self._closed

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        self._deliver = deliver
        self._ended = ended
        self._changed = changed
        if self._waiting:
            self.scheduler.schedule(lambda _scheduler, _state: self.resume())

    @property
    def statistics(self) -> Statistics:
        return Statistics(
            received=self._received,
            received_bytes=self._received_bytes,
            sent=self._sent,
            sent_bytes=self._sent_bytes,
            refused=self._refused,
            dropped=self._dropped,
            receive_buffer=self._receive_buffer,
        )

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        if self._closed:
            raise ChannelClosed
        try:
            if len(payload) > self.payload_limit:
                raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
            self._refused += self._wire.carry(self, payload, destination)
        except OSError as error:
            self._refused += 1
            raise send_failed(self.group, destination, error) from error
        self._sent += 1
        self._sent_bytes += len(payload)

    @property
    def payload_limit(self) -> int:
        return PAYLOAD_LIMITS[self.group.family]

    def check_destination(self, address: str) -> str | None:
        numeric = check_ip_destination(address, self.group)
        if numeric is None:
            raise no_names(address)
        return numeric

    def look_up(self, name: str) -> str:
        raise no_names(name)

    def send_many(self, payloads: Sequence[bytes]) -> None:
        for number, payload in enumerate(payloads):
            try:
                self.send(payload)
            except SendFailed as error:
                error.sent = number
                raise

    def when_writable(self, action: Callable[[], None]) -> None:
        self.scheduler.schedule(lambda _scheduler, _state: action())

    def call(self, action: Callable[[], None]) -> None:
        action()

    def close(self, *, wait: bool = True) -> None:
        if not self._closed:
            self._closed = True
            self._waiting.clear()
            self._wire.detach(self)
            if self._ended is not None:
                self._ended(None)

    def turn(self, change: NetworkChange) -> None:
        """Tell what became of the host's interface."""
        network = [interface.name for interface in self.interfaces if not interface.is_loopback]
        if self._changed is not None and not self._closed and network:
            self._changed(NetworkEvent(change, network[0], self.host, self._wire.now))

    def arrive(self, batch: list[Message]) -> None:
        """Take what the wire brings into the receive buffer, as far as it has room, and read it if anybody does."""
        if self._closed:
            return
        if len(batch) == 1 and not (self._waiting or self._wire.paused or self._deliver is None):
            self._read(batch)  # an empty buffer takes any datagram
            return
        room = 2 * self._receive_buffer  # socket(7): the kernel doubles what was asked
        waiting, cost = self._waiting, self._waiting_cost
        for message in batch:
            with_it = cost + _cost(len(message.data))
            if with_it > room and cost:
                self._dropped += 1
            else:
                waiting.append(message)
                cost = with_it
        self._waiting_cost = cost
        self.resume()

    def resume(self) -> None:
        """Deliver what waits in the receive buffer, unless the host's reading is paused."""
        if self._waiting and self._is_read:
            batch, self._waiting, self._waiting_cost = self._waiting, [], 0
            self._read(batch)

    @property
    def _is_read(self) -> bool:
        paused = self._wire.paused
        return self._deliver is not None and not (paused and self.host in paused)

    def _read(self, batch: list[Message]) -> None:
        deliver = self._deliver
        assert deliver is not None
        self._received += len(batch)
        self._received_bytes += len(batch[0].data) if len(batch) == 1 else sum([len(each.data) for each in batch])
        try:
            if HERE.delivering:  # the clock said so for all that it runs
                deliver(batch)
            else:
                with delivering_here():
                    deliver(batch)
        except Exception as error:
            report(error)


def _cost(size: int) -> int:
    size += _HEADROOM
    if size > _LARGEST_SLAB:
        return _RECORD_COST + -(-size // _PAGE) * _PAGE
    return _RECORD_COST + max(_LEAST_COST, 1 << (size - 1).bit_length())
