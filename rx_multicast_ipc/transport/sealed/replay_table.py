"""Which numbers were seen, so that none counts twice. Pure."""

from __future__ import annotations

from array import array


class ReplayTable:
    """Takes each number once, in about the order in which they were given out.

    A number has a place, its remainder; the place holds the highest number that was taken there. So a number is taken
    if none above it was taken at its place: one that comes up to ``size`` numbers late always is, for the first time.

    Args:
        size: places.
    """

    __slots__ = ("_highest", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._highest = array("Q", bytes(8 * size))

    def take(self, number: int) -> bool:
        """Whether a number, 1 or more, was not taken before, and is not too late; it is taken then."""
        place = number % self._size
        if self._highest[place] >= number:
            return False
        self._highest[place] = number
        return True

    def was_taken(self, number: int) -> bool:
        """Whether :meth:`take` would refuse it."""
        return self._highest[number % self._size] >= number
