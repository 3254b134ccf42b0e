"""How much a stream may send: what its window, receivers' buffers, memory and pace leave place for. Pure."""

from __future__ import annotations

import math
from typing import Final

from ...option_values.reliable import Reliable
from .congestion import Congestion
from .heartbeats import Beats
from .repairs import Repairs
from .sent_packets import SentPackets
from .stream_receivers import Members

_NOBODY_WAIT: Final = 0.2
"""Seconds that a burst waits for the first receiver to make itself known."""

HEADER_COST: Final = 768
"""Bytes of receive buffer that Linux charges for a packet beside its payload."""

_ROOM_SHARE: Final = 0.7
"""The part of a receive buffer that one sender fills."""

_LET_GO: Final = 8
"""The part of what is kept that is let go of at a time, once that is necessary: one packet each time costs more."""


class SendWindow:
    """Says whether a stream may send another packet: as long as any bytes are free.

    Args:
        options: window, keep.
        packet_size: bytes of a full packet.
        receivers: who hears the stream.
        sent: what has gone out.
        repairs: what goes out again.
        congestion: of the stream.
        beats: of the stream; asks for acknowledgements where there is no place without.
        now: seconds.

    Attributes:
        free: bytes that may go out before it is to be looked again: a packet takes its own and :data:`HEADER_COST`.
        full_since: since when there has been none; infinity if there was when it was looked last.
        paced_until: when the pace lets the next one go out; 0 if it has not kept any.
        began_at: when the first one went out.
    """

    def __init__(
        self,
        options: Reliable,
        packet_size: int,
        receivers: Members,
        sent: SentPackets,
        repairs: Repairs,
        congestion: Congestion,
        beats: Beats,
        now: float,
    ) -> None:
        self.free = 0
        self.full_since = math.inf
        self.paced_until = 0.0
        self.began_at = now
        self._packets, self._bytes = options.window, options.keep
        self._packet_size = packet_size
        self._receivers = receivers
        self._sent = sent
        self._repairs = repairs
        self._congestion = congestion
        self._beats = beats
        self._asked_at = 0

    def may_send(self, number: int, now: float) -> bool:
        """Whether the packet of this number may go out; then ``free`` is to be counted down."""
        self.paced_until = 0.0
        if self.free <= 0 and not self._look(number, now):
            self.full_since = min(self.full_since, now)
            return False
        self.full_since = math.inf
        wait = self._congestion.wait(now) if self._congestion.holds else 0.0
        if wait:
            self.paced_until = now + wait
        return not wait

    @property
    def alone_at(self) -> float:
        """When a burst goes on if nobody has made itself known."""
        return self.began_at + _NOBODY_WAIT

    def _look(self, number: int, now: float) -> bool:
        free = self._bytes_free(number, now)
        if free <= 0:
            return False
        kept = self._packets_to_keep(number)
        if kept <= 0 and self._asked_at != number:
            self._beats.ask(now)
            self._asked_at = number
        self.free = min(free, kept * HEADER_COST)
        return kept > 0

    def _bytes_free(self, number: int, now: float) -> int:
        """What the window of the congestion control and the receivers' buffers have place for."""
        receivers, sent, window = self._receivers, self._sent, self._congestion.window
        if receivers.floor is None:
            return 1 if sent.end < window or now >= self.alone_at else 0
        behind = cost = 0
        if receivers.seen < number - 1:
            behind = sent.bytes_after(receivers.seen)
            cost = behind + (number - 1 - receivers.seen) * HEADER_COST
        free = window - behind - self._repairs.on_the_way(now) if behind else window
        if free <= 0:
            self._congestion.on_limited()
        elif receivers.room:
            free = min(free, int(receivers.room * _ROOM_SHARE) - cost)
        return free

    def _packets_to_keep(self, number: int) -> int:
        """How many more can be kept for repairs; lets go of what everybody has, if it is none."""
        sent = self._sent
        if number - sent.oldest >= self._packets or sent.size >= self._bytes:
            floor = self._receivers.floor
            least = number if floor is None else floor
            most, most_bytes = self._packets - self._packets // _LET_GO, self._bytes - self._bytes // _LET_GO
            while sent.oldest < least and (number - sent.oldest >= most or sent.size >= most_bytes):
                sent.drop_oldest()
        return min(self._packets - number + sent.oldest, -((sent.size - self._bytes) // self._packet_size))
