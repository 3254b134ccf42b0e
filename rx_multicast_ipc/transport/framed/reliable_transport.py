"""A reliable end around any other: locks, timers and queues around :class:`Endpoint`, which knows the protocol."""

from __future__ import annotations

import logging
from collections.abc import Callable

from msgspec.structs import replace
from reactivex.scheduler import VirtualTimeScheduler

from ...channel_events import ChannelEvent
from ...channel_scheduler import clock_of, wall_clock_of
from ...channel_statistics import Statistics
from ...message import Address, Message
from ...option_values.reliable import Acknowledged, Reliable
from ..base import Changed, Deliver, Ended, Hears, Transport, WouldBlock
from ..random_numbers import random_of
from ..sealed.sealed_traffic_notice import SealedTrafficNotice
from .acknowledgement_waiters import Acknowledgement
from .delivery_queue import DeliveryQueue
from .endpoint import Endpoint
from .endpoint_driver import EndpointDriver
from .envelope import Envelope
from .packet_arrivals import PacketArrivals
from .packet_transport import PacketTransport
from .packets import packet_size
from .send_calls import SendCalls

_log = logging.getLogger("rx_multicast_ipc")


class ReliableTransport(PacketTransport):
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
        is_virtual = isinstance(scheduler, VirtualTimeScheduler)
        now = clock_of(scheduler)
        self._options = reliable
        self._hears = hears
        self._buffer = transport.statistics.receive_buffer
        size = packet_size(transport.group) - self.packets.overhead
        self._endpoint = Endpoint(reliable, size, self._buffer, random_of(transport), now())
        self._queue = DeliveryQueue(
            *(self._lock, scheduler, wall_clock_of(scheduler), is_virtual, self._on_own_taken, self._called)
        )
        self._driver = EndpointDriver(
            *(transport, self.packets, self._endpoint, self._queue, now, self._on_due),
            is_virtual=is_virtual,
            delivers=hears is not Hears.NOTHING,
        )
        self._arrivals = PacketArrivals(self._driver, transport)
        self._sends = SendCalls(
            self._driver, transport, self.packets.outlet, reliable, echo=echo and hears is Hears.ALL
        )
        # Not wrapped: between a message and its answer each call counts.
        self.send, self.send_many = self._sends.send, self._sends.send_many
        self._takes_at_once = envelope is None and hears is not Hears.NOTHING
        self._notice = SealedTrafficNotice(transport.group, self._tell)
        self._notice.told = envelope is not None
        self._begin()

    @property
    def payload_limit(self) -> int:
        return self._options.largest

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        with self._lock:
            self._deliver, self._ended, self._changed = deliver, ended, changed
            self._queue.start(deliver, changed)

    def send_acknowledged(self, payload: bytes, done: Callable[[Acknowledged], None]) -> Acknowledgement:
        """Send to the group, and call ``done`` on the I/O thread when all who are there have it.

        Raises:
            WouldBlock, SendFailed, ChannelClosed: as for :meth:`send`.
        """
        if self._sends.is_in_use_here:
            raise WouldBlock(
                "a signal handler interrupted a send of this channel; it goes on as soon as that has ended"
            )
        waiting: list[Acknowledgement] = []

        def wait() -> None:
            waiting.append(self._driver.awaiting.wait(done, self._forget_acknowledgement))
            self._driver.go_on(heard=False)

        self._sends.send_all((payload,), then=wait)
        return waiting[0]

    def lacking(self, waiting: Acknowledgement) -> list[Address]:
        """Who has yet to acknowledge it."""
        with self._lock:
            return self._driver.awaiting.lacking(waiting)

    def when_writable(self, action: Callable[[], None]) -> None:
        with self._lock:
            if self._closed:
                self.inner.when_writable(action)
            else:
                self._driver.when_writable(action)

    def forget(self) -> None:
        super().forget()
        self._driver.forget()

    @property
    def _lingers(self) -> bool:
        return not self._driver.is_virtual

    def _begin(self) -> None:
        """Hear what receivers answer from the first send on; what is for the user waits for :meth:`start`."""
        try:
            self.inner.start(self._arrive, self._on_inside_ended, self._tell)
        except BaseException:
            self.inner.close()
            raise
        if self._hears is Hears.ALL:
            with self._lock:
                self._endpoint.announce(self._driver.now())
                self._driver.go_on(heard=False)
        self._close_with_the_process()

    def _count(self) -> Statistics:
        return replace(
            self.inner.statistics,
            lost=None,  # its packets are numbered anew, and repaired
            sent=self._sends.sent,
            sent_bytes=self._sends.sent_bytes,
            refused=self._sends.refused,
            received=self._queue.received,
            received_bytes=self._queue.received_bytes,
            **self._endpoint.counts._asdict(),
            **self.packets.counts(),
        )

    def _on_own_taken(self) -> None:
        waiters = self._driver.waiters
        if waiters.threads or waiters.actions:
            self._driver.look_for_space()

    def _forget_acknowledgement(self, waiting: Acknowledgement) -> None:
        with self._lock:
            self._driver.awaiting.forget(waiting)

    def _go_on(self) -> None:
        with self._lock:
            self.packets.outlet.go_on()
            self._driver.go_on()
        self._queue.drain()

    def _on_due(self) -> None:
        with self._lock:
            if self._released.is_set:
                return
            self._driver.go_on()
        self._go_on_ending()

    # Receiving

    def _arrive(self, batch: list[Message]) -> None:
        if self._deliver is None:
            if self._queue.holds_more_than(self._buffer):  # as a full receive buffer
                return
        elif self._takes_at_once and not self.packets.shows_data:
            try:
                taken = self._arrivals.take_at_once(batch)
            except BaseException:
                self._go_on_soon()
                raise
            if taken == len(batch):
                if self._closed:
                    self._go_on_ending()
                return
            batch = batch[taken:]
        if not self._notice.told:
            self._notice.look(batch[0])
        self.packets.arrive(batch, self._take)

    def _take(self, batch: list[Message]) -> None:
        try:
            try:
                self._arrivals.take(batch)
            finally:  # what came of it so far, if Ctrl-C came amid it
                self._go_on_ending()
        except BaseException:
            self._go_on_soon()
            raise

    def _go_on_soon(self) -> None:
        """Have a timer go on with what Ctrl-C, or a signal handler that raises, came amid."""
        with self._lock:
            now = self._driver.now()
            self._driver.timer.call_at(now, now)

    def _tell(self, event: ChannelEvent) -> None:
        with self._lock:
            if not self._closed:
                self._queue.put_event(event)
        self._queue.drain()

    # Ending

    def _deliver_rest(self) -> None:
        self._queue.drain()

    def _on_closed(self) -> None:
        self._driver.waiters.wake_threads()
        self._queue.stop()

    def _go_on_ending(self) -> None:
        """Deliver what came, or let go of the end inside once all is said."""
        self._queue.drain()
        if self._closed and self._endpoint.ended:
            self._release()

    def _end(self) -> None:
        """Tell the user that it has ended, and linger."""
        if self._told:
            self._go_on_ending()
            return
        self.packets.close()
        with self._lock:
            self._queue.clear()
            self._final = self._count()
            self._endpoint.end(self._driver.now())
            self._driver.go_on()
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
            self.packets.clear()
        if lost:
            _log.warning("%s closed, and %d packets that it sent were not acknowledged", self.group, lost)
        self.inner.close(wait=False)

    def _on_inside_ended(self, fault: Exception | None) -> None:
        with self._lock:
            self._driver.timer.stop()
        super()._on_inside_ended(fault)
        self._driver.waiters.pass_on(self.inner.call)
