"""The live transport: UDP sockets, read on a thread of the channel's own."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Final

from reactivex.abc import DisposableBase

from ...channel_events import NetworkEvent
from ...channel_options import ChannelOptions
from ...channel_statistics import Statistics
from ...errors import ChannelClosed
from ...group import Group
from ...message import Address, Message
from ..base import Changed, Deliver, Ended, Hears
from ..ip_datagrams import PAYLOAD_LIMITS, check_ip_destination
from ..own_messages import OwnMessages
from ..threaded_end import ThreadedEnd
from . import datagram_readers, host_addresses, kernel_features, reader_choice, socket_options
from .error_advice import cannot_open, is_transient
from .group_socket import Listener
from .io_loop import io_thread
from .io_thread import NOTHING
from .memberships import Memberships
from .outlet import Outlet
from .pollers import Reader

_log = logging.getLogger("rx_multicast_ipc")

_DROP_CHECK: Final = 1.0
"""Seconds between two looks at the kernel's drop counters while messages arrive."""


class UdpTransport(ThreadedEnd):
    """Sockets bound to the group, one an interface, which hear it; and one of its own, which sends and hears replies.

    A reply to the last one's address reaches this transport and no other, however many processes share
    the group's port. See :class:`rx_multicast_ipc.transport.base.Transport` for the contract.

    Args:
        group, options, hears: as for :class:`rx_multicast_ipc.transport.base.OpenTransport`.
        gro: whether datagrams that were sent together may arrive together, at a tenth of the cost. Without, the
            kernel's count of drops is exact for them too.
    """

    def __init__(self, group: Group, options: ChannelOptions, hears: Hears = Hears.ALL, *, gro: bool = True) -> None:
        receive_buffer, listen = options["receive_buffer"], hears is Hears.ALL
        # From a port that others of this machine have too, nothing tells whose a message is: the echo is then read.
        self._from_group = options["send_from"] == "group"
        self._hears_all = self._from_group and options["echo"]
        self._to_group = group.address, group.port
        echoes = listen and options["echo"] and not self._from_group
        self._own = OwnMessages(self._to_group, receive_buffer) if echoes else None
        name = f"rx_multicast_ipc {group}"
        self._lazy = self._own or NOTHING
        super().__init__(group, io_thread(options, name, self._lazy, self._deliver_own, self._fail, options["spin"]))
        self._is_loopback = group.is_loopback
        self._reader: datagram_readers.Reader = datagram_readers.PlainReader(group.family)
        self._direct_reader = self._reader
        self._filtering: dict[int, datagram_readers.Reader] = {}
        self._drops_reported = 0
        self._drop_check: DisposableBase | None = None
        try:
            kernel_features.find()
        except OSError as error:
            raise cannot_open(group, error) from error
        with ExitStack() as undo:
            # First those that listen: on Windows a send needs somebody who joined.
            self._memberships = Memberships(group, receive_buffer, self._thread, listen=listen, gro=gro)
            undo.callback(self._memberships.close)
            self._outlet = Outlet(
                *(group, self._memberships.nics, receive_buffer, self._thread, self._own), from_group=self._from_group
            )
            undo.callback(self._outlet.socket.close)
            self._direct_reception = datagram_readers.Reception(True, "", self._outlet.address)
            # Not wrapped: between a subscriber and the wire each call costs a microsecond of cold code.
            self.send, self.send_many = self._outlet.send, self._outlet.send_many
            self.send_soon, self.send_gathered = self._outlet.send_soon, self._outlet.send_gathered
            self.gathers_for = self._outlet.gathers_for
            self._ignore_own()
            self._receive_buffer = socket_options.granted_receive_buffer(self._outlet.socket)
            undo.pop_all()

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        self._begin(deliver, ended, changed)
        family = self.group.family
        try:
            self._reader = self._direct_reader = reader_choice.group_reader(self.group)
            if isinstance(self._reader, datagram_readers.LocalReader):
                self._direct_reader = reader_choice.reader(family)
            if self.group.has_several_interfaces:
                self._direct_reader = reader_choice.interface_reader(family)
            self._memberships.start(self._reader_of, self._turn, self._tell, lambda: self._outlet.sent_to_group)
            self._thread.watch({self._outlet.socket: self._read_direct})
        except (OSError, MemoryError, RuntimeError) as error:  # the last: no thread can be started
            raise cannot_open(self.group, error) from error
        if self._own is not None:
            # Not a method of this: it is called at each send.
            self._outlet.hear_own = partial(self._thread.run_soon, self._awaited)
            with self._outlet.lock:
                self._own.start()
            if self._own.pending:
                self._outlet.hear_own()

    def __repr__(self) -> str:
        return f"<UdpTransport {self.group} by {kernel_features.current()}>"

    @property
    def sender_address(self) -> Address:
        return self._outlet.address

    @property
    def own_addresses(self) -> frozenset[Address]:
        return self._outlet.addresses

    @property
    def statistics(self) -> Statistics:
        with self._outlet.lock:
            return self._final or self._count()

    @property
    def payload_limit(self) -> int:
        return PAYLOAD_LIMITS[self.group.family]

    def check_destination(self, address: str) -> str | None:
        return check_ip_destination(address, self.group)

    def when_writable(self, action: Callable[[], None]) -> None:
        self._outlet.when_writable(action)

    def look_up(self, name: str) -> str:
        address = host_addresses.look_up(name, self.group)
        check_ip_destination(address, self.group)
        return address

    def _shut(self) -> None:
        self._outlet.shut()

    @property
    def _is_sending_here(self) -> bool:
        return self._outlet.is_in_use_here

    def _let_go(self) -> None:
        if self._drop_check is not None:
            self._drop_check.dispose()
        with self._outlet.lock:
            if self._final is None:
                self._final = self._count()
            if self._own is not None:
                self._own.stop()
            self._taken = []
            self._thread.unwatch(self._outlet.socket)
            self._memberships.close()
        self._outlet.close()

    def _count(self) -> Statistics:
        direct = socket_options.kernel_drops(self._outlet.socket)
        group = self._memberships.dropped(self._outlet.sent_to_group)
        own = 0 if self._own is None else self._own.dropped
        readers = {self._reader, self._direct_reader, *self._filtering.values()}
        return Statistics(
            received=self._received,
            received_bytes=sum(reader.bytes_read for reader in readers) + self._received_bytes,
            sent=self._outlet.sent,
            sent_bytes=self._outlet.sent_bytes,
            refused=self._outlet.refused,
            dropped=None if direct is None or group is None else direct + group + own,
            receive_buffer=self._receive_buffer,
        )

    def _reader_of(self, listener: Listener) -> Reader:
        interface = listener.nic.name if self.group.has_several_interfaces else ""
        reader = self._reader
        if listener.only:
            reader = self._filtering.setdefault(
                listener.only, reader_choice.interface_reader(self.group.family, listener.only)
            )
        reception = datagram_readers.Reception(False, interface, self._to_group)
        return partial(self._read, reader, listener.socket, reception, listener)

    def _read_direct(self) -> int:
        return self._read(self._direct_reader, self._outlet.socket, self._direct_reception)

    def _turn(self) -> None:
        with self._outlet.lock:  # nothing is sent before it is ignored
            self._outlet.turn_to(self._memberships.nics)
            self._direct_reception = datagram_readers.Reception(True, "", self._outlet.address)
            self._ignore_own()

    def _ignore_own(self) -> None:
        if not self._from_group:
            self._memberships.ignore(self._outlet.addresses, self._outlet.sent_to_group)

    def _tell(self, event: NetworkEvent) -> None:
        if self._changed is not None and not self.closed:
            self._changed(event)

    def _deliver_own(self) -> int:
        """Deliver its own messages that wait, and return how many there were; on the I/O thread."""
        own = self._own
        if own is None or self.closed or self._deliver is None:
            return 0
        try:
            with self._outlet.lock:
                self._taken += own.take()
            return self._deliver_taken()
        finally:
            if self._taken:  # it was interrupted, and the next turn delivers them
                own.pending = True

    def _without_own(self, batch: list[Message], listener: Listener) -> list[Message]:
        """The messages of others, where the socket did not keep its own out."""
        port = self._outlet.address[1]
        if self._hears_all or port not in [message.port for message in batch]:
            return batch
        own = self._outlet.addresses
        if listener.filters_own:  # so what came through has a source that is new, or is of another host
            suspects = {message.address for message in batch if message.port == port}
            own = {(address, port) for address in suspects if host_addresses.is_local(address)}
        others = [message for message in batch if message.sender not in own]
        if len(others) < len(batch):
            self._received_bytes -= sum([len(message.data) for message in batch if message.sender in own])
        return others

    def _read(
        self,
        reader: datagram_readers.Reader,
        opened: socket.socket,
        reception: datagram_readers.Reception,
        listener: Listener | None = None,
    ) -> int:
        """Deliver what one turn of reading brings, and return how many messages that was; on the I/O thread."""
        if self.closed:
            return 0  # closed by what the other socket just brought
        try:
            batch = reader.read(opened, reception)
        except OSError as error:
            batch = []
            if not is_transient(error):
                self._fault = ChannelClosed(f"{self.group} cannot be read any more: {error}; open another channel")
                self._fault.__cause__ = error
        read = len(batch)
        if batch and listener is not None and not (listener.filters_own and self._is_loopback):
            batch = self._without_own(batch, listener)
        if batch:
            self._received += len(batch)
            if self._drop_check is None:
                self._drop_check = self.scheduler.schedule_relative(_DROP_CHECK, self._check_drops)
            if self._lazy.pending or self._thread.posted:
                self._thread.catch_up()  # with its own messages, too, which this may be the answer to
            if not self.closed and self._deliver is not None:
                self._deliver(batch)
        if self._fault is not None:
            self.close(wait=False)
        return read

    def _deliver_what_came(self) -> int:
        return self._deliver_own() + self._memberships.read_all() + self._read_direct()

    def _check_drops(self, _scheduler: object, _state: object) -> None:
        self._drop_check = None
        dropped = self.statistics.dropped or 0
        if dropped > self._drops_reported:
            _log.warning(
                "%s: the kernel dropped %d messages or more because this process reads too slowly (%d in all); "
                "raise receive_buffer (%d bytes were granted), or do less in subscribers",
                self.group,
                dropped - self._drops_reported,
                dropped,
                self._receive_buffer,
            )
            self._drops_reported = dropped

    def forget(self) -> None:
        """See :class:`close_at_exit.ClosesAtExit`."""
        super().forget()
        if self._own is not None:
            self._own.stop()
        self._memberships.forget()
        self._outlet.forget()
