"""An end that repairs nothing, with an envelope around each message."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import repeat
from typing import Any, Final

import msgspec
from msgspec.structs import astuple, force_setattr
from reactivex.scheduler import VirtualTimeScheduler

from ...channel_events import ChannelEvent
from ...channel_scheduler import clock_of, wall_clock_of
from ...channel_statistics import Statistics
from ...errors import ChannelClosed, SendFailed
from ...message import Address, Message
from ..base import HERE, Changed, Deliver, Ended, Hears, Transport, WouldBlock, may_wait
from ..latch import Latch
from ..random_numbers import random_of
from .bundles_and_fragments import bundled
from .delivery_queue import DeliveryQueue
from .envelope import Envelope
from .packet_codec import message_in, messages_in, pack_message, pack_messages
from .packet_transport import PacketTransport
from .packets import HEADER_SIZE, packet_size

_SEND_WAIT: Final = 5.0
"""Seconds that a send waits for a full buffer."""


class EnvelopedTransport(PacketTransport):
    """Messages arrive as they come, or not, in MESSAGE packets with an envelope around each.

    Small ones that are sent together are in one packet, as far as it is of the size that suits the network.

    Datagrams that hold no MESSAGE are counted as foreign. After closing, the end inside lives on for a moment, as
    others may still need it to open what was sent.

    Args:
        transport: the one inside, opened with ``echo=False``. It belongs to the wrapper from now on.
        envelope: is put around packets.
        hears: what it is to hear itself; the one inside hears what is sent to it alone in any case.
        echo: whether it hears its own messages to the group.
    """

    def __init__(
        self, transport: Transport, envelope: Envelope, hears: Hears = Hears.ALL, *, echo: bool = True
    ) -> None:
        super().__init__(transport, envelope)
        scheduler = transport.scheduler
        self._is_virtual = isinstance(scheduler, VirtualTimeScheduler)
        self._now = clock_of(scheduler)
        self._opening = envelope
        self._hears = hears
        self._echo = echo and hears is Hears.ALL
        self._buffer = transport.statistics.receive_buffer
        self._queue = DeliveryQueue(
            *(self._lock, scheduler, wall_clock_of(scheduler), self._is_virtual, lambda: None, self._called)
        )
        self._group_end = transport.group.address, transport.group.port
        self._body_size = packet_size(transport.group) - self.packets.overhead - HEADER_SIZE
        self._session = random_of(transport).getrandbits(32) or 1
        self._number = self._sent = self._sent_bytes = self._foreign = self._unheard = 0
        try:
            self.inner.start(self._arrive, self._on_inside_ended, self._tell)
        except BaseException:
            self.inner.close()
            raise
        if hears is Hears.ALL:
            envelope.announce()
        self._close_with_the_process()

    @property
    def payload_limit(self) -> int:
        return self.inner.payload_limit - HEADER_SIZE - self.packets.overhead

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        with self._lock:
            self._deliver, self._ended, self._changed = deliver, ended, changed
            self._queue.start(deliver, changed)

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        if self._closed:
            raise ChannelClosed
        if destination is not None and destination == self._group_end:
            destination = None
        with self._lock:
            try:
                datagram = self._opening.wrap(pack_message(self._session, self._number + 1, payload), destination)
                before, HERE.must_go_on = HERE.must_go_on, True
                try:
                    self.inner.send(datagram, destination)
                finally:
                    HERE.must_go_on = before
            except WouldBlock:
                pass
            else:
                self._count_sent((payload,), destination)
                return
        self._go_out((payload,), destination)

    def send_many(self, payloads: Sequence[bytes]) -> None:
        if self._closed:
            raise ChannelClosed
        if payloads:
            self._go_out(payloads, None)

    def forget(self) -> None:
        super().forget()
        self._queue.forget(self._lock)

    @property
    def _lingers(self) -> bool:
        return not self._is_virtual

    def _count(self) -> Statistics:
        inside = self.inner.statistics
        return msgspec.structs.replace(
            inside,
            sent=self._sent,
            sent_bytes=self._sent_bytes,
            received=self._queue.received,
            received_bytes=self._queue.received_bytes,
            dropped=None if inside.dropped is None else inside.dropped + self._unheard,
            foreign=self._foreign,
            **self.packets.counts(),
        )

    def _go_out(self, payloads: Sequence[bytes], destination: Address | None) -> None:
        """Send all of them, and wait where the send buffer is full and this thread may."""
        sent, deadline = 0, time.monotonic() + _SEND_WAIT
        while sent < len(payloads):
            with self._lock:  # so that an answer is not delivered before what it answers, nor what was refused at all
                try:
                    self._go_out_at_once(payloads[sent:], destination)
                    sent = len(payloads)
                except SendFailed as error:
                    sent += error.sent
                    error.sent = sent
                    if not isinstance(error, WouldBlock) or not may_wait() or time.monotonic() >= deadline:
                        raise
            if sent < len(payloads):
                writable = Latch()
                self.inner.when_writable(writable.set)
                writable.wait(deadline - time.monotonic())

    def _go_out_at_once(self, payloads: Sequence[bytes], destination: Address | None) -> None:
        """Send as many of them as the send buffer takes; with the lock."""
        bundles = bundled(payloads, self._body_size)
        sent = 0
        try:
            datagrams = self._datagrams(bundles, destination)
            before, HERE.must_go_on = HERE.must_go_on, True
            try:
                if len(datagrams) == 1:
                    self.inner.send(datagrams[0], destination)
                else:
                    self.inner.send_many(datagrams)
            finally:
                HERE.must_go_on = before
            sent = len(payloads)
        except SendFailed as error:
            sent = error.sent = sum(map(len, bundles[: error.sent]))
            raise
        finally:
            if sent:
                self._count_sent(payloads[:sent], destination)

    def _datagrams(self, bundles: Sequence[Sequence[bytes]], destination: Address | None) -> list[bytes]:
        datagrams: list[bytes] = []
        number, session, wrap = self._number + 1, self._session, self._opening.wrap
        for bundle in bundles:
            several = len(bundle) > 1
            packet = pack_messages(session, number, bundle) if several else pack_message(session, number, bundle[0])
            datagrams.append(wrap(packet, destination))
            number += len(bundle)
        return datagrams

    def _count_sent(self, payloads: Sequence[bytes], destination: Address | None) -> None:
        """These went out; with the lock."""
        self._number += len(payloads)
        self._sent += len(payloads)
        self._sent_bytes += sum(map(len, payloads))
        if destination is None and self._echo:
            self._hear_itself(payloads)

    def _hear_itself(self, payloads: Sequence[bytes]) -> None:
        """Have what was sent delivered here, too; with the lock."""
        if self._closed:
            return
        if self._queue.has_room:
            self._queue.put_own(payloads, self.sender_address)
            self._queue.post()
        else:
            self._unheard += len(payloads)

    def _arrive(self, batch: list[Message]) -> None:
        if self._deliver is not None or not self._queue.holds_more_than(self._buffer):  # else as a full receive buffer
            self.packets.arrive(batch, self._take)

    def _take(self, batch: list[Message]) -> None:
        messages: list[Message] = []
        for message in batch:
            data = message_in(message.data)
            if data is not None:
                force_setattr(message, "data", data)  # the envelope made it for us alone
                messages.append(message)
                continue
            several = messages_in(message.data)
            if several is None:
                self._foreign += 1
            else:
                fields: Any = astuple(message)[1:]
                messages += map(Message, several, *map(repeat, fields))
        if messages and self._hears is not Hears.NOTHING:
            with self._lock:
                if not self._closed:
                    self._queue.put(messages)
            self._queue.drain()

    def _tell(self, event: ChannelEvent) -> None:
        with self._lock:
            if not self._closed:
                self._queue.put_event(event)
        self._queue.drain()

    # Ending

    def _on_closed(self) -> None:
        self._queue.stop()

    def _end(self) -> None:
        if self._told or self.inner.closed:
            return
        self.packets.close()
        with self._lock:
            self._final = self._count()
        stays = self._opening.settled_at - self._now()
        if stays > 0:
            self.scheduler.schedule_relative(stays, lambda _scheduler, _state: self.inner.close(wait=False))
        else:
            self.inner.close(wait=False)
        self._tell_ended(None)
