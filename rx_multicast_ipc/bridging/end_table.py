"""Which end stands for which sender, as in the translation table of a NAT (RFC 4787). Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

from ..message import Address

_E = TypeVar("_E")

_BUSY: Final = 10.0
"""Seconds since its last use within which an end is not taken away from its sender for another one's sake."""


class EndTable(Generic[_E]):
    """The ends of one side, each for one sender of the other side, those used last at the back.

    Args:
        capacity: ends at most.
        idle: seconds without use after which an end goes.
    """

    def __init__(self, capacity: int, idle: float) -> None:
        self._capacity = capacity
        self._idle = idle
        self._ends: OrderedDict[Address, tuple[_E, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[_E]:
        return iter([end for end, _ in self._ends.values()])

    def use(self, sender: Address, make: Callable[[], _E | None], now: float) -> tuple[_E | None, _E | None]:
        """The end for ``sender``, and one that has to go for it.

        Args:
            sender: whom it stands for.
            make: makes one, if there is none yet; or returns None.
            now: seconds.

        Returns:
            No end, if all are in use or ``make`` gave none.
        """
        found = self._ends.get(sender)
        if found is not None:
            end = found[0]
            self._ends[sender] = end, now
            self._ends.move_to_end(sender)
            return end, None
        gone: _E | None = None
        if len(self._ends) >= self._capacity:
            oldest, (_, used_at) = next(iter(self._ends.items()))
            if now - used_at < _BUSY:
                return None, None
            gone = self._ends.pop(oldest)[0]
        made = make()
        if made is not None:
            self._ends[sender] = made, now
        return made, gone

    def touch(self, sender: Address, now: float) -> None:
        """The end for ``sender`` is in use, if there is one."""
        found = self._ends.get(sender)
        if found is not None:
            self._ends[sender] = found[0], now
            self._ends.move_to_end(sender)

    def expire(self, now: float) -> list[_E]:
        """Those that were not used for too long, which are forgotten here."""
        gone: list[_E] = []
        while self._ends:
            sender, (end, used_at) = next(iter(self._ends.items()))
            if now - used_at <= self._idle:
                break
            del self._ends[sender]
            gone.append(end)
        return gone

    def remove(self, end: _E) -> None:
        """Forget one, if it is here."""
        for sender in [sender for sender, (found, _) in self._ends.items() if found is end]:
            del self._ends[sender]

    def clear(self) -> list[_E]:
        """All of them, which are forgotten here."""
        gone = list(self)
        self._ends.clear()
        return gone
