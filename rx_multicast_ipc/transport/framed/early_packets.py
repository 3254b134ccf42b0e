"""Packets that arrived before their turn, in bounded memory."""

from __future__ import annotations

from typing import Any

from .packets import Data


class EarlyPackets:
    """What is held until what is missing before it has come.

    Args:
        capacity: bytes.

    Attributes:
        size: bytes of what is held.
    """

    def __init__(self, capacity: int) -> None:
        self.size = 0
        self._capacity = capacity
        self._held: dict[int, tuple[Data, Any]] = {}

    def __bool__(self) -> bool:
        return bool(self._held)

    def __contains__(self, number: int) -> bool:
        return number in self._held

    def numbers(self) -> list[int]:
        return [*self._held]

    def hold(self, data: Data, origin: Any) -> bool:
        """Whether there is room for it; if not, it will be sent again."""
        size = len(data.body)
        if self.size + size > self._capacity:
            return False
        self._held[data.number] = data, origin
        self.size += size
        return True

    def get(self, number: int) -> tuple[Data, Any] | None:
        """A packet that is held, to be dropped once it was taken in its turn; None if it is not here."""
        return self._held.get(number)

    def drop_before(self, number: int) -> None:
        """Hold those no more that were taken, and that Ctrl-C left here; each by the time the older ones are gone."""
        while (oldest := next(iter(self._held), number)) < number:
            self.drop(oldest)

    def drop(self, number: int) -> None:
        """Hold a packet no more, if it is here."""
        held = self._held.get(number)
        if held is not None:
            size = len(held[0].body)
            del self._held[number]  # no call from here on
            self.size -= size
