"""Who counts what a queue loses: the sources that are subscribed to while the queue is set up, behind operators too."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

Count = Callable[[int], None]
"""Told of each loss: how many messages."""


class _Here(threading.local):
    counts: list[Count] | None = None
    """Of the queue that is being set up on this thread."""


_here = _Here()


def count_losses(count: Count) -> None:
    """Have ``count`` told what the queue loses that is being set up right now, if one is."""
    if _here.counts is not None:
        _here.counts.append(count)


@contextmanager
def counted_by_sources(counts: list[Count] | None) -> Generator[None]:
    """The sources that are subscribed to within the block add to ``counts``; None: they count nothing.

    So that losses behind operators are in the statistics of the channel that the messages came from.
    """
    outer, _here.counts = _here.counts, counts
    try:
        yield
    finally:
        _here.counts = outer
