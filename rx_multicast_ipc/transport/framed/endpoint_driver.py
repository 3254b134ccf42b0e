"""Drives an endpoint, which knows the protocol: sends what it says, queues what it heard, calls it when it is due."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

from ..base import Transport
from ..next_timer import NextTimer
from .acknowledgement_waiters import AcknowledgementWaiters
from .delivery_queue import DeliveryQueue
from .endpoint import Endpoint
from .packet_port import PacketPort
from .space_waiters import SpaceWaiters


class EndpointDriver:
    """What happens around an endpoint, one thing at a time. Used with the lock held.

    Args:
        transport: the one inside.
        packets: the way out.
        endpoint: is driven.
        queue: what is delivered.
        now: its clock, seconds.
        on_due: called on the I/O thread when the endpoint has something to do; it is to call :meth:`go_on`.
        is_virtual: whether time is; then nobody can wait, for no time would pass, and there is always space.
        delivers: whether what is heard is delivered.

    Attributes:
        lock: guards it all.
        endpoint, queue, now, is_virtual: as passed in.
        waiters: who waits for space.
        awaiting: who waits for acknowledgements.
        timer: calls ``on_due``.
    """

    def __init__(
        self,
        transport: Transport,
        packets: PacketPort,
        endpoint: Endpoint,
        queue: DeliveryQueue,
        now: Callable[[], float],
        on_due: Callable[[], None],
        *,
        is_virtual: bool,
        delivers: bool,
    ) -> None:
        self.lock: threading.RLock = packets.lock
        self.endpoint = endpoint
        self.queue = queue
        self.now = now
        self.is_virtual = is_virtual
        self.waiters = SpaceWaiters(self.lock)
        self.awaiting = AcknowledgementWaiters(endpoint.to_group, transport.scheduler)
        self.timer = NextTimer(transport.scheduler, on_due)
        self._transport = transport
        self._packets = packets
        self._delivers = delivers

    @property
    def has_space(self) -> bool:
        """Whether another message is taken."""
        return self.is_virtual or (not self.endpoint.congested and self.queue.has_room)

    def go_on(self, *, heard: bool = True) -> None:
        """Let the protocol go on, and send what it gives.

        Args:
            heard: whether it says what it heard, too: on the I/O thread alone.
        """
        now, endpoint, outlet, waiters = self.now(), self.endpoint, self._packets.outlet, self.waiters
        if not outlet.is_full:
            ready = endpoint.datagrams(now, heard=heard)
            if ready:
                outlet.put(ready)
        if endpoint.events:
            if self._delivers:
                self.queue.put_arrived(endpoint.events)
            else:
                endpoint.events.clear()
        if outlet.packets:
            outlet.send()
        if waiters.actions or waiters.threads:
            self.look_for_space()
        due = math.inf if outlet.is_full else endpoint.timer()  # until there is room, which calls this again
        if self.awaiting:
            due = min(due, self.awaiting.look(now))
        if due < self.timer.at_the_latest:
            self.timer.call_at(due, now, exact=endpoint.hurries)

    def look_for_space(self) -> None:
        """Let those go on who wait for space, if there is some: threads also where own messages have none.

        What they send to one end alone needs none of those.
        """
        if self.is_virtual or not self.endpoint.congested:
            self.waiters.wake_threads()
        if self.has_space:
            self.waiters.pass_on(self._transport.when_writable)

    def when_writable(self, action: Callable[[], None]) -> None:
        """See :meth:`rx_multicast_ipc.transport.Transport.when_writable`."""
        if self.has_space or self._transport.closed:
            self._transport.when_writable(action)
        else:
            self.waiters.actions.append(action)

    def keep_time(self, now: float, *, heard: bool) -> None:
        """Go on when a beat is due, or if ``heard`` an acknowledgement, where that has become sooner."""
        due = self.endpoint.heard_due if heard else self.endpoint.due
        if due <= now:
            self.go_on(heard=heard)
        elif due < self.timer.due:
            self.timer.call_at(due, now, exact=False)

    def forget(self) -> None:
        """Let go of everything, in a forked child."""
        self.lock = self._packets.lock
        self.waiters = SpaceWaiters(self.lock)
        self.timer.forget()
        self.queue.forget(self.lock)
