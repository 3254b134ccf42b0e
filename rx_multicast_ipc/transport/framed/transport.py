"""A reliable end around any other: locks, timers and queues around :class:`Endpoint`, which knows the protocol."""

from __future__ import annotations

import errno
import logging
import math
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby, repeat
from random import SystemRandom
from typing import Any, Final

import msgspec
from reactivex.abc import DisposableBase
from reactivex.scheduler import VirtualTimeScheduler

from ...channel_events import ChannelEvent, Gap
from ...channel_statistics import Statistics
from ...errors import ChannelClosed, SendFailed
from ...message import Address, Message
from ...reliable import Acknowledged, Reliable
from ...subscribing.subscriber_errors import report
from .. import close_at_exit
from ..base import Changed, Deliver, Ended, Hears, Transport, WouldBlock, may_wait
from ..latch import Latch
from ..udp.error_advice import send_failed
from ..wrapper import TransportWrapper
from .acknowledgement import Acknowledgement
from .endpoint import Endpoint
from .packet_outlet import PacketOutlet
from .reassembly import Hole

_log = logging.getLogger("rx_multicast_ipc")

_PACKET: Final = 1400
"""Bytes of a packet on a network: fits in an Ethernet frame, with room for tunnels."""

_LOOPBACK_PACKET: Final = 16_000
"""Bytes of a packet that stays on this machine."""

_SEND_WAIT: Final = 5.0
"""Seconds that a send waits beyond the patience with slow receivers."""

_OWN_CAPACITY: Final = 4 << 20
"""Bytes of own messages that may wait to be delivered here before a sender has to wait."""

_OWN_DELAY: Final = 0.0005
"""Seconds that own messages wait for more, or for something from others: a wake-up costs as much as a send."""

_OWN_DELAY_UNAWAITED: Final = 0.01
"""The same where nobody is subscribed."""

_RECORD: Final = 256
"""Bytes that an own message counts beside its payload."""

_CLOSE_WAIT: Final = 5.0
"""Seconds that close waits for a delivery under way."""

_LINGER_WAIT: Final = 1.5
"""Seconds that close waits for acknowledgements, and a little more."""

_LEAST_PAUSE: Final = 1e-5
"""Seconds: so that a timer is never due before its time by a rounding error."""


class FramedTransport(TransportWrapper):
    """A transport on which nothing gets lost unseen: in order, repaired, of any size up to a limit.

    Closing ends it for its user at once, where ``ended`` is called; the end inside lives on for a second at most, until
    what was sent is acknowledged. :meth:`close` from another thread waits for that.

    Args:
        transport: the one inside, opened with ``echo=False``. It belongs to the wrapper from now on.
        reliable: how it is to behave.
        hears: what it is to hear itself; the one inside hears what is sent to it alone in any case.
        echo: whether it hears its own messages to the group.
        packet_size: bytes of its packets; None for what suits the group.
    """

    def __init__(
        self,
        transport: Transport,
        reliable: Reliable,
        hears: Hears = Hears.ALL,
        *,
        echo: bool = True,
        packet_size: int | None = None,
    ) -> None:
        super().__init__(transport)
        scheduler = transport.scheduler
        self._is_virtual = isinstance(scheduler, VirtualTimeScheduler)
        self._now = (lambda: scheduler.to_seconds(scheduler.now)) if self._is_virtual else time.monotonic
        self._options = reliable
        self._hears = hears
        self._echo = echo and hears is Hears.ALL
        self._lock = threading.RLock()  # a signal handler may send while its thread does
        self._writable = threading.Condition(self._lock)
        self._several = transport.group.has_several_interfaces
        size = packet_size or (_LOOPBACK_PACKET if transport.group.is_loopback else _PACKET)
        self._port = transport.sender_address[1]
        self._buffer = transport.statistics.receive_buffer
        self._endpoint = Endpoint(reliable, size, self._buffer, SystemRandom(), self._now())
        self._deliver: Deliver | None = None
        self._awaited: Callable[[], bool] = _always
        self._ended: Ended | None = None
        self._changed: Changed | None = None
        self._fault: Exception | None = None
        self._closed = self._told = False
        self._over = Latch()
        self._released = Latch()
        self._final: Statistics | None = None
        self._ready: deque[list[Message] | Gap] = deque()
        self._own_size = 0
        self._draining = self._drain_posted = False
        self._outlet = PacketOutlet(transport, self._go_on)
        self._threads_waiting = 0
        self._waiting: list[Callable[[], None]] = []
        self._acknowledgements: dict[Acknowledgement, None] = {}
        self._timer: DisposableBase | None = None
        self._due = math.inf
        self._sent = self._sent_bytes = self._refused = self._received = self._received_bytes = 0
        self._begin()

    @property
    def payload_limit(self) -> int:
        return self._options.largest

    @property
    def closed(self) -> bool:
        return self._closed or self.inner.closed

    @property
    def ended(self) -> bool:
        return self._over.is_set

    @property
    def statistics(self) -> Statistics:
        with self._lock:
            return self._final or self._count()

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        with self._lock:
            self._deliver, self._ended, self._changed = deliver, ended, changed
            self._awaited = getattr(deliver, "awaited", _always)
            self._post_drain()

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        self._send((payload,), destination)

    def send_many(self, payloads: Sequence[bytes]) -> None:
        self._send(payloads, None)

    def send_acknowledged(self, payload: bytes, done: Callable[[Acknowledged], None]) -> Acknowledgement:
        """Send to the group, and call ``done`` on the I/O thread when all who are there have it.

        Raises:
            WouldBlock, SendFailed, ChannelClosed: as for :meth:`send`.
        """
        with self._lock:
            self._send((payload,), None)
            waiting = Acknowledgement(self._endpoint.mark(), done, self._forget_acknowledgement)
            self._acknowledgements[waiting] = None
            self._pump()
        return waiting

    def lacking(self, waiting: Acknowledgement) -> list[Address]:
        """Who has yet to acknowledge it."""
        with self._lock:
            return self._endpoint.lacking(waiting.mark)

    def when_writable(self, action: Callable[[], None]) -> None:
        with self._lock:
            if self._has_space or self._closed:
                self.inner.when_writable(action)
            else:
                self._waiting.append(action)

    def close(self, *, wait: bool = True) -> None:
        with self._lock:
            self._closed = True
            self._writable.notify_all()
        if not self._released.is_set:
            self.inner.call(self._end)
        if wait and may_wait() and not self._over.wait(_CLOSE_WAIT):
            _log.warning(
                "closing %s: a subscriber has kept the I/O thread busy for %g s; it closes when that ends",
                self.group,
                _CLOSE_WAIT,
            )
        if wait and may_wait() and not self._is_virtual:
            self._released.wait(_LINGER_WAIT)

    def finish(self, deadline: float) -> None:
        """See :class:`close_at_exit.ClosesAtExit`."""
        self.scheduler.schedule(lambda _scheduler, _state: self.close(wait=False))

    def wait_ended(self, seconds: float) -> bool:
        """See :class:`close_at_exit.ClosesAtExit`."""
        return self._released.wait(seconds)

    def forget(self) -> None:
        """See :class:`close_at_exit.ClosesAtExit`."""
        self._lock = threading.RLock()
        self._writable = threading.Condition(self._lock)
        self._closed = True
        self._final = self._final or Statistics()
        self._over.set()
        self._released.set()
        self._outlet.clear()
        self._ready.clear()
        innermost: Any = self._innermost
        innermost.forget()

    @property
    def _innermost(self) -> Transport:
        inner = self.inner
        while isinstance(inner, TransportWrapper):
            inner = inner.inner
        return inner

    def _wall_clock(self) -> float:
        return self._now() if self._is_virtual else time.time()

    def _begin(self) -> None:
        """Hear what receivers answer from the first send on; what is for the user waits for :meth:`start`."""
        try:
            self.inner.start(self._arrive, self._on_inside_ended, self._on_changed)
        except BaseException:
            self.inner.close()
            raise
        if self._hears is Hears.ALL:
            with self._lock:
                self._endpoint.announce(self._now())
                self._pump()
        innermost: Any = self._innermost
        if hasattr(innermost, "forget"):  # else it holds nothing that outlives the process
            close_at_exit.discard(innermost)
            close_at_exit.add(self)

    def _count(self) -> Statistics:
        return msgspec.structs.replace(
            self.inner.statistics,
            lost=None,  # its packets are numbered anew, and repaired
            sent=self._sent,
            sent_bytes=self._sent_bytes,
            refused=self._refused,
            received=self._received,
            received_bytes=self._received_bytes,
            **self._endpoint.counts._asdict(),
        )

    # Sending

    def _send(self, payloads: Sequence[bytes], destination: Address | None) -> None:
        if destination == (self.group.address, self.group.port):
            destination = None
        sent, deadline, limit = 0, 0.0, self.payload_limit
        while sent < len(payloads):
            with self._lock:
                if self._closed or self.inner.closed:
                    raise ChannelClosed
                taken = self._offer([*payloads[sent:]] if sent else payloads, destination, limit)
                sent += taken
                if sent == len(payloads):
                    return
                if len(payloads[sent]) > limit:
                    self._refused += 1
                    error = OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
                    raise _with_count(send_failed(self.group, destination, error), sent) from error
                if taken:
                    deadline = 0.0
                    continue
                if not may_wait():
                    raise _with_count(WouldBlock("the window is full; receivers are slower than this sender"), sent)
                deadline = deadline or time.monotonic() + self._options.patience + _SEND_WAIT
                if time.monotonic() >= deadline:
                    self._refused += 1
                    raise _with_count(SendFailed(f"nothing can be sent to {self.group}: the window stays full"), sent)
                self._threads_waiting += 1
                try:
                    self._writable.wait(min(0.1, deadline - time.monotonic()))
                finally:
                    self._threads_waiting -= 1

    def _offer(self, payloads: Sequence[bytes], destination: Address | None, limit: int) -> int:
        """Pass on what there is room for, up to one that is too large; returns how many."""
        if max(map(len, payloads)) > limit:
            payloads = payloads[: next(number for number, payload in enumerate(payloads) if len(payload) > limit)]
        virtual = self._is_virtual  # then nobody can wait: no time would pass
        if not payloads or (self._own_size >= _OWN_CAPACITY and destination is None and not virtual):
            return 0
        if destination is not None and destination in self.own_addresses:
            self._sent += len(payloads)
            self._sent_bytes += sum(map(len, payloads))
            self._hear_itself(payloads, direct=True)
            self._post_drain()
            return len(payloads)
        taken = self._endpoint.send(payloads, destination, self._now(), all_of_them=virtual)
        if taken:
            some = payloads if taken == len(payloads) else payloads[:taken]
            self._sent += taken
            self._sent_bytes += sum(map(len, some))
            if destination is None and self._echo:
                self._hear_itself(some)
        self._pump()
        self._post_drain()
        return taken

    def _hear_itself(self, payloads: Sequence[bytes], *, direct: bool = False) -> None:
        address, port = self.sender_address
        family = "IPv6" if ":" in address else "IPv4"
        fields = (address, port, family, self._wall_clock(), direct)
        self._ready.append([*map(Message, payloads, *map(repeat, fields))])
        self._own_size += sum(map(len, payloads)) + _RECORD * len(payloads)

    @property
    def _has_space(self) -> bool:
        return self._is_virtual or (not self._endpoint.congested and self._own_size < _OWN_CAPACITY)

    def _pump(self) -> None:
        """Let the protocol go on, and send what it gives; with the lock."""
        now = self._now()
        if not self._outlet.is_full:
            self._outlet.put(self._endpoint.datagrams(now))
        self._take_events()
        self._outlet.send()
        if self._waiting and self._has_space:
            waiting, self._waiting = self._waiting, []
            for action in waiting:
                self.inner.when_writable(action)
        if self._threads_waiting and not self._endpoint.congested:
            self._writable.notify_all()
        due = self._endpoint.timer()
        if self._acknowledgements:
            self._look_for_acknowledgements(now)
            if now < self._endpoint.settled_at:
                due = min(due, self._endpoint.settled_at)
        if due < self._due:
            if self._timer is not None:
                self._timer.dispose()
            self._due = due
            self._timer = self.scheduler.schedule_relative(max(0.0, due - now) + _LEAST_PAUSE, self._on_timer)

    def _look_for_acknowledgements(self, now: float) -> None:
        for waiting in list(self._acknowledgements):
            acknowledged = self._endpoint.acknowledged(waiting.mark, now)
            if acknowledged is not None:
                del self._acknowledgements[waiting]
                self.scheduler.schedule(partial(waiting.tell, acknowledged))

    def _forget_acknowledgement(self, waiting: Acknowledgement) -> None:
        with self._lock:
            self._acknowledgements.pop(waiting, None)

    def _go_on(self) -> None:
        with self._lock:
            self._outlet.go_on()
            self._pump()
        self._drain()

    def _on_timer(self, _scheduler: object, _state: object) -> None:
        with self._lock:
            self._due, self._timer = math.inf, None
            if self._released.is_set:
                return
            self._pump()
            ended = self._closed and self._endpoint.ended
        self._drain()
        if ended:
            self._release()

    # Receiving

    def _arrive(self, batch: list[Message]) -> None:
        now, own, port = self._now(), self.own_addresses, self._port
        if self._deliver is None and self._waits_too_much:
            return  # as where a receive buffer is full
        with self._lock:
            receive = self._endpoint.receive
            for message in batch:
                sender = message.address, message.port
                if message.port != port or sender not in own:
                    same = ("", message.port) if self._several else None
                    receive(message.data, sender, message.direct, message, now, same)
            self._pump()
            ended = self._closed and self._endpoint.ended
        self._drain()
        if ended:
            self._release()

    @property
    def _waits_too_much(self) -> bool:
        """Whether too much waits for somebody to start this end."""
        size = sum(len(message.data) + _RECORD for what in self._ready if isinstance(what, list) for message in what)
        return size > self._buffer

    def _take_events(self) -> None:
        events = self._endpoint.events
        if not events:
            return
        if self._hears is Hears.NOTHING or self._closed:
            pass
        elif len(events) == 1 and not isinstance(events[0].what, Hole):
            self._ready.append(_messages(events[0].what))
        else:
            for is_hole, group in groupby(events, lambda event: isinstance(event.what, Hole)):
                if is_hole:
                    at = self._wall_clock()
                    self._ready += [
                        Gap(event.sender, event.what.packets, event.what.reason, at)
                        for event in group
                        if isinstance(event.what, Hole)
                    ]
                else:
                    self._ready.append([message for event in group for message in _messages(event.what)])
        events.clear()

    def _post_drain(self) -> None:
        """Have what is ready delivered on the I/O thread; with the lock."""
        if self._ready and self._deliver is not None and not self._drain_posted and not self._draining:
            self._drain_posted = True
            delay = _OWN_DELAY if self._awaited() else _OWN_DELAY_UNAWAITED
            self.scheduler.schedule_relative(0.0 if self._is_virtual else delay, self._on_drain)

    def _on_drain(self, _scheduler: object, _state: object) -> None:
        self._drain_posted = False
        self._drain()

    def _drain(self) -> None:
        """Deliver what is ready, in order; on the I/O thread, without the lock."""
        if self._draining:
            return
        self._draining = True
        try:
            while not self._over.is_set and not self._closed and self._deliver is not None:
                with self._lock:
                    if not self._ready:
                        return
                    what = self._ready.popleft()
                    if isinstance(what, list) and what[0].port == self._port and what[0].sender in self.own_addresses:
                        self._own_size -= sum(len(message.data) + _RECORD for message in what)
                        self._writable.notify_all()
                self._hand_over(what)
        finally:
            self._draining = False
            with self._lock:
                if self._closed:
                    self._ready.clear()
                    self._own_size = 0

    def _hand_over(self, what: list[Message] | Gap) -> None:
        try:
            if isinstance(what, Gap):
                if self._changed is not None:
                    self._changed(what)
            elif self._deliver is not None:
                self._received += len(what)
                self._received_bytes += sum([len(message.data) for message in what])
                self._deliver(what)
        except Exception as error:
            report(error)

    def _on_changed(self, event: ChannelEvent) -> None:
        if self._changed is not None and not self._closed:
            self._changed(event)

    # Ending

    def _end(self) -> None:
        """Tell the user that it has ended, and linger; on the I/O thread."""
        if self._told:
            return
        with self._lock:
            self._final = self._count()
            self._ready.clear()
            self._endpoint.end(self._now())
            self._pump()
            lingers = not self._endpoint.ended
        if not lingers:
            self._release()
        self._tell_ended(None)

    def _release(self) -> None:
        """Let go of the end inside."""
        if self._released.is_set:
            return
        with self._lock:
            lost = self._endpoint.counts.unacknowledged
            if self._final is not None:
                self._final = msgspec.structs.replace(self._final, unacknowledged=lost)
            if self._timer is not None:
                self._timer.dispose()
            self._outlet.clear()
        if lost:
            _log.warning("%s closed, and %d packets that it sent were not acknowledged", self.group, lost)
        self.inner.close(wait=False)

    def _on_inside_ended(self, fault: Exception | None) -> None:
        with self._lock:
            self._closed = True
            self._final = self._final or self._count()
            self._writable.notify_all()
            waiting, self._waiting = self._waiting, []
            self._due = -math.inf
        close_at_exit.discard(self)
        self._tell_ended(fault)
        self._released.set()
        for action in waiting:
            self.inner.call(action)

    def _tell_ended(self, fault: Exception | None) -> None:
        with self._lock:
            told, self._told = self._told, True
        if not told:
            try:
                if self._ended is not None:
                    self._ended(fault)
            finally:
                self._over.set()


def _always() -> bool:
    return True


def _messages(delivery: Any) -> list[Message]:
    origin: Message = delivery.origin
    return [
        Message(data, origin.address, origin.port, origin.family, origin.received_at, origin.direct, origin.interface)
        for data in delivery.messages
    ]


def _with_count(error: SendFailed, sent: int) -> SendFailed:
    error.sent = sent
    return error
