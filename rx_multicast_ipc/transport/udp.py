"""The live transport: UDP sockets, read on a thread of the channel's own."""

from __future__ import annotations

import atexit
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial

from reactivex.abc import DisposableBase
from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from ..errors import ChannelClosed, SendFailed
from ..group import Group
from ..message import Address, Message
from ..statistics import Statistics
from . import _batch, _sockets
from ._thread import IoThread
from .base import Deliver, Ended

_log = logging.getLogger("rx_multicast_ipc")

_CLOSE_WAIT = 5.0
"""Seconds that close waits for a delivery under way."""

_EXIT_WAIT = 0.5
"""Seconds that the end of the interpreter waits for all of them together."""

_DROP_CHECK = 1.0
"""Seconds between two looks at the kernel's drop counters while messages arrive."""


class UdpTransport:
    """Two sockets: one bound to the group, which hears it, and one of its own, which sends and hears replies.

    A reply to the second one's address reaches this transport and no other, however many processes share
    the group's port. See :class:`rx_multicast_ipc.transport.base.Transport` for the contract.

    Args:
        group, receive_buffer, listen: as for :class:`rx_multicast_ipc.transport.base.OpenTransport`.
        trains: whether datagrams that were sent together may arrive together, at a tenth of the cost. Without, the
            kernel's count of drops is exact for them too.
    """

    def __init__(self, group: Group, *, receive_buffer: int, listen: bool = True, trains: bool = True) -> None:
        self.group = group
        self._destination: Address = group.address, group.port
        self._is_ipv6 = group.family == "IPv6"
        self._lock = threading.RLock()  # a signal handler may close while its thread sends
        self._closed = False
        self._gone = threading.Event()
        self._started = False
        self._readers: dict[socket.socket, Callable[[], int]] = {}
        self._reader: _batch.Reader = _batch.PlainReader(group.family)
        self._deliver: Deliver | None = None
        self._ended: Ended | None = None
        self._fault: Exception | None = None
        self._sent = self._sent_bytes = self._refused = 0
        self._received = 0
        self._drops_reported = 0
        self._drop_check: DisposableBase | None = None
        self._final: Statistics | None = None
        self._thread = IoThread(f"rx_multicast_ipc {group}")

        with ExitStack() as undo:
            nic = _sockets.find_nic(group)
            self._listener: socket.socket | None = None
            if listen:  # first: on Windows a send needs somebody who joined
                plan = _sockets.receive_plan(group, nic, receive_buffer, trains=trains and _batch.HAS_BATCHES)
                self._listener = undo.enter_context(_sockets.open_socket(group, plan))
            plan = _sockets.send_plan(group, nic, receive_buffer)
            self._sender = undo.enter_context(_sockets.open_socket(group, plan))
            self.sender_address = _sockets.sender_address(group, nic, self._sender)
            self._receive_buffer = _sockets.granted_receive_buffer(self._sender)
            undo.pop_all()

    def start(self, deliver: Deliver, ended: Ended) -> None:
        assert self._listener is not None, "opened with listen=False"
        self._deliver = deliver
        self._ended = ended
        _open.add(self)
        self._reader = _batch.reader(self.group.family)
        self._readers = {
            self._listener: partial(self._read, self._listener, False),
            self._sender: partial(self._read, self._sender, True),
        }
        try:
            self._thread.watch(self._readers)
        except OSError as error:
            raise _sockets.cannot_open(self.group, error) from error
        self._started = True

    @property
    def scheduler(self) -> PeriodicScheduler:
        return self._thread.scheduler

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def ended(self) -> bool:
        return self._gone.is_set()

    @property
    def statistics(self) -> Statistics:
        with self._lock:
            return self._final or self._count()

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        with self._lock:  # also keeps the descriptor from being closed and reused under the call
            if self._closed:
                raise ChannelClosed
            try:
                if destination is None:
                    self._sender.sendto(payload, self._destination)
                else:
                    self._sender.sendto(
                        payload, _sockets.ipv6_destination(destination) if self._is_ipv6 else destination
                    )
            except OSError as error:
                self._refused += 1
                raise _sockets.send_failed(self.group, destination, error) from error
            self._sent += 1
            self._sent_bytes += len(payload)

    has_names = True

    def look_up(self, name: str) -> str:
        return _sockets.look_up(name, self.group)

    def send_many(self, payloads: Sequence[bytes]) -> None:
        with self._lock:
            if self._closed:
                raise ChannelClosed
            sent = _batch.send_many(self._sender, payloads, self._destination)
            self._sent += sent
            self._sent_bytes += sum(map(len, payloads[:sent]))
        for number in range(sent, len(payloads)):
            try:
                self.send(payloads[number])
            except SendFailed as error:
                error.sent = number
                raise

    def call(self, action: Callable[[], None]) -> None:
        self._thread.call(action)

    def close(self, *, wait: bool = True) -> None:
        with self._lock:
            first, self._closed = not self._closed, True
        if first and self._started:
            self._thread.call(self._end)
        elif first:
            self._end()
        if not wait or self._thread.is_current or self._lock._is_owned():  # pyright: ignore
            return
        if not self._gone.wait(_CLOSE_WAIT):
            _log.warning(
                "closing %s: a subscriber has kept the delivering thread busy for %g s; it closes when that ends",
                self.group,
                _CLOSE_WAIT,
            )

    def _end(self) -> None:
        _open.discard(self)
        if self._drop_check is not None:
            self._drop_check.dispose()
        with self._lock:
            self._final = self._count()
            for opened in self._sockets():
                self._thread.unwatch(opened)
                opened.close()
        try:
            if self._ended is not None:
                self._ended(self._fault)
        finally:
            self._gone.set()

    def _sockets(self) -> list[socket.socket]:
        return [self._sender] if self._listener is None else [self._listener, self._sender]

    def _count(self) -> Statistics:
        drops = [_sockets.kernel_drops(opened) for opened in self._sockets()]
        known = [count for count in drops if count is not None]
        return Statistics(
            received=self._received,
            received_bytes=self._reader.bytes_read,
            sent=self._sent,
            sent_bytes=self._sent_bytes,
            refused=self._refused,
            dropped=sum(known) if len(known) == len(drops) else None,
            receive_buffer=self._receive_buffer,
        )

    def _read(self, opened: socket.socket, direct: bool) -> int:
        """Deliver what one turn of reading brings, and return how many messages that was; at home."""
        if self._closed:
            return 0  # closed by what the other socket just brought
        batch: list[Message] = []
        try:
            batch = self._reader.read(opened, direct)
        except OSError as error:
            if not _sockets.is_transient(error):
                self._fault = ChannelClosed(f"{self.group} cannot be read any more: {error}; open another channel")
                self._fault.__cause__ = error
        if batch:
            self._received += len(batch)
            if self._drop_check is None:
                self._drop_check = self.scheduler.schedule_relative(_DROP_CHECK, self._check_drops)
            self._thread.run_posted()
            if not self._closed and self._deliver is not None:
                self._deliver(batch)
        if self._fault is not None:
            self.close(wait=False)
        return len(batch)

    def _finish(self, deadline: float) -> None:
        """Deliver what has arrived, and close; at the end of the interpreter."""

        def finish(_scheduler: object, _state: object) -> None:
            while any(read() for read in self._readers.values()) and time.monotonic() < deadline:
                pass
            self.close(wait=False)

        self.scheduler.schedule(finish)  # as a timer, which runs only after what was read is delivered

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

    def _forget(self) -> None:
        """Let go of the parent's sockets in a forked child. Other threads are gone, and may have held locks."""
        self._lock = threading.RLock()
        self._closed = True
        self._final = self._final or Statistics()
        self._gone.set()
        self._thread.forget()
        for opened in self._sockets():
            with suppress(OSError):
                opened.close()


_open: set[UdpTransport] = set()


def _close_all() -> None:
    """Close orderly at the end of the interpreter, without waiting for subscribers that do not end.

    What has arrived is delivered first, so that a script may end with the send that its own subscribers hear.
    """
    transports = list(_open)
    deadline = time.monotonic() + _EXIT_WAIT
    for transport in transports:
        with suppress(RuntimeError):  # no thread can be started any more
            transport._finish(deadline)  # pyright: ignore[reportPrivateUsage]
    for transport in transports:
        transport._gone.wait(max(0.0, deadline - time.monotonic()))  # pyright: ignore[reportPrivateUsage]


def _forget_all() -> None:
    for transport in list(_open):
        transport._forget()  # pyright: ignore[reportPrivateUsage]
    _open.clear()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
