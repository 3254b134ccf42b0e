"""Where all packets of an end leave and come in: through its envelope, and past those who asked for other kinds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Final

from ...channel_events import ChannelEvent
from ...message import Address, Message
from ...subscribing.subscriber_errors import report
from ..base import Transport
from .envelope import Envelope
from .packet_codec import pack_control, parse_control
from .packet_outlet import PacketOutlet
from .packets import MAGIC, ControlPacket, Datagram, Kind

_MAGIC: Final = bytes([MAGIC])

Tell = Callable[[ChannelEvent], None]
"""Tells the user of the channel of an event; on the I/O thread."""

Take = Callable[[list[Message]], None]
"""Takes packets, out of their envelopes, in order."""

Handler = Callable[[ControlPacket, Message], bool]
"""Takes a packet of its kind, on the I/O thread, in the order of arrival among messages, and the message that it came
as (for its source, interface and time). Returns False if it is none, so that it is what it would be without handler."""


class PacketPort:
    """The way in and out of every packet of one end.

    Other parts of a channel have packets of their own kinds: they ask for what comes with :meth:`handle`, send with
    :meth:`send`, tell the user with :meth:`tell`, and have what they have to say last sent :meth:`before_closing`.

    Args:
        transport: carries them.
        envelope: is put around each; None for none.
        tell: tells the user of an event, on the I/O thread.
        on_writable: called on the I/O thread when a full send buffer may take more; it is to call :meth:`go_on`.

    Attributes:
        lock: guards what leaves; a signal handler may send while its thread does.
        transport: carries them. Its ``scheduler`` runs timers on the I/O thread.
        is_open: whether packets can be sent.
        outlet: the way out, for the transport around it; with the lock.
        shows_data: whether somebody looks on at DATA packets.
    """

    def __init__(
        self, transport: Transport, envelope: Envelope | None, tell: Tell, on_writable: Callable[[], None]
    ) -> None:
        self.lock = threading.RLock()
        self.transport = transport
        self.is_open = True
        self._envelope = envelope
        self._tell = tell
        self.shows_data = False
        self._handlers: dict[int, Handler] = {}
        self._last_words: list[Callable[[], None]] = []
        self._take: Take | None = None
        self._port = transport.sender_address[1]
        self._shares_port = self._port == transport.group.port
        self.outlet = PacketOutlet(transport, envelope, on_writable)
        if envelope is not None:
            envelope.attach(self)

    @property
    def overhead(self) -> int:
        """Bytes that the envelope adds to a packet."""
        return 0 if self._envelope is None else self._envelope.overhead

    def handle(self, kind: int, handler: Handler) -> None:
        """Have ``handler`` called with each packet of a kind that others than this end send.

        Kinds below 6 are the transport's: the handler looks on, before the transport deals with them as always.
        """
        self._handlers[kind] = handler
        self.shows_data = Kind.DATA in self._handlers

    def send(self, packet: ControlPacket, destination: Address | None = None) -> None:
        """Send a packet to the group or to one address; from any thread. It does not wait, and may get lost."""
        self.send_packed(pack_control(packet), destination)

    def send_packed(self, packet: bytes, destination: Address | None) -> None:
        """The same for the bytes of a packet."""
        with self.lock:
            if self.is_open:
                self.outlet.put([(packet, destination)])
                self.outlet.send()

    def send_wrapped(self, datagrams: Sequence[Datagram]) -> None:
        """Send datagrams that the envelope has made itself; as :meth:`send`."""
        with self.lock:
            if self.is_open:
                self.outlet.put_wrapped(datagrams)
                self.outlet.send()

    def tell(self, event: ChannelEvent) -> None:
        """Tell the user of an event, on the I/O thread: in its place among the messages, where called there."""
        self.transport.call(lambda: self._tell(event))

    def before_closing(self, action: Callable[[], None]) -> None:
        """Have ``action`` called on the I/O thread when the channel closes, while packets can still be sent."""
        self._last_words.append(action)

    # For the transport around it

    def close(self) -> None:
        """Let those who asked say their last; on the I/O thread, once."""
        while self._last_words:
            action = self._last_words[0]
            try:
                del self._last_words[0]  # no call in between
                action()
            except Exception as error:
                report(error)

    def forget(self) -> None:
        """Let go of everything, in a forked child."""
        self.lock = threading.RLock()
        self.clear()

    def clear(self) -> None:
        """Send nothing more."""
        self.is_open = False
        self.outlet.clear()

    def wrap(self, packet: bytes, destination: Address | None) -> bytes:
        """The datagram for a packet, to be sent by the caller; with the lock."""
        return packet if self._envelope is None else self._envelope.wrap(packet, destination)

    def arrive(self, batch: list[Message], take: Take) -> None:
        """Open what came, call handlers, and have ``take`` called with the rest, in order: packets out of envelopes."""
        self._take = take
        if self._envelope is not None:
            batch = self._envelope.open(batch)
        if not self._handlers:
            if batch:
                take(batch)
            return
        rest: list[Message] = []
        own = self.transport.own_addresses
        for message in batch:
            data = message.data
            handler = self._handlers.get(data[1] >> 4) if data[:1] == _MAGIC and len(data) > 1 else None
            packet = None if handler is None else parse_control(data)
            if packet is not None and handler is not None:
                if rest:
                    take(rest)
                    rest = []
                is_own = message.port == self._port and message.sender in own and not self._shares_port
                if (is_own or self._is_taken(handler, packet, message)) and packet.kind > Kind.MESSAGE:
                    continue
            rest.append(message)
        if rest:
            take(rest)

    def arrive_from_envelope(self) -> None:
        """The envelope lets go of something that came earlier; on the I/O thread."""
        if self._take is not None:
            self.arrive([], self._take)

    def counts(self) -> dict[str, int]:
        """What the envelope adds to the statistics."""
        return {} if self._envelope is None else self._envelope.counts()

    def _is_taken(self, handler: Handler, packet: ControlPacket, message: Message) -> bool:
        try:
            return handler(packet, message)
        except Exception as error:
            report(error)
            return True
