"""The packets of a stream that were sent and may be asked for again."""

from __future__ import annotations

from typing import NamedTuple


class SentPacket(NamedTuple):
    """A packet that was sent.

    Attributes:
        packet: its bytes.
        end: bytes of the stream up to its end.
        sent_at: when it went out first.
    """

    packet: bytes
    end: int
    sent_at: float


class SentPackets:
    """The last packets of a stream, without a gap.

    Who sends a packet adds it to ``packets`` and ``end`` in statements without a call, together with all else
    that is so once it has gone out: Ctrl-C, or a signal handler that raises, then comes before all of it or after.

    Attributes:
        oldest: the number of the first of them; the next one to be sent, if there is none.
        end: bytes of the stream so far.
        packets: by number, what :class:`SentPacket` says: plain tuples, for one is made at each send.
        again_at: by number, when those that were sent again went out last.
        times_again: by number, how often they were sent again.
    """

    def __init__(self) -> None:
        self.oldest = 1
        self.end = self._begin = 0
        self.again_at: dict[int, float] = {}
        self.times_again: dict[int, int] = {}
        self.packets: dict[int, tuple[bytes, int, float]] = {}

    @property
    def size(self) -> int:
        """Bytes of those that are kept."""
        return self.end - self._begin

    def get(self, number: int) -> SentPacket | None:
        packet = self.packets.get(number)
        return None if packet is None else SentPacket(*packet)

    def drop_oldest(self) -> None:
        oldest = self.oldest
        begin = self.packets[oldest][1]
        if self.again_at:
            self.again_at.pop(oldest, None)
            self.times_again.pop(oldest, None)
        del self.packets[oldest]  # no call from here on
        self._begin = begin
        self.oldest = oldest + 1

    def bytes_after(self, number: int) -> int:
        """Bytes of what was sent after a packet, of all that is kept if that is kept no more."""
        packet = self.packets.get(number) or self.packets.get(self.oldest)
        return 0 if packet is None else self.end - packet[1]
