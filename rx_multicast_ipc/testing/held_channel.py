"""A channel that reads nothing for a while, so that what arrives meanwhile arrives together, or is too much."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from ..channel import Channel


@contextmanager
def held(channel: Channel) -> Generator[Callable[[], None]]:
    """Keep the channel's I/O thread busy within the block, or until the function is called that it gives."""
    holding, released = threading.Event(), threading.Event()

    def hold() -> None:
        holding.set()
        released.wait()

    channel.transport.call(hold)
    holding.wait()
    try:
        yield released.set
    finally:
        released.set()
