"""An end whose messages are raw datagrams, with packets of other kinds beside them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ...channel_events import ChannelEvent
from ...channel_statistics import Statistics
from ...errors import ChannelClosed
from ...message import Address, Message
from ...subscribing.subscriber_errors import report
from ..base import Changed, Deliver, Ended, Transport
from .packet_transport import PacketTransport


class UnrepairedTransport(PacketTransport):
    """Messages arrive as they come, or not, as without it; and there are packets of other kinds beside them.

    Messages are raw datagrams, which any other program reads and writes.

    Args:
        transport: the one inside. It belongs to the wrapper from now on.
    """

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, None)
        self._sent = self._sent_bytes = self._received = self._received_bytes = 0

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        self._deliver, self._ended, self._changed = deliver, ended, changed
        self.inner.start(self._arrive, self._on_inside_ended, self._tell)
        self._close_with_the_process()

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        if self._closed:
            raise ChannelClosed
        self.inner.send(payload, destination)
        self._note_sent((payload,))

    def send_many(self, payloads: Sequence[bytes]) -> None:
        if self._closed:
            raise ChannelClosed
        try:
            self.inner.send_many(payloads)
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
        )

    def _note_sent(self, payloads: Sequence[bytes]) -> None:
        with self._lock:
            self._sent += len(payloads)
            self._sent_bytes += sum(map(len, payloads))

    def _arrive(self, batch: list[Message]) -> None:
        self.packets.arrive(batch, self._take)

    def _take(self, batch: list[Message]) -> None:
        if batch and self._deliver is not None and not self._closed:
            self._received += len(batch)
            self._received_bytes += sum([len(message.data) for message in batch])
            try:
                self._deliver(batch)
            except Exception as error:
                report(error)

    def _tell(self, event: ChannelEvent) -> None:
        if self._changed is not None and not self._closed:
            self._changed(event)

    def _end(self) -> None:
        if not self._over.is_set and not self.inner.closed:
            self.packets.close()
            self.inner.close(wait=False)
