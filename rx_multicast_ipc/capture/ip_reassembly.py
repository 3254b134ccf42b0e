"""IP datagrams that came in fragments, put together again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, NamedTuple

INCOMPLETE: Final = "a piece is missing"
OVERLAPPING: Final = "pieces overlap"

_PATIENCE: Final = 30 * 1_000_000_000
"""Nanoseconds, by the capture's clock, that a datagram's fragments are waited for, as Linux does. RFC 791 and RFC 8200
allow 60 s at most."""

_MOST: Final = 1024
"""Datagrams that are put together at a time, and that are remembered after it; beyond it the oldest goes."""

_MOST_BYTES: Final = 16 << 20
"""Bytes that are kept for each of these purposes; beyond it the oldest goes."""

_OVERHEAD: Final = 200
"""Bytes of memory that a fragment takes beside its own."""

_UNKNOWN: Final = 1 << 17
"""A size that no payload has, until the last fragment tells."""


class Fragment(NamedTuple):
    """A part of a datagram's payload.

    Attributes:
        offset: bytes of the payload before it.
        more: whether the payload goes on behind it.
        data: its bytes.
        protocol: the IP protocol number of what the payload is. The first fragment's counts (RFC 8200, section 4.5).
    """

    offset: int
    more: bool
    data: bytes
    protocol: int


class Reassembly:
    """Collects the fragments of datagrams, as RFC 791 and RFC 8200, section 4.5, have it.

    What waits is bounded in time, in number and in bytes, so that a fragment never meets those of a later datagram
    with the same identification. A datagram whose fragments overlap is given up, and so is what still comes of
    it (RFC 5722). The very same fragment may come again, for a capture may see each packet twice: a copy that stays
    incomplete is no loss.

    Attributes:
        lost: how many datagrams were given up, by reason.
    """

    def __init__(self) -> None:
        self.lost: dict[str, int] = {}
        self._waiting: OrderedDict[tuple[Hashable, Hashable], _Waiting] = OrderedDict()
        self._waiting_bytes = 0
        self._done: OrderedDict[Hashable, bytes] = OrderedDict()
        self._done_bytes = 0

    @property
    def incomplete(self) -> int:
        """How many datagrams still lack a fragment."""
        return sum(self._is_loss(key, waiting) for key, waiting in self._waiting.items())

    def add(self, datagram: Hashable, interface: Hashable, time: int, piece: Fragment) -> tuple[int, bytes] | None:
        """The protocol and the whole payload, if this was the last missing fragment.

        Args:
            datagram: tells the datagram from all others on their way: addresses, identification, protocol.
            interface: where it was captured. Fragments of several interfaces are put together each for itself.
            time: nanoseconds, by the capture's clock.
            piece: the fragment.
        """
        key = datagram, interface
        while self._waiting and abs(time - next(iter(self._waiting.values())).since) > _PATIENCE:
            self._give_up(next(iter(self._waiting)))
        waiting = self._waiting.get(key)
        if waiting is not None and abs(time - waiting.since) > _PATIENCE:
            self._give_up(key)
            waiting = None
        if waiting is not None and waiting.contradicts(piece) and not self._is_loss(key, waiting):
            self._give_up(key)  # the rest of a copy of the datagram before
            waiting = None
        if waiting is None:
            waiting = self._waiting[key] = _Waiting(time)
        if waiting.refused:
            return None
        if waiting.contradicts(piece):
            return self._refuse(waiting)
        if waiting.add(piece):
            self._waiting_bytes += len(piece.data) + _OVERHEAD
        if waiting.received >= waiting.size:
            whole = waiting.take_whole()
            if whole is None:
                return self._refuse(waiting)
            self._waiting_bytes -= waiting.bytes_kept
            del self._waiting[key]
            self._remember(datagram, whole[1])
            return whole
        while len(self._waiting) > _MOST or self._waiting_bytes > _MOST_BYTES:
            self._give_up(next(iter(self._waiting)))
        return None

    def _refuse(self, waiting: _Waiting) -> None:
        self._count(OVERLAPPING)
        self._waiting_bytes -= waiting.bytes_kept
        waiting.refuse()

    def _give_up(self, key: tuple[Hashable, Hashable]) -> None:
        waiting = self._waiting.pop(key)
        self._waiting_bytes -= waiting.bytes_kept
        if self._is_loss(key, waiting):
            self._count(INCOMPLETE)

    def _is_loss(self, key: tuple[Hashable, Hashable], waiting: _Waiting) -> bool:
        """Whether there is something in what waits that is in no whole datagram, and is not counted yet."""
        if waiting.refused:
            return False
        whole = self._done.get(key[0])
        return whole is None or any(
            whole[offset : offset + len(data)] != data for offset, data in waiting.pieces.items()
        )

    def _remember(self, datagram: Hashable, whole: bytes) -> None:
        self._done_bytes += len(whole) - len(self._done.pop(datagram, b""))
        self._done[datagram] = whole
        while len(self._done) > _MOST or self._done_bytes > _MOST_BYTES:
            self._done_bytes -= len(self._done.popitem(last=False)[1])

    def _count(self, reason: str) -> None:
        self.lost[reason] = self.lost.get(reason, 0) + 1


class _Waiting:
    """What has come of one datagram: its fragments by their offset."""

    def __init__(self, since: int) -> None:
        self.since = since
        self.refused = False
        self.pieces: dict[int, bytes] = {}
        self.received = 0
        self.size = _UNKNOWN
        self.protocol = 0

    @property
    def bytes_kept(self) -> int:
        return self.received + _OVERHEAD * len(self.pieces)

    def contradicts(self, piece: Fragment) -> bool:
        """Whether the fragment cannot be of this datagram. Other overlaps show when it should be whole."""
        known = self.pieces.get(piece.offset)
        if known is not None and known != piece.data:
            return True
        return not piece.more and self.size not in (_UNKNOWN, piece.offset + len(piece.data))

    def add(self, piece: Fragment) -> bool:
        """Keep it; tells whether it is one that had not come before."""
        if piece.offset in self.pieces:
            return False
        self.pieces[piece.offset] = piece.data
        self.received += len(piece.data)
        if not piece.more:
            self.size = piece.offset + len(piece.data)
        if piece.offset == 0:
            self.protocol = piece.protocol
        return True

    def take_whole(self) -> tuple[int, bytes] | None:
        """The payload, of which as many bytes came as it has; None if they overlap."""
        parts: list[bytes] = []
        end = 0
        for offset, data in sorted(self.pieces.items()):
            if offset != end:
                return None
            parts.append(data)
            end += len(data)
        return (self.protocol, b"".join(parts)) if end == self.size else None

    def refuse(self) -> None:
        self.refused = True
        self.pieces = {}
        self.received = 0
        self.size = _UNKNOWN
