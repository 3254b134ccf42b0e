"""Messages that an engine stored of a group, while they are read."""

from __future__ import annotations

from typing import Protocol

from ..latch import Latch


class History(Protocol):
    """A reading of stored messages."""

    def start(self) -> None:
        """Begin, on a thread of its own."""
        ...

    def dispose(self) -> None:
        """End without a word; idempotent, from any thread."""
        ...

    def wait(self, latch: Latch) -> None:
        """Wait on its thread, unless it is disposed of meanwhile."""
        ...
