"""Deadlines of many items, of which each has one at a time. Pure."""

from __future__ import annotations

import heapq
import math
from itertools import count
from typing import Final, Generic, TypeVar

_K = TypeVar("_K")

_SPARE: Final = 64
"""Entries of the heap that do not count any more, beyond as many as there are items."""


class Deadlines(Generic[_K]):
    """A heap; a deadline that was replaced or dropped stays in it until it is at the top, or there are too many."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _K]] = []
        self._entry_of: dict[_K, int] = {}
        self._numbers = count()

    def __len__(self) -> int:
        """Entries of the heap."""
        return len(self._heap)

    def set(self, key: _K, when: float) -> None:
        """Give an item this deadline, in the place of the one that it may have."""
        number = self._entry_of[key] = next(self._numbers)
        heapq.heappush(self._heap, (when, number, key))
        if len(self._heap) > 2 * len(self._entry_of) + _SPARE:
            self._heap[:] = filter(self._counts, self._heap)
            heapq.heapify(self._heap)

    def drop(self, key: _K) -> None:
        """The item has no deadline any more."""
        self._entry_of.pop(key, None)

    def next(self) -> float:
        """The first deadline; infinity for none."""
        heap = self._heap
        while heap and not self._counts(heap[0]):
            heapq.heappop(heap)
        return heap[0][0] if heap else math.inf

    def take(self, now: float) -> _K | None:
        """The item with the first deadline, if that has come; it has none afterwards."""
        if self.next() > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._entry_of[key]
        return key

    def _counts(self, entry: tuple[float, int, _K]) -> bool:
        return self._entry_of.get(entry[2]) == entry[1]
