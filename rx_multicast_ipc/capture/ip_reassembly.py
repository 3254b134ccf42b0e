"""IP datagrams that came in pieces, put together again: RFC 791; RFC 8200, section 4.5; RFC 5722.

Pieces wait in the time of the capture, and what is kept of them is bounded in datagrams and bytes. What is known of a
datagram that is over stays for as long, so that a piece that was captured twice is told from one of another datagram.
"""

from __future__ import annotations

from typing import Final

_PATIENCE: Final = 30 * 1_000_000_000
"""Nanoseconds that pieces of one datagram may be apart; its identification may be used again after that."""

_MOST: Final = 1024
"""Datagrams that are put together at a time; beyond it the oldest is given up."""

_MOST_BYTES: Final = 16 << 20
"""Bytes that wait, with what it costs to keep each piece."""

_PIECE_COST: Final = 200
_LONGEST: Final = 65_535


class Fragments:
    """Collects the pieces of datagrams.

    A piece may come twice. Pieces that overlap and agree are one datagram over IPv4; all others that overlap cost the
    whole datagram.

    Attributes:
        lost: how many datagrams were given up.
    """

    def __init__(self) -> None:
        self.lost = 0
        self._waiting: dict[object, _Pieces] = {}
        self._over: dict[object, _Pieces] = {}
        self._cost = 0
        self._over_cost = 0

    @property
    def waiting(self) -> int:
        """How many datagrams lack a piece, but for those that came before."""
        return sum(not waiting.again for waiting in self._waiting.values())

    def add(
        self, key: object, offset: int, more: bool, data: bytes, now: int, *, may_overlap: bool = False
    ) -> bytes | None:
        """The whole payload, if this was its last missing piece.

        Args:
            key: tells the datagram from all others on their way: addresses, identification, protocol.
            offset: bytes of its payload before this piece.
            more: whether it goes on behind this piece.
            data: the piece.
            now: nanoseconds, by the capture.
            may_overlap: whether pieces may overlap where they agree.
        """
        if offset + len(data) > _LONGEST or (more and (len(data) % 8 or not data)):
            self.lost += 1
            return None
        mark = hash((data, more))
        over = self._over.get(key)
        if over is not None and abs(now - over.began) > _PATIENCE:
            over = self._forget(key)
        waiting = self._waiting.get(key)
        if waiting is not None and abs(now - waiting.began) > _PATIENCE:
            waiting = self._give_up(key)
        again = False
        if over is not None and not (waiting and not waiting.again):
            again = over.marks.get(offset) == mark
            if over.dead and (again or offset not in over.marks):
                over.marks[offset] = mark
                return None
            if not again and waiting is not None:
                waiting = self._give_up(key)
        if waiting is None:
            waiting = self._waiting[key] = _Pieces(now, again)
        if waiting.marks.get(offset) == mark:
            return None
        dead = offset in waiting.marks and not (may_overlap and waiting.agrees(offset, data))
        if not dead:
            before = waiting.pieces.get(offset, b"")
            if len(data) >= len(before):
                waiting.pieces[offset] = data
                waiting.length += len(data) - len(before)
        waiting.marks[offset] = mark
        self._cost += len(data) + _PIECE_COST
        waiting.cost += len(data) + _PIECE_COST
        if not more:
            dead = dead or waiting.size not in (offset + len(data), _LONGEST + 1)
            waiting.size = offset + len(data)
        if dead:
            return self._end(key, waiting, None)
        if waiting.length < waiting.size:
            while len(self._waiting) > _MOST or self._cost > _MOST_BYTES:
                self._give_up(next(iter(self._waiting)))
            return None
        whole = waiting.whole(may_overlap)
        if whole is None and may_overlap and waiting.has_hole:
            return None
        return self._end(key, waiting, whole)

    def _end(self, key: object, waiting: _Pieces, whole: bytes | None) -> bytes | None:
        del self._waiting[key]
        self._cost -= waiting.cost
        waiting.dead = whole is None
        self.lost += waiting.dead
        waiting.pieces = {}
        if key in self._over:
            self._forget(key)
        self._over[key] = waiting
        waiting.cost = len(waiting.marks) * _PIECE_COST
        self._over_cost += waiting.cost
        while len(self._over) > _MOST or self._over_cost > _MOST_BYTES:
            self._forget(next(iter(self._over)))
        return whole

    def _give_up(self, key: object) -> None:
        waiting = self._waiting.pop(key)
        self._cost -= waiting.cost
        self.lost += not waiting.again

    def _forget(self, key: object) -> None:
        self._over_cost -= self._over.pop(key).cost


class _Pieces:
    """What has come of one datagram.

    Attributes:
        began: nanoseconds, by the capture.
        again: all of it came before, as a datagram that was whole.
        marks: what came at each offset.
        dead: its pieces contradict each other.
        has_hole: pieces are missing, as :meth:`whole` found.
    """

    def __init__(self, began: int, again: bool) -> None:
        self.began = began
        self.again = again
        self.dead = False
        self.has_hole = False
        self.pieces: dict[int, bytes] = {}
        self.marks: dict[int, int] = {}
        self.length = 0
        self.cost = 0
        self.size = _LONGEST + 1  # more than any, until the last piece tells

    def agrees(self, offset: int, data: bytes) -> bool:
        """Whether ``data`` and what is already there at its offset say the same."""
        other = self.pieces[offset]
        shared = min(len(other), len(data))
        return other[:shared] == data[:shared]

    def whole(self, may_overlap: bool) -> bytes | None:
        """All pieces as one; None if they contradict each other or leave a hole."""
        whole = bytearray()
        self.has_hole = False
        for at, piece in sorted(self.pieces.items()):
            if at > len(whole):
                self.has_hole = True
                return None
            shared = len(whole) - at
            if shared and not (may_overlap and bytes(whole[at : at + len(piece)]) == piece[:shared]):
                return None
            whole += piece[shared:]
        if len(whole) < self.size:
            self.has_hole = True
        return bytes(whole) if len(whole) == self.size else None
