"""An end that speaks in packets and repairs nothing: each message in one of its own, or raw with packets beside it."""

from __future__ import annotations

from collections.abc import Sequence
from random import SystemRandom

import msgspec

from ...channel_events import ChannelEvent
from ...channel_statistics import Statistics
from ...errors import ChannelClosed
from ...message import Address, Message
from ...subscribing.subscriber_errors import report
from ..base import Changed, Deliver, Ended, Transport
from .envelope import Envelope
from .packet_codec import pack_control, parse_control
from .packet_transport import PacketTransport
from .packets import HEADER_SIZE, NUMBER_LIMIT, ControlPacket, Kind


class UnrepairedTransport(PacketTransport):
    """Messages arrive as they come, or not, as without it; and there are packets of other kinds beside them.

    Without an envelope, messages are raw datagrams, which any other program reads and writes. With one, each is what a
    MESSAGE packet holds, and datagrams that hold none are counted as foreign.

    Args:
        transport: the one inside. It belongs to the wrapper from now on.
        envelope: is put around packets; None for none.
    """

    def __init__(self, transport: Transport, envelope: Envelope | None = None) -> None:
        super().__init__(transport, envelope)
        self._frames = envelope is not None
        self._session = SystemRandom().getrandbits(32) or 1
        self._number = 0
        self._sent = self._sent_bytes = self._received = self._received_bytes = self._foreign = 0

    @property
    def payload_limit(self) -> int:
        limit = self.inner.payload_limit
        return limit - HEADER_SIZE - self.packets.overhead if self._frames else limit

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        self._deliver, self._ended, self._changed = deliver, ended, changed
        self.inner.start(self._arrive, self._on_inside_ended, self._tell)
        self._close_with_the_process()

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        if self._closed:
            raise ChannelClosed
        if self._frames and destination == (self.group.address, self.group.port):
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
        if self._deliver is not None:
            super().close(wait=wait)
        else:  # never started, so that nobody would tell of its end
            self._closed = True
            self.inner.close(wait=wait)
            self._released.set()
            self._over.set()

    @property
    def _lingers(self) -> bool:
        return False

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
        if not self._frames:
            return payloads
        wrap, session = self.packets.wrap, self._session
        with self._lock:
            first = self._number + 1
            self._number += len(payloads)
            return [
                wrap(pack_control(ControlPacket(Kind.MESSAGE, 0, 0, session, number, payload)), destination)
                for number, payload in enumerate(payloads, first)
            ]

    def _note_sent(self, payloads: Sequence[bytes]) -> None:
        with self._lock:
            self._sent += len(payloads)
            self._sent_bytes += sum(map(len, payloads))

    def _arrive(self, batch: list[Message]) -> None:
        self.packets.arrive(batch, self._take)

    def _take(self, batch: list[Message]) -> None:
        if self._frames:
            batch = [message for datagram in batch if (message := self._message_in(datagram)) is not None]
        if batch and self._deliver is not None and not self._closed:
            self._received += len(batch)
            self._received_bytes += sum([len(message.data) for message in batch])
            try:
                self._deliver(batch)
            except Exception as error:
                report(error)

    def _message_in(self, datagram: Message) -> Message | None:
        packet = parse_control(datagram.data)
        if (
            packet is None
            or packet[:3] != (Kind.MESSAGE, 0, 0)
            or not packet.session
            or not 0 < packet.number < NUMBER_LIMIT
        ):
            self._foreign += 1
            return None
        return msgspec.structs.replace(datagram, data=packet.body)

    def _tell(self, event: ChannelEvent) -> None:
        if self._changed is not None and not self._closed:
            self._changed(event)

    def _end(self) -> None:
        if not self._over.is_set and not self.inner.closed:
            self.packets.close()
            self.inner.close(wait=False)
