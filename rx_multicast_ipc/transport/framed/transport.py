"""A reliable end around any other: locks, timers and queues around :class:`Endpoint`, which knows the protocol."""

from __future__ import annotations

import errno
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from random import SystemRandom
from typing import Final

from msgspec.structs import replace
from reactivex.abc import DisposableBase
from reactivex.scheduler import VirtualTimeScheduler

from ...channel_events import ChannelEvent
from ...channel_statistics import Statistics
from ...errors import ChannelClosed, SendFailed
from ...message import Address, Message
from ...option_values.reliable import Acknowledged, Reliable
from ..base import Changed, Deliver, Ended, Hears, Transport, WouldBlock, may_wait
from ..sealed.sealed_traffic_notice import SealedTrafficNotice
from ..udp.error_advice import send_failed
from .acknowledgement_waiters import Acknowledgement, Acknowledgements
from .delivery_queue import DeliveryQueue
from .endpoint import Endpoint
from .envelope import Envelope
from .packet_transport import PacketTransport
from .packets import HEADER_SIZE, packet_size

_log = logging.getLogger("rx_multicast_ipc")

_SEND_WAIT: Final = 5.0
"""Seconds that a send waits beyond the patience with slow receivers."""

_LEAST_PAUSE: Final = 1e-5
"""Seconds: so that a timer is never due before its time by a rounding error."""


class FramedTransport(PacketTransport):
    """A transport on which nothing gets lost unseen: in order, repaired, of any size up to a limit.

    After closing, the end inside lives on for a second at most, until what was sent is acknowledged.

    Args:
        transport: the one inside, opened with ``echo=False``. It belongs to the wrapper from now on.
        reliable: how it is to behave.
        hears: what it is to hear itself; the one inside hears what is sent to it alone in any case.
        echo: whether it hears its own messages to the group.
        envelope: is put around packets; None for none.
    """

    def __init__(
        self,
        transport: Transport,
        reliable: Reliable,
        hears: Hears = Hears.ALL,
        *,
        echo: bool = True,
        envelope: Envelope | None = None,
    ) -> None:
        super().__init__(transport, envelope)
        scheduler = transport.scheduler
        self._is_virtual = isinstance(scheduler, VirtualTimeScheduler)
        self._now = (lambda: scheduler.to_seconds(scheduler.now)) if self._is_virtual else time.monotonic
        self._options = reliable
        self._hears = hears
        self._echo = echo and hears is Hears.ALL
        self._writable = threading.Condition(self._lock)
        self._threads_waiting = 0
        self._waiting: list[Callable[[], None]] = []
        self._group_address = transport.group.address, transport.group.port
        self._several = transport.group.has_several_interfaces
        self._port = transport.sender_address[1]
        self._buffer = transport.statistics.receive_buffer
        size = packet_size(transport.group) - self.packets.overhead
        self._endpoint = Endpoint(reliable, size, self._buffer, SystemRandom(), self._now())
        clock = self._now if self._is_virtual else time.time
        self._queue = DeliveryQueue(self._lock, scheduler, clock, self._is_virtual, self._on_own_taken, self._called)
        self._acknowledgements = Acknowledgements(self._endpoint, scheduler)
        self._notice = SealedTrafficNotice(transport.group, self._tell)
        self._notice.told = envelope is not None
        self._timer: DisposableBase | None = None
        self._due = math.inf
        self._sent = self._sent_bytes = self._refused = 0
        self._begin()

    @property
    def payload_limit(self) -> int:
        return self._options.largest

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        with self._lock:
            self._deliver, self._ended, self._changed = deliver, ended, changed
            self._queue.start(deliver, changed)

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        if destination is None:
            with self._lock:
                if self._send_at_once(payload):
                    return
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
            waiting = self._acknowledgements.wait(done, self._forget_acknowledgement)
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

    def forget(self) -> None:
        super().forget()
        self._writable = threading.Condition(self._lock)
        self._queue.clear()

    @property
    def _lingers(self) -> bool:
        return not self._is_virtual

    def _begin(self) -> None:
        """Hear what receivers answer from the first send on; what is for the user waits for :meth:`start`."""
        try:
            self.inner.start(self._arrive, self._on_inside_ended, self._tell)
        except BaseException:
            self.inner.close()
            raise
        if self._hears is Hears.ALL:
            with self._lock:
                self._endpoint.announce(self._now())
                self._pump()
        self._close_with_the_process()

    def _count(self) -> Statistics:
        return replace(
            self.inner.statistics,
            lost=None,  # its packets are numbered anew, and repaired
            sent=self._sent,
            sent_bytes=self._sent_bytes,
            refused=self._refused,
            received=self._queue.received,
            received_bytes=self._queue.received_bytes,
            **self._endpoint.counts._asdict(),
            **self.packets.counts(),
        )

    # Sending

    def _send_at_once(self, payload: bytes) -> bool:
        """Send a message to the group, if nothing is in its way; with the lock."""
        outlet, queue = self.packets.outlet, self._queue
        if outlet.packets or outlet.is_sending or self._closed:
            return False
        if self._echo and not queue.has_room:
            return False
        if len(payload) > self._options.largest:
            return False
        now = self._now()
        packet = self._endpoint.packet_of(payload, now)
        if packet is None:
            return False
        outlet.send_now(packet)
        # What follows is done while the packet is on its way; nothing that answers it is taken before the lock is free.
        self._sent += 1
        self._sent_bytes += len(payload)
        if self._echo:
            queue.put_own((payload,), self.sender_address)
            queue.post()
        self._endpoint.note_sent()
        due = self._endpoint.due
        if due < self._due:
            self._set_timer(due, now)
        return True

    def _send(self, payloads: Sequence[bytes], destination: Address | None) -> None:
        if destination == self._group_address:
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
        if not payloads or (destination is None and not virtual and not self._queue.has_room):
            return 0
        if destination is not None and destination in self.own_addresses:
            self._note_sent(payloads)
            self._queue.put_own(payloads, self.sender_address, direct=True)
            self._queue.post()
            return len(payloads)
        taken = self._endpoint.send(payloads, destination, self._now(), all_of_them=virtual)
        if taken:
            some = payloads if taken == len(payloads) else payloads[:taken]
            self._note_sent(some)
            if destination is None and self._echo:
                self._queue.put_own(some, self.sender_address)
        self._pump()
        self._queue.post()
        return taken

    def _on_own_taken(self) -> None:
        if self._threads_waiting:
            self._writable.notify_all()

    def _note_sent(self, payloads: Sequence[bytes]) -> None:
        self._sent += len(payloads)
        self._sent_bytes += sum(map(len, payloads))

    @property
    def _has_space(self) -> bool:
        return self._is_virtual or (not self._endpoint.congested and self._queue.has_room)

    def _pump(self) -> None:
        """Let the protocol go on, and send what it gives; with the lock."""
        now = self._now()
        outlet = self.packets.outlet
        if not outlet.is_full:
            ready = self._endpoint.datagrams(now)
            if ready:
                outlet.put(ready)
        events = self._endpoint.events
        if events:
            if self._hears is not Hears.NOTHING and not self._closed:
                self._queue.put_arrived(events)
            events.clear()
        if outlet.packets:
            outlet.send()
        if self._waiting and self._has_space:
            waiting, self._waiting = self._waiting, []
            for action in waiting:
                self.inner.when_writable(action)
        if self._threads_waiting and not self._endpoint.congested:
            self._writable.notify_all()
        due = self._endpoint.timer()
        if self._acknowledgements:
            due = min(due, self._acknowledgements.look(now))
        if due < self._due:
            self._set_timer(due, now)

    def _set_timer(self, due: float, now: float) -> None:
        if self._timer is not None:
            self._timer.dispose()
        self._due = due
        self._timer = self.scheduler.schedule_relative(max(0.0, due - now) + _LEAST_PAUSE, self._on_timer)

    def _forget_acknowledgement(self, waiting: Acknowledgement) -> None:
        with self._lock:
            self._acknowledgements.forget(waiting)

    def _go_on(self) -> None:
        with self._lock:
            self.packets.outlet.go_on()
            self._pump()
        self._queue.drain()

    def _on_timer(self, _scheduler: object, _state: object) -> None:
        with self._lock:
            self._due, self._timer = math.inf, None
            if self._released.is_set:
                return
            self._pump()
        self._go_on_ending()

    # Receiving

    def _arrive(self, batch: list[Message]) -> None:
        if self._deliver is None:
            if self._queue.holds_more_than(self._buffer):  # as a full receive buffer
                return
        elif len(batch) == 1 and self._envelope is None and self._take_at_once(batch[0]):
            return
        if not self._notice.told:
            self._notice.look(batch[0])
        self.packets.arrive(batch, self._take)

    def _take_at_once(self, message: Message) -> bool:
        """Deliver a message that is just the next one; all else that it asks for is done after that."""
        sender = message.address, message.port
        if sender[1] == self._port and sender in self.own_addresses:
            return False
        data, queue, now = message.data, self._queue, self._now()
        with self._lock:
            if self._closed or queue.is_busy or self._hears is Hears.NOTHING or self.packets.shows_data:
                return False
            key = ("", sender[1]) if self._several else sender
            stream = self._endpoint.take_next(data, key, message.direct, now)
        if stream is None:
            return False
        queue.deliver(replace(message, data=data[HEADER_SIZE:]))
        if stream.owes_a_look:
            with self._lock:
                self._endpoint.look_for_status(stream, now)
                due = self._endpoint.due
                if due <= now:
                    self._pump()
                elif due < self._due:
                    self._set_timer(due, now)
        if self._closed:
            self._go_on_ending()
        return True

    def _take(self, batch: list[Message]) -> None:
        now, port, several = self._now(), self._port, self._several
        with self._lock:
            receive = self._endpoint.receive
            for message in batch:
                sender = message.address, message.port
                if sender[1] != port or sender not in self.own_addresses:
                    receive(message.data, sender, message.direct, message, now, ("", sender[1]) if several else None)
            self._pump()
        self._go_on_ending()

    def _tell(self, event: ChannelEvent) -> None:
        with self._lock:
            if not self._closed:
                self._queue.put_event(event)
        self._queue.drain()

    # Ending

    def _deliver_rest(self) -> None:
        self._queue.drain()

    def _on_closed(self) -> None:
        self._writable.notify_all()
        self._queue.stop()

    def _go_on_ending(self) -> None:
        """Deliver what came, or let go of the end inside once all is said."""
        self._queue.drain()
        if self._closed and self._endpoint.ended:
            self._release()

    def _end(self) -> None:
        """Tell the user that it has ended, and linger."""
        if self._told:
            return
        self.packets.close()
        with self._lock:
            self._queue.clear()
            self._final = self._count()
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
                self._final = replace(self._final, unacknowledged=lost)
            if self._timer is not None:
                self._timer.dispose()
            self.packets.clear()
        if lost:
            _log.warning("%s closed, and %d packets that it sent were not acknowledged", self.group, lost)
        self.inner.close(wait=False)

    def _on_inside_ended(self, fault: Exception | None) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
            self._due = -math.inf
        super()._on_inside_ended(fault)
        for action in waiting:
            self.inner.call(action)


def _with_count(error: SendFailed, sent: int) -> SendFailed:
    error.sent = sent
    return error
