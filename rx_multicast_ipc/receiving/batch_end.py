"""The end of the batch that is being delivered, for who would rather take many items than one after the other."""

from __future__ import annotations

from collections.abc import Callable

from ..transport.delivered_batch import HERE


def at_end_of_batch(action: Callable[[], None]) -> bool:
    """Run ``action`` once the batch of several messages is delivered that this thread delivers; False if it does not.

    Asked for again, it is still run once.
    """
    batch = HERE.batch
    if batch is None:
        return False
    batch.at_end(action)
    return True
