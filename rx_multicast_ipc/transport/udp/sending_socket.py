"""The way out: the socket that sends, by one interface or several, and waits where its buffer is full."""

from __future__ import annotations

import errno
import logging
import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Final

from ...errors import ChannelClosed, SendFailed
from ...group import Group
from ...message import Address
from ...subscribing.subscriber_errors import report
from ..base import WouldBlock, may_wait
from ..delivered_batch import HERE, NOBODY_LOOKS, Gathered
from ..own_messages import OwnMessages
from . import batch_sending, host_addresses, socket_options, socket_plans
from .error_advice import send_failed
from .gathered_sends import GatheredSends, Told, tell
from .group_socket import OwnSends
from .interfaces import Nic
from .io_thread import IoThread

_log = logging.getLogger("rx_multicast_ipc")

_SEND_WAIT: Final = 5.0
"""Seconds that a send waits for a full buffer."""

_MOST_HELD: Final = 65_536
"""Sends that wait for a full buffer without a thread of their own."""

_TRY_AGAIN: Final = 0.05
"""Seconds until another try to wait for the buffer, where there was no descriptor left for it."""

# Not epoll, which needs a descriptor of its own and forgets a socket that is closed.
_Poller: Final[type[selectors.BaseSelector]] = getattr(selectors, "PollSelector", selectors.SelectSelector)


class Outlet:
    """Sends datagrams. Raises ``CannotOpen`` and leaves nothing open.

    Args:
        group: where to.
        nics: by which interfaces, until :meth:`turn_to` says otherwise; by their index.
        receive_buffer: bytes to ask for, for the replies that come to this socket.
        thread: runs what waited for a full buffer.
        own: takes what is sent to the group, before anybody can answer it.
        from_group: whether to send from the group's port.
        hear_own: called, on the sending thread, once something was put there.

    Attributes:
        socket: also hears the replies.
        lock: held while the socket is in use, so that it is not closed, and its number reused, under a call.
        sent, sent_bytes, refused: datagrams and bytes, so far.
        addresses: where its datagrams come from: one an interface, and IPv6 link-local ones as each of them hears it.
        address: the first of them.
    """

    def __init__(
        self,
        group: Group,
        nics: Mapping[int, Nic],
        receive_buffer: int,
        thread: IoThread,
        own: OwnMessages | None = None,
        hear_own: Callable[[], None] = lambda: None,
        *,
        from_group: bool = False,
    ) -> None:
        self._group = group
        self._destination: Address = group.address, group.port
        self._is_ipv6 = group.family == "IPv6"
        self._thread = thread
        self.lock = threading.RLock()  # a signal handler may close while its thread sends
        self._shut = False
        self._held: deque[Callable[[], None]] = deque()
        self._again: deque[Callable[[], None]] = deque()
        self._gathered = GatheredSends()
        self._gathered_later = False
        self._running = False
        self._writable: socket.socket | None = None
        self._failing: set[str] = set()
        self.sent = self.sent_bytes = self.refused = 0
        self._echo = own is not None
        self._own = own or OwnMessages(self._destination, 0)
        self._hear_own = hear_own
        self._datagrams_to_group = self._packets_to_group = 0
        self.socket = socket_options.open_socket(
            group,
            socket_plans.send_plan(group, next(iter(nics.values()), None), receive_buffer, from_group=from_group),
        )
        self._port: int = self.socket.getsockname()[1]
        self._nics: tuple[Nic, ...] = ()
        self.turn_to(nics)

    def turn_to(self, nics: Mapping[int, Nic]) -> None:
        """Send by these interfaces from now on."""
        by_name = {nic.name: host_addresses.source_address(self._group, nic) for nic in nics.values()}
        found = list(filter(None, by_name.values()))
        addresses = [(address, self._port) for address in found]
        # On two interfaces of one segment, each also hears the other.
        crossed = [
            (f"{address.partition('%')[0]}%{nic.name}", self._port)
            for address in found
            if "%" in address
            for nic in nics.values()
        ]
        with self.lock:
            self._nics = tuple(nics.values())
            self._one_nic = len(nics) == 1
            self._name = self._nics[0].name if self._one_nic and self._group.has_several_interfaces else ""
            self.address: Address = addresses[0] if addresses else ("::" if self._is_ipv6 else "0.0.0.0", self._port)
            self._echoed = self._senders_echoed(by_name)
            self.addresses = frozenset((*addresses, *crossed))
            if self._one_nic and not self._shut:
                with suppress(OSError):  # an interface that just went away: the notice of it is on its way
                    socket_options.apply(self.socket, socket_plans.outgoing(self._group, self._nics[0]))

    @property
    def sent_to_group(self) -> OwnSends:
        """Datagrams sent to the group, so far, and as how many packets."""
        return OwnSends(self._datagrams_to_group, self._packets_to_group)

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        """See :meth:`rx_multicast_ipc.transport.Transport.send`."""
        if destination is not None and destination[1] == self._group.port and self._is_group(destination[0]):
            destination = None
        deadline = 0.0
        copies: _Copies | None = None
        while True:
            if self._gathered.waiting:
                self.send_gathered()
            with self.lock:
                if self._shut:
                    raise ChannelClosed
                try:
                    if self._gathered.waiting or ((self._held or self._running) and self._is_late()):
                        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
                    if destination is not None:
                        self.socket.sendto(
                            payload, host_addresses.ipv6_destination(destination) if self._is_ipv6 else destination
                        )
                    elif self._one_nic:
                        self._send_to_group(payload, self._name)
                    else:
                        copies = copies or _Copies(self._nics)
                        self._send_to_each(payload, copies)
                except BlockingIOError as error:
                    full = error
                    if copies is not None and copies.taken and not may_wait():  # it is on its way: the rest follows
                        self.sent += 1
                        self.sent_bytes += len(payload)
                        self.when_writable(partial(self._send_rest, payload, copies))
                        break
                except OSError as error:
                    self.refused += 1
                    raise send_failed(self._group, destination, error) from error
                else:
                    self.sent += 1
                    self.sent_bytes += len(payload)
                    break
            deadline = deadline or time.monotonic() + _SEND_WAIT
            self._wait_until_writable(deadline, destination, full)
        if self._own.pending:
            self._hear_own()

    def send_many(self, payloads: Sequence[bytes]) -> None:
        """See :meth:`rx_multicast_ipc.transport.Transport.send_many`."""
        sent = 0
        if self._gathered.waiting:
            self.send_gathered()
        try:
            while sent < len(payloads):
                with self.lock:
                    if self._shut:
                        raise ChannelClosed
                    if self._one_nic and not self._gathered.waiting and not self._is_late():
                        some = payloads[sent:] if sent else payloads
                        sent += self._send_many_to_group(some)
                if sent < len(payloads):
                    self.send(payloads[sent])
                    sent += 1
        except SendFailed as error:
            error.sent = sent
            raise
        finally:
            if self._own.pending:
                self._hear_own()

    def send_soon(self, payload: bytes, whose: Gathered = NOBODY_LOOKS) -> bool:
        """See :meth:`rx_multicast_ipc.transport.delivered_batch.Gathers.send_soon`."""
        batch = HERE.batch
        if batch is None or not batch.is_quick() or not self._one_nic or self._gathered_later:
            self.send(payload)
            if batch is not None:
                batch.sends()
            return False
        batch.sends()
        with self.lock:
            if self._shut:
                raise ChannelClosed
            self._gathered.add(payload, whose)
            is_full = self._gathered.is_full
        batch.at_end(self.send_gathered)
        if is_full:
            self.send_gathered()
        return True

    def send_gathered(self) -> None:
        """See :meth:`rx_multicast_ipc.transport.delivered_batch.Gathers.send_gathered`."""
        told = self._send_gathered()
        if self._own.pending:
            self._hear_own()
        tell(told)

    def when_writable(self, action: Callable[[], None]) -> None:
        """Run ``action`` on the thread as soon as the buffer may have space, after those that waited before it."""
        with self.lock:
            if self._runs_here:
                self._again.append(action)
                return
            self._held.append(action)
            first = len(self._held) == 1 and not self._running
        if first:
            self._thread.call(self._watch_for_space)

    @property
    def is_in_use_here(self) -> bool:
        """Whether this very thread holds the lock: a signal handler interrupted what it does."""
        return self.lock._is_owned()  # pyright: ignore

    def shut(self) -> None:
        """Send nothing more than what was to be sent already."""
        with self.lock:
            told = self._send_gathered()
            self._shut = True
        tell(told)

    def close(self) -> None:
        """Let go of the socket; whoever waits to send is told that it came too late. Once shut, on the thread."""
        self._forget_space()
        with self.lock:
            with suppress(OSError):  # ENOTCONN, but it ends the wait of those that wait to send
                self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()
        self._run_held()

    def forget(self) -> None:
        """Let go of the parent's socket in a forked child, without waiting for a lock."""
        self.lock = threading.RLock()
        self._shut = True
        self._held.clear()
        self._gathered.clear()
        with suppress(OSError):
            self._forget_space()
            self.socket.close()

    def _is_group(self, address: str) -> bool:
        return address.partition("%")[0] == self._group.address

    def _senders_echoed(self, by_name: Mapping[str, str]) -> dict[str, Address]:
        """By interface, or ``""`` where there is but one: the address that its own messages come from, if heard.

        A member that names its sources hears itself only if it is among them.
        """
        if not self._echo:
            return {}
        senders: dict[str, Address] = {name: (address, self._port) for name, address in by_name.items() if address}
        senders[self._name] = senders.get(self._name, self.address)
        sources = self._group.sources
        return {name: sender for name, sender in senders.items() if not sources or sender[0] in sources}

    def _send_to_group(self, payload: bytes, interface: str) -> None:
        sender = self._echoed.get(interface)
        if sender is None:
            self.socket.sendto(payload, self._destination)
        else:
            payloads = (payload,)
            self._own.put(payloads, sender, interface)
            try:
                self.socket.sendto(payload, self._destination)
            except BaseException:
                self._own.put_back(payloads)
                raise
        self._datagrams_to_group += 1
        self._packets_to_group += 1

    def _send_many_to_group(self, payloads: Sequence[bytes]) -> int:
        own, sender = self._own, self._echoed.get(self._name)
        if sender is not None:
            own.put(payloads, sender, self._name)
        done = 0
        try:
            done, packets = batch_sending.send_many(self.socket, payloads, self._destination)
        finally:
            if sender is not None and done < len(payloads):
                own.put_back(payloads)
                own.put(payloads[:done], sender, self._name)
        self._datagrams_to_group += done
        self._packets_to_group += packets
        self.sent += done
        self.sent_bytes += sum(map(len, payloads[:done] if done < len(payloads) else payloads))
        return done

    def _send_gathered(self) -> Told:
        with self.lock:
            if not self._gathered.waiting:
                return []
            if self._shut:
                return self._gathered.refuse(ChannelClosed)
            told = [] if self._is_late() else self._gathered.send(self._send_many_to_group, self._send_one_to_group)
            if self._gathered.waiting and not self._gathered_later:
                self._gathered_later = True
                self.when_writable(self._send_gathered_later)
            return told

    def _send_gathered_later(self) -> None:
        self._gathered_later = False
        self.send_gathered()

    def _send_one_to_group(self, payload: bytes) -> None:
        try:
            self._send_to_group(payload, self._name)
        except BlockingIOError:
            raise
        except OSError as error:
            self.refused += 1
            raise send_failed(self._group, None, error) from error
        self.sent += 1
        self.sent_bytes += len(payload)

    def _send_to_each(self, payload: bytes, copies: _Copies) -> None:
        """Send by every interface that is left; fails where none takes it, else what fails is counted, and logged once.

        Raises ``BlockingIOError`` where the buffer is full, and goes on from there when called again.
        """
        while copies.left:
            nic = copies.left[0]
            try:
                socket_options.apply(self.socket, socket_plans.outgoing(self._group, nic))
                self._send_to_group(payload, nic.name)
            except BlockingIOError:
                raise
            except OSError as error:
                copies.failures.append(error)
                if nic.name not in self._failing:
                    self._failing.add(nic.name)
                    _log.warning("%s: nothing can be sent on %s: %s", self._group, nic.name, error)
            else:
                copies.taken += 1
                self._failing.discard(nic.name)
            copies.left.popleft()
        if not copies.taken:
            raise copies.failures[-1] if copies.failures else OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        self.refused += len(copies.failures)

    def _send_rest(self, payload: bytes, copies: _Copies) -> None:
        with self.lock:
            if self._shut:
                self.refused += len(copies.left)
                return
            try:
                self._send_to_each(payload, copies)
            except BlockingIOError:
                self.when_writable(partial(self._send_rest, payload, copies))
        if self._own.pending:
            self._hear_own()

    def _wait_until_writable(self, deadline: float, destination: Address | None, full: OSError) -> None:
        waits = may_wait()
        if not waits and len(self._held) < _MOST_HELD:
            raise WouldBlock(str(send_failed(self._group, destination, full))) from full
        remaining = deadline - time.monotonic()
        if not waits or remaining <= 0:
            self.refused += 1
            raise send_failed(self._group, destination, full) from full
        with suppress(OSError, ValueError), _Poller() as waiting:  # else: closed meanwhile
            waiting.register(self.socket, selectors.EVENT_WRITE)
            waiting.select(remaining)

    def _watch_for_space(self) -> None:
        if self._shut:
            self._run_held()
        if self._shut or self._writable is not None:
            return
        try:
            self._writable = (
                self.socket.dup()
            )  # for a poller takes a descriptor once, and this one is watched for reading
            self._thread.watch({self._writable: self._has_space}, for_writing=True)
        except OSError as error:
            _log.warning("%s: cannot wait for the send buffer, will try again: %s", self._group, error)
            self._forget_space()
            self._thread.scheduler.schedule_relative(_TRY_AGAIN, lambda _scheduler, _state: self._watch_for_space())

    def _has_space(self) -> int:
        self._forget_space()
        self._run_held()
        return 0

    def _forget_space(self) -> None:
        room, self._writable = self._writable, None
        if room is not None:
            self._thread.unwatch(room)
            room.close()

    def _run_held(self) -> None:
        """Run what waits to send, in order, until the buffer is full again; on the thread."""
        with self.lock:
            self._running, most = True, len(self._held)
        for _ in range(most):
            with self.lock:
                if self._again or not self._held:  # the latter: closed by the one before
                    break
                action = self._held.popleft()
            try:
                action()
            except BaseException as error:
                report(error)
        with self.lock:
            self._running = False
            self._held.extendleft(reversed(self._again))
            self._again.clear()
            more = bool(self._held)
        if more:
            self._watch_for_space()

    @property
    def _runs_here(self) -> bool:
        return self._running and self._thread.is_current

    def _is_late(self) -> bool:
        """Whether others wait to send, and this thread would overtake them."""
        if not (self._held or self._running) or may_wait():
            return False
        return not self._runs_here or bool(self._again)


class _Copies:
    """A datagram on its way out by several interfaces: by which it has yet to go, and how it fared on the others."""

    def __init__(self, nics: Iterable[Nic]) -> None:
        self.left = deque(nics)
        self.taken = 0
        self.failures: list[OSError] = []
