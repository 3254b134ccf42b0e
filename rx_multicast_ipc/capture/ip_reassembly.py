"""IP datagrams that came in pieces, put together again."""

from __future__ import annotations

from typing import Final

_MOST: Final = 64
"""Datagrams that are put together at a time; beyond it the oldest is given up."""

_LONGEST: Final = 65_535


class Fragments:
    """Collects the pieces of datagrams, as RFC 791 and RFC 8200, section 4.5, have it.

    A datagram whose pieces overlap is given up (RFC 5722), but a piece may come twice.

    Attributes:
        lost: how many datagrams were given up.
    """

    def __init__(self) -> None:
        self.lost = 0
        self._waiting: dict[object, _Waiting] = {}

    @property
    def waiting(self) -> int:
        """How many datagrams lack a piece."""
        return len(self._waiting)

    def add(self, key: object, offset: int, more: bool, data: bytes) -> bytes | None:
        """The whole payload, if this was its last missing piece.

        Args:
            key: tells the datagram from all others on their way: addresses, identification, protocol.
            offset: bytes of its payload before this piece.
            more: whether it goes on behind this piece.
            data: the piece.
        """
        waiting = self._waiting.setdefault(key, _Waiting())
        waiting.pieces[offset] = data
        if not more:
            waiting.size = offset + len(data)
        if sum(map(len, waiting.pieces.values())) < waiting.size:
            if len(self._waiting) > _MOST:
                del self._waiting[next(iter(self._waiting))]
                self.lost += 1
            return None
        del self._waiting[key]
        whole = bytearray()
        for at, piece in sorted(waiting.pieces.items()):
            if at != len(whole):
                self.lost += 1
                return None
            whole += piece
        return bytes(whole)


class _Waiting:
    def __init__(self) -> None:
        self.pieces: dict[int, bytes] = {}
        self.size = _LONGEST + 1  # more than any, until the last piece tells
