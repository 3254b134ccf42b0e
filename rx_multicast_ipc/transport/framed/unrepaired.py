"""An end that speaks in packets and repairs nothing: each message in one of its own, or raw with packets beside it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import SystemRandom

import msgspec
from reactivex.scheduler import VirtualTimeScheduler

from ...channel_events import ChannelEvent
from ...channel_statistics import Statistics
from ...errors import ChannelClosed
from ...message import Address, Message
from ...subscribing.subscriber_errors import report
from ..base import Changed, Deliver, Ended, Hears, Transport
from .envelope import Envelope
from .packet_codec import message_in, pack_message
from .packet_transport import PacketTransport
from .packets import HEADER_SIZE


class UnrepairedTransport(PacketTransport):
    """Messages arrive as they come, or not, as without it; and there are packets of other kinds beside them.

    Without an envelope, messages are raw datagrams, which any other program reads and writes. With one, each is what a
    MESSAGE packet holds, and datagrams that hold none are counted as foreign.

    Args:
        transport: the one inside. It belongs to the wrapper from now on.
        hears: what it is to hear itself. With an envelope, the one inside hears what is sent to it alone in any case.
        envelope: is put around packets; None for none.
    """

    def __init__(self, transport: Transport, hears: Hears = Hears.ALL, envelope: Envelope | None = None) -> None:
        super().__init__(transport, envelope)
        scheduler = transport.scheduler
        self._is_virtual = isinstance(scheduler, VirtualTimeScheduler)
        self._now = (lambda: scheduler.to_seconds(scheduler.now)) if self._is_virtual else time.monotonic
        self._hears = hears
        self._is_started = False
        self._session = SystemRandom().getrandbits(32) or 1
        self._number = 0
        self._sent = self._sent_bytes = self._received = self._received_bytes = self._foreign = 0
        if envelope is not None and hears is Hears.NOTHING:
            try:
                self._start()  # those that it sends to may ask it to prove that it is there
            except BaseException:
                self.inner.close()
                raise

    @property
    def payload_limit(self) -> int:
        limit = self.inner.payload_limit
        return limit if self._envelope is None else limit - HEADER_SIZE - self.packets.overhead

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        self._deliver, self._ended, self._changed = deliver, ended, changed
        self._start()
        if self._envelope is not None and self._hears is Hears.ALL:
            self._envelope.announce()

    def _start(self) -> None:
        self._is_started = True
        self.inner.start(self._arrive, self._on_inside_ended, self._tell)
        self._close_with_the_process()

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        if self._closed:
            raise ChannelClosed
        if self._envelope is not None and destination == (self.group.address, self.group.port):
            destination = None
        datagram = self._datagrams((payload,), destination)[0]
        self.inner.send(datagram, destination)
        self._note_sent((payload,))

    def send_many(self, payloads: Sequence[bytes]) -> None:
        if self._closed:
            raise ChannelClosed
        try:
            self.inner.send_many(self._datagrams(payloads, None))
        except Exception as error:
            self._note_sent(payloads[: getattr(error, "sent", 0)])
            raise
        self._note_sent(payloads)

    def close(self, *, wait: bool = True) -> None:
        if self._is_started:
            super().close(wait=wait)
        else:  # so that nobody would tell of its end
            self._closed = True
            self.inner.close(wait=wait)
            self._released.set()
            self._over.set()

    @property
    def _lingers(self) -> bool:
        return self._envelope is not None and not self._is_virtual

    def _count(self) -> Statistics:
        return msgspec.structs.replace(
            self.inner.statistics,
            sent=self._sent,
            sent_bytes=self._sent_bytes,
            received=self._received,
            received_bytes=self._received_bytes,
            foreign=self._foreign,
            **self.packets.counts(),
        )

    def _datagrams(self, payloads: Sequence[bytes], destination: Address | None) -> Sequence[bytes]:
        if self._envelope is None:
            return payloads
        wrap, session = self.packets.wrap, self._session
        with self._lock:
            first = self._number + 1
            self._number += len(payloads)
            return [
                wrap(pack_message(session, number, payload), destination)
                for number, payload in enumerate(payloads, first)
            ]

    def _note_sent(self, payloads: Sequence[bytes]) -> None:
        with self._lock:
            self._sent += len(payloads)
            self._sent_bytes += sum(map(len, payloads))

    def _arrive(self, batch: list[Message]) -> None:
        self.packets.arrive(batch, self._take)

    def _take(self, batch: list[Message]) -> None:
        if self._envelope is not None:
            batch = self._messages_in(batch)
        if batch and self._deliver is not None and not self._closed:
            self._received += len(batch)
            self._received_bytes += sum([len(message.data) for message in batch])
            try:
                self._deliver(batch)
            except Exception as error:
                report(error)

    def _messages_in(self, batch: list[Message]) -> list[Message]:
        messages: list[Message] = []
        for packet in batch:
            data = message_in(packet.data)
            if data is None:
                self._foreign += 1
            else:
                address, port, family = packet.address, packet.port, packet.family
                messages.append(
                    Message(data, address, port, family, packet.received_at, packet.direct, packet.interface)
                )
        return messages

    def _tell(self, event: ChannelEvent) -> None:
        if self._changed is not None and not self._closed:
            self._changed(event)

    def _end(self) -> None:
        if self._told or self.inner.closed:
            return
        self.packets.close()
        stays = 0.0 if self._envelope is None else self._envelope.settled_at - self._now()
        if stays > 0:  # so that others may still open what it sent
            with self._lock:
                self._final = self._count()
            self.scheduler.schedule_relative(stays, lambda _scheduler, _state: self.inner.close(wait=False))
            self._tell_ended(None)
        else:
            self.inner.close(wait=False)
