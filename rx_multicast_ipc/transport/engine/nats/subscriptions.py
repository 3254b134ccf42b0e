"""What the server was asked to send, and the ends that it is for."""

from __future__ import annotations

from typing import Generic

from ..connection import E_contra as _E
from . import subjects


class Subscription(Generic[_E]):
    """One subscription at the server.

    Attributes:
        sid: its number.
        filter: what it brings, with wildcards.
        ends: whom it is for; replaced, never changed.
        holds: whether the server is known to have it.
        refused: what the server said, if it forbids it.
    """

    def __init__(self, sid: int, filter: str) -> None:
        self.sid = sid
        self.filter = filter
        self.ends: tuple[_E, ...] = ()
        self.holds = False
        self.refused: bytes | None = None

    @property
    def line(self) -> bytes:
        """What asks the server for it."""
        return b"SUB %b %d\r\n" % (self.filter.encode(), self.sid)


class Subscriptions(Generic[_E]):
    """All of a connection, those of its own subjects apart. Who uses it holds the connection's lock, but to read.

    Args:
        last_sid: the highest number that is taken.
    """

    def __init__(self, last_sid: int) -> None:
        self._last_sid = last_sid
        self._by_filter: dict[str, Subscription[_E]] = {}
        self._by_sid: dict[bytes, Subscription[_E]] = {}
        self._others: tuple[Subscription[_E], ...] = ()
        self.of_sid = self._by_sid.get
        """That with a number, as the server writes it; None if there is none."""
        self.of_filter = self._by_filter.get
        """That to a filter; None if there is none."""

    def next_sid(self) -> int:
        """A number that was never used before."""
        self._last_sid += 1
        return self._last_sid

    def add(self, filter: str, end: _E) -> tuple[Subscription[_E], bool]:
        """The subscription to ``filter``, now for ``end``, too; and whether it is new."""
        found = self._by_filter.get(filter)
        is_new = found is None
        if found is None:
            found = self._by_filter[filter] = Subscription(self.next_sid(), filter)
            self._by_sid[b"%d" % found.sid] = found
            if not subjects.is_whole_group(filter):
                self._others = (*self._others, found)
        found.ends = (*found.ends, end)
        return found, is_new

    def remove(self, filter: str, end: _E) -> Subscription[_E] | None:
        """Take ``end`` from the subscription to ``filter``; that, if nobody is left who wants it."""
        found = self._by_filter.get(filter)
        if found is None or end not in found.ends:
            return None
        found.ends = tuple(other for other in found.ends if other is not end)
        if found.ends:
            return None
        del self._by_filter[filter], self._by_sid[b"%d" % found.sid]
        self._others = tuple(other for other in self._others if other is not found)
        return found

    def bringing(self, subject: str, whole: str) -> list[Subscription[_E]]:
        """Those that bring what is sent to ``subject``: that to ``whole``, and all others that match."""
        own = self._by_filter.get(whole)
        found = [] if own is None else [own]
        return found + [each for each in self._others if each is not own and subjects.matches(each.filter, subject)]

    @property
    def lines(self) -> bytes:
        """What asks the server for all of them."""
        return b"".join(each.line for each in self._by_filter.values())
