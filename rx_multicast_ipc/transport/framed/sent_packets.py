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

    Attributes:
        oldest: the number of the first of them; the next one to be sent, if there is none.
        end: bytes of the stream so far.
        size: bytes of those that are kept.
        again_at: by number, when those that were sent again went out last.
        times_again: by number, how often they were sent again.
    """

    def __init__(self) -> None:
        self.oldest = 1
        self.end = self.size = 0
        self.again_at: dict[int, float] = {}
        self.times_again: dict[int, int] = {}
        self._packets: dict[int, tuple[bytes, int, float]] = {}  # plain ones, for one is made at each send

    def __len__(self) -> int:
        return len(self._packets)

    def get(self, number: int) -> SentPacket | None:
        packet = self._packets.get(number)
        return None if packet is None else SentPacket(*packet)

    def add(self, number: int, packet: bytes, now: float) -> None:
        size = len(packet)
        self.size += size
        self.end = end = self.end + size
        self._packets[number] = packet, end, now

    def drop_oldest(self) -> None:
        self.size -= len(self._packets.pop(self.oldest)[0])
        if self.again_at.pop(self.oldest, None) is not None:
            del self.times_again[self.oldest]
        self.oldest += 1

    def bytes_after(self, number: int) -> int:
        """Bytes of what was sent after a packet, of all that is kept if that is kept no more."""
        packet = self._packets.get(number) or self._packets.get(self.oldest)
        return 0 if packet is None else self.end - packet[1]
