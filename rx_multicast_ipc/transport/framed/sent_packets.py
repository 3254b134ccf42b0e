"""The packets of a stream that were sent and may be asked for again."""

from __future__ import annotations


class SentPacket:
    """A packet that was sent.

    Attributes:
        packet: its bytes.
        end: bytes of the stream up to its end.
        sent_at: when it went out first.
        again_at: when it went out last.
        queued: whether it is to be repeated.
    """

    __slots__ = ("again_at", "end", "packet", "queued", "sent_at")

    def __init__(self, packet: bytes, end: int, now: float) -> None:
        self.packet = packet
        self.end = end
        self.sent_at = self.again_at = now
        self.queued = False


class SentPackets:
    """The last packets of a stream, without a gap.

    Attributes:
        oldest: the number of the first of them; the next one to be sent, if there is none.
        end: bytes of the stream so far.
        size: bytes of those that are kept.
    """

    def __init__(self) -> None:
        self.oldest = 1
        self.end = self.size = 0
        self._packets: dict[int, SentPacket] = {}

    def __len__(self) -> int:
        return len(self._packets)

    def get(self, number: int) -> SentPacket | None:
        return self._packets.get(number)

    def add(self, number: int, packet: bytes, now: float) -> None:
        self.end += len(packet)
        self.size += len(packet)
        self._packets[number] = SentPacket(packet, self.end, now)

    def drop_oldest(self) -> None:
        self.size -= len(self._packets.pop(self.oldest).packet)
        self.oldest += 1

    def bytes_after(self, number: int) -> int:
        """Bytes of what was sent after a packet, of all that is kept if that is kept no more."""
        packet = self._packets.get(number) or self._packets.get(self.oldest)
        return 0 if packet is None else self.end - packet.end
