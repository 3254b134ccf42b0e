"""Threads beside those that deliver, and what is told where the system starts no more of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..errors import CannotOpen, MulticastError


def start_thread(
    run: Callable[..., object], *arguments: Any, name: str, error: type[MulticastError] = CannotOpen
) -> threading.Thread:
    """A daemon thread that runs ``run(*arguments)``.

    Args:
        name: the thread's, and what it is for, for people.
        error: what to raise where none can be started.
    """
    thread = threading.Thread(target=run, args=arguments, name=f"rx_multicast_ipc {name}", daemon=True)
    try:
        thread.start()
    except (RuntimeError, MemoryError) as refused:
        raise error(
            f"no thread can be started ({name}): {str(refused) or 'out of memory'}; close channels that are no longer "
            "needed, or raise the limit of threads (ulimit -u; in a container, its limit of processes)"
        ) from refused
    return thread
