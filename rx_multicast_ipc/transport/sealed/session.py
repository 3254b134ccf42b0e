"""A session: what one end has sealed with one salt, as it is known here. Pure."""

from __future__ import annotations

from typing import Final

from ...message import Address
from .packet_cipher import Opener
from .replay_table import ReplayTable

_LATE: Final = 4096
"""Datagrams to the group by which one may be late."""

_LATE_DIRECT: Final = 1024
"""The same of those to this end alone, which come by another socket."""

_MOST_ADDRESSES: Final = 32
"""Addresses of one session."""


class Session:
    """Opens what an end has sealed with one salt, and takes each number of it once.

    Args:
        prefix: what its datagrams begin with.
        opener: for it.

    Attributes:
        addresses: where it has proved to be.
        is_relayed: whether it is reached through somebody else, such as a bridge, whose address that is.
        first: the first number that this end is to hear.
        heard: how often a new number came from one of its addresses, or it proved to be at one.
    """

    __slots__ = ("_direct", "_group", "addresses", "first", "heard", "is_relayed", "opener", "prefix")

    def __init__(self, prefix: bytes, opener: Opener) -> None:
        self.prefix = prefix
        self.opener = opener
        self.addresses: set[Address] = set()
        self.is_relayed = False
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

    def is_at(self, address: Address, *, relayed: bool) -> None:
        """It has proved to be at an address. A relay's is its only one, until it is reached at one of its own."""
        if relayed or self.is_relayed or len(self.addresses) >= _MOST_ADDRESSES:
            self.addresses.clear()
        self.is_relayed = relayed
        self.addresses.add(address)
        self.heard += 1

    def _table(self, *, direct: bool) -> ReplayTable:
        table = self._direct if direct else self._group
        if table is None:
            if direct:
                table = self._direct = ReplayTable(_LATE_DIRECT)
            else:
                table = self._group = ReplayTable(_LATE)
        return table
