"""On which interfaces a transport hears its group, and how that follows the network."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Final

from reactivex.abc import DisposableBase

from ...channel_events import NetworkChange, NetworkEvent
from ...errors import MulticastError, NoRoute
from ...group import ALL_INTERFACES, Group
from ...message import Address
from ..next_timer import NextTimer
from . import host_addresses, interfaces
from .error_advice import is_exhausted
from .group_socket import Listener, OwnSends
from .interfaces import Nic
from .io_thread import IoThread
from .join_refusals import JoinRefusals
from .pollers import Reader

_log = logging.getLogger("rx_multicast_ipc")

_SETTLING: Final = 0.02
"""Seconds from a notice of a change to the look at what changed: they come in bursts."""

_LOOK_AGAIN: Final = 0.5
"""Seconds until another look, where a change could not be followed yet or the platform gives no notice."""

_REJOIN: Final = 125.0
"""Seconds between two reports of the membership: the query interval of RFC 2236 and RFC 3376. A switch that no router
asks forgets a group after 260."""


class Memberships:
    """A listener on each of the interfaces that a group is on, now and after every change.

    On the transport's I/O thread once started. Raises ``CannotOpen`` and ``InvalidInterface``, with nothing left open.

    Args:
        group: which, and on which interfaces.
        receive_buffer: bytes to ask for, for each.
        thread: the I/O thread.
        listen: False only finds the interfaces, and follows them.
        gro: whether datagrams that were sent together may arrive together.

    Attributes:
        nics: the interfaces, by their index.
    """

    def __init__(self, group: Group, receive_buffer: int, thread: IoThread, *, listen: bool, gro: bool) -> None:
        self._group = group
        self._receive_buffer = receive_buffer
        self._listen = listen
        self._gro = gro
        self._thread = thread
        self._lock = threading.RLock()
        self._readers: dict[int, Reader] = {}
        self._dropped_before = 0
        self._refusals = JoinRefusals()
        self._notices: socket.socket | None = None
        self._look = NextTimer(thread.scheduler, self._look_around)
        self._next_rejoin: DisposableBase | None = None
        self._closed = False
        self.nics: dict[int, Nic] = {
            nic.number: nic for interface in group.interfaces for nic in interfaces.find_nics(interface, group)
        }
        self._listeners: dict[int, Listener] = {}
        for nic in self.nics.values():
            _check_loopback(group, nic)
        try:
            if listen:
                self._open_all()
        except BaseException:
            self.close()
            raise

    def _open_all(self) -> None:
        refusal: MulticastError | None = None
        for number, nic in self.nics.items():
            try:
                self._listeners[number] = Listener(self._group, nic, self._receive_buffer, self._gro)
            except MulticastError as error:
                if self._group.interfaces != (ALL_INTERFACES,):
                    raise
                refusal = error  # one of all cannot: a tunnel, say
        if refusal is not None and not self._listeners:
            raise refusal
        self.nics = {number: self.nics[number] for number in self._listeners}

    def start(
        self,
        reader_of: Callable[[Listener], Reader],
        turned: Callable[[], None],
        changed: Callable[[NetworkEvent], None],
        sent: Callable[[], OwnSends],
    ) -> None:
        """Begin to read, and to follow the network.

        Args:
            reader_of: makes the reader of a listener.
            turned: called after a change, when ``nics`` may be others.
            changed: told of it then.
            sent: what was sent to the group so far.
        """
        self._reader_of = reader_of
        self._turned = turned
        self._changed = changed
        self._sent = sent
        self._readers = {number: reader_of(listener) for number, listener in self._listeners.items()}
        watched = {listener.socket: self._readers[number] for number, listener in self._listeners.items()}
        if not self._group.is_loopback:
            self._notices = interfaces.change_notices()
            if self._notices is not None:
                watched[self._notices] = self._read_notices
            self._next_rejoin = self._thread.scheduler.schedule_relative(_REJOIN, self._rejoin)
        self._thread.watch(watched)
        if not self._group.is_loopback:
            self._thread.call(partial(self._look_in, 0))  # for what changed since it was opened

    def read_all(self) -> int:
        """Take one turn of reading at every listener; how many messages that was."""
        return sum(read() for read in list(self._readers.values()))

    def ignore(self, addresses: Iterable[Address], sent: OwnSends) -> None:
        """Keep the transport's own datagrams out, where the system can. See :meth:`Listener.ignore`."""
        if self._group.has_several_interfaces:  # two on one segment hear each other, so none knows how many it dropped
            return
        with self._lock:
            for listener in self._listeners.values():
                listener.ignore(addresses, sent)

    def dropped(self, sent: OwnSends) -> int | None:
        """Datagrams that the kernel dropped at all listeners so far; None where it does not tell."""
        with self._lock:
            counts = [listener.dropped(sent) for listener in self._listeners.values()]
            known = [count for count in counts if count is not None]
            return self._dropped_before + sum(known) if len(known) == len(counts) else None

    def close(self) -> None:
        """Let go of all sockets."""
        with self._lock:
            self._closed = True
            self._look.stop()  # a timer would keep the thread
            if self._next_rejoin is not None:
                self._next_rejoin.dispose()
            opened = [listener.socket for listener in self._listeners.values()]
            for one in opened if self._notices is None else [*opened, self._notices]:
                self._thread.unwatch(one)
                one.close()

    def forget(self) -> None:
        """Let go of the parent's sockets in a forked child, without waiting for a lock."""
        self._lock = threading.RLock()
        self._look.forget()
        with suppress(OSError):
            self.close()

    def _read_notices(self) -> int:
        assert self._notices is not None
        changed = False
        try:
            while notice := self._notices.recv(1 << 16):
                changed = interfaces.tells_of_change(notice) or changed
        except BlockingIOError:
            pass
        except OSError:  # more notices than fit: a change all the same
            changed = True
        if changed:
            self._refusals.clear()  # what refused may do so no more
            self._look_in(_SETTLING)
        return 0

    def _look_in(self, seconds: float) -> None:
        now = time.monotonic()
        self._look.call_at(now + seconds, now)

    def _look_around(self) -> None:
        """Be on the interfaces that there are now, and off those that are gone."""
        if self._closed:
            return
        found: dict[int, Nic] = {}
        for interface in self._group.interfaces:
            try:
                found.update((nic.number, nic) for nic in interfaces.find_nics(interface, self._group))
            except (MulticastError, OSError) as error:
                if is_exhausted(error):  # nobody knows, so nothing is left
                    self._look_in(_LOOK_AGAIN)
                    return
        if not self._listen:
            if found != self.nics:
                self.nics = found
                self._turned()
            if self._notices is None:
                self._look_in(_LOOK_AGAIN)
            return
        events: list[NetworkEvent] = []
        for number in [number for number in self._listeners if number not in found]:
            self._leave(number, events)
        for number, nic in found.items():
            listener = self._listeners.get(number)
            if listener is None:
                self._try_to_join(nic, events)
            else:
                self._follow(listener, nic, events)
        if self._closed:  # by what the last messages from an interface brought
            return
        before, self.nics = self.nics, {number: nic for number, nic in found.items() if number in self._listeners}
        if events or self.nics != before:
            self._turned()
        for event in events:
            _log.info("%s: %s %s %s", self._group, event.interface, event.change, event.address)
            self._changed(event)
        self._refusals.keep(found)
        if self._notices is None:
            self._look_in(_LOOK_AGAIN)
        elif self._refusals:
            self._look_in(max(_SETTLING, self._refusals.next_try() - time.monotonic()))
        elif len(self.nics) < len(found):
            self._look_in(_LOOK_AGAIN)

    def _leave(self, number: int, events: list[NetworkEvent]) -> None:
        listener = self._listeners[number]
        listener.leave()
        while self._readers[number]():  # what arrived before it went
            pass
        if self._closed:
            return
        with self._lock:
            del self._listeners[number], self._readers[number]
            self._dropped_before += listener.dropped(self._sent()) or 0
            self._thread.unwatch(listener.socket)
            listener.socket.close()
        events.append(self._event(NetworkChange.LEFT, listener))

    def _try_to_join(self, nic: Nic, events: list[NetworkEvent]) -> None:
        """Join, unless it refused a short while ago and did not change since."""
        if not self._refusals.may_try(nic, time.monotonic()):
            return
        try:
            self._join(nic, events)
        except MulticastError as error:
            _log.debug("%s: cannot join on %s yet: %s", self._group, nic.name, error)
            self._refusals.add(nic, time.monotonic())
        else:
            self._refusals.forget(nic.number)

    def _join(self, nic: Nic, events: list[NetworkEvent]) -> None:
        listener = Listener(self._group, nic, self._receive_buffer, self._gro)
        with self._lock:
            self._listeners[nic.number] = listener
            reader = self._readers[nic.number] = self._reader_of(listener)
            self._thread.watch({listener.socket: reader})
        events.append(self._event(NetworkChange.JOINED, listener))

    def _follow(self, listener: Listener, nic: Nic, events: list[NetworkEvent]) -> None:
        before, listener.nic = listener.nic, nic
        if nic.name != before.name:
            self._read_anew(listener)
        if nic.up != before.up:
            events.append(self._event(NetworkChange.UP if nic.up else NetworkChange.DOWN, listener))
        address = host_addresses.source_address(self._group, nic)
        if not nic.up or address == listener.address:
            listener.in_doubt = False
            return
        if not address and not listener.in_doubt:  # the link may be about to go down, which is another event
            listener.in_doubt = True
            self._look_in(_SETTLING)
            return
        listener.address = address
        listener.in_doubt = False
        events.append(self._event(NetworkChange.MOVED, listener))

    def _read_anew(self, listener: Listener) -> None:
        """Let its messages say what the interface is called now."""
        reader = self._readers[listener.nic.number] = self._reader_of(listener)
        with self._lock:
            self._thread.unwatch(listener.socket)
            self._thread.watch({listener.socket: reader})

    def _event(self, change: NetworkChange, listener: Listener) -> NetworkEvent:
        return NetworkEvent(change, listener.nic.name, listener.address, time.time())

    def _rejoin(self, _scheduler: object, _state: object) -> None:
        if not self._closed:
            for listener in self._listeners.values():
                listener.rejoin()
            self._next_rejoin = self._thread.scheduler.schedule_relative(_REJOIN, self._rejoin)


def _check_loopback(group: Group, nic: Nic) -> None:
    """Raise ``NoRoute`` where nothing could ever be sent: Linux has no IPv6 multicast route on loopback by itself."""
    if nic.loopback and group.family == "IPv6" and nic.up and not host_addresses.source_address(group, nic):
        raise NoRoute(
            f"cannot open {group}: no route leads IPv6 multicast over {nic.name}; use an IPv4 group with "
            f'interface="loopback", or make one: ip -6 route add ff00::/8 dev {nic.name} table local'
        )
