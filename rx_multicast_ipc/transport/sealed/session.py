"""What is known of a session: one salt of one end. Pure."""

from __future__ import annotations

from typing import Final

from ...message import Address
from .envelope import Opener
from .replay_table import ReplayTable

_LATE: Final = 4096
"""Datagrams to the group by which one may be late."""

_LATE_DIRECT: Final = 1024
"""The same of those to this end alone, which come by another socket."""

_MOST_PLACES: Final = 32
"""Addresses of one session."""


class Session:
    """Opens what an end has sealed with one salt, and takes each number of it once.

    Args:
        prefix: what its datagrams begin with.
        opener: for it.

    Attributes:
        places: the addresses where it has shown to be.
        is_passed_on: whether somebody else is at its place, such as a bridge, and passes on what it says.
        first: the first number that this end is to hear.
        heard: how often it was heard at one of them, with a number that is new, or has shown to be at one.
    """

    __slots__ = ("_direct", "_group", "first", "heard", "is_passed_on", "opener", "places", "prefix")

    def __init__(self, prefix: bytes, opener: Opener) -> None:
        self.prefix = prefix
        self.opener = opener
        self.places: set[Address] = set()
        self.is_passed_on = False
        self.first = 1
        self.heard = 0
        self._group: ReplayTable | None = None
        self._direct: ReplayTable | None = None

    def take(self, number: int, *, direct: bool) -> bool:
        """Whether a number is taken for the first time, and may be."""
        table = (self._direct if direct else self._group) or self._table(direct=direct)
        if number >= self.first and table.take(number):
            self.heard += 1
            return True
        return False

    def refuses(self, number: int, *, direct: bool) -> bool:
        """Whether :meth:`take` would not take a number."""
        return number < self.first or self._table(direct=direct).was_taken(number)

    def is_at(self, place: Address, *, passed_on: bool) -> None:
        """It has shown to be at an address. Who passes it on is there alone, and for as long as it is not itself."""
        if passed_on or self.is_passed_on or len(self.places) >= _MOST_PLACES:
            self.places.clear()
        self.is_passed_on = passed_on
        self.places.add(place)
        self.heard += 1

    def _table(self, *, direct: bool) -> ReplayTable:
        table = self._direct if direct else self._group
        if table is None:
            if direct:
                table = self._direct = ReplayTable(_LATE_DIRECT)
            else:
                table = self._group = ReplayTable(_LATE)
        return table
