"""Packets on their way out: in order, together where that is cheaper, as far as the send buffer takes them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice, takewhile
from typing import Final

from ...errors import ChannelClosed, MulticastError, SendFailed
from ..base import Transport, WouldBlock
from .envelope import Envelope
from .packets import Datagram

_log = logging.getLogger("rx_multicast_ipc")

_FULL: Final = 256
"""Packets that may wait for the send buffer before more are made."""


class PacketOutlet:
    """Sends packets through a transport. All of it is used with the lock of its owner held.

    A packet waits until it is sent: one that Ctrl-C, or a signal handler that raises, interrupts may go out twice.

    Attributes:
        packets: those that wait for the send buffer.
        is_sending: whether one goes out right now, below this call.

    Args:
        transport: sends them.
        envelope: is put around each; None for none.
        on_room: called on the I/O thread, where a full send buffer kept packets, once it may take more; it is to call
            :meth:`go_on`.
    """

    def __init__(self, transport: Transport, envelope: Envelope | None, on_room: Callable[[], None]) -> None:
        self._transport = transport
        self._on_room = on_room
        self._envelope = envelope
        self.packets: deque[Datagram] = deque()
        self.is_sending = self._stuck = self._failing = False

    @property
    def is_full(self) -> bool:
        """Whether so many packets wait that no more should be made."""
        return len(self.packets) >= _FULL

    def send_now(self, packet: bytes) -> None:
        """Send a packet to the group, where none waits and none goes out."""
        if self._envelope is not None:
            packet = self._envelope.wrap(packet, None)
        self.is_sending = True
        try:
            self._transport.send(packet)
        except MulticastError as error:
            self.packets.appendleft((packet, None))
            self._on_refused(error)
        else:
            self._failing = False
        finally:
            self.is_sending = False

    def put(self, packets: Sequence[Datagram]) -> None:
        """Add packets, to be sent with the next :meth:`send`."""
        if self._envelope is not None:
            wrap = self._envelope.wrap
            packets = [(wrap(packet, destination), destination) for packet, destination in packets]
        self.packets.extend(packets)

    def put_wrapped(self, datagrams: Sequence[Datagram]) -> None:
        """The same for what the envelope has made itself."""
        self.packets.extend(datagrams)

    def clear(self) -> None:
        self.packets.clear()

    def go_on(self) -> None:
        """The send buffer may take more."""
        self._stuck = False
        self.send()

    def send(self) -> None:
        """Send what waits, as far as the send buffer takes it."""
        if self.is_sending or self._stuck or not self.packets:
            return
        self.is_sending = True
        try:
            while self.packets and not self._stuck:
                self._send(self._next_batch())
        finally:
            self.is_sending = False

    def _send(self, batch: list[Datagram]) -> None:
        try:
            if len(batch) > 1:
                self._transport.send_many([packet for packet, _ in batch])
            else:
                self._transport.send(*batch[0])
        except MulticastError as error:
            self._on_refused(error)
        else:
            self._drop(len(batch))
            self._failing = False

    def _on_refused(self, error: MulticastError) -> None:
        """Those that wait were to be sent."""
        sent = error.sent if isinstance(error, SendFailed) else 0  # else: its interface is gone
        if isinstance(error, WouldBlock):
            self._drop(sent)
            self._stuck = True
            try:
                self._transport.when_writable(self._on_room)
            except BaseException:
                self._stuck = False  # for nobody will tell
                raise
        elif isinstance(error, ChannelClosed):
            self.packets.clear()
        else:  # as if it had been lost on the way, from where it is repaired or repeated
            self._drop(sent + 1)
            if not self._failing:
                self._failing = True
                _log.warning("%s: a packet cannot be sent, and counts as lost: %s", self._transport.group, error)

    def _next_batch(self) -> list[Datagram]:
        """The next packet, or those to the group in a row."""
        batch = [self.packets[0]]
        if batch[0][1] is None and len(self.packets) > 1:
            batch += takewhile(_is_to_group, islice(self.packets, 1, None))
        return batch

    def _drop(self, count: int) -> None:
        """So many of those that waited wait no more."""
        if count >= len(self.packets):
            self.packets.clear()
            return
        for _ in range(count):
            self.packets.popleft()


def _is_to_group(datagram: Datagram) -> bool:
    return datagram[1] is None
