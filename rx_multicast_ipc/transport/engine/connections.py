"""One connection a process and engine, kept for a moment after its last use."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from ...channel_options import ChannelOptions
from ...errors import ChannelClosed
from ...group import Group
from ...option_values.engines import Engine
from ..base import Hears
from ..turns import Turns
from .transport import EngineTransport


class Closable(Protocol):
    @property
    def closed(self) -> bool:
        """Whether it is closed for good."""
        ...


_C = TypeVar("_C", bound=Closable)
_E = TypeVar("_E", bound=EngineTransport)

_lock = threading.RLock()  # a signal handler may open while its thread does
_turns = Turns()
_connections: dict[Engine, Any] = {}


def open_end(
    engine: Engine,
    connect: Callable[[], _C],
    make: Callable[[Group, ChannelOptions, Hears, _C], _E],
    group: Group,
    options: ChannelOptions,
    hears: Hears,
) -> _E:
    """An end that ``make`` makes on this process's connection to ``engine``; ``connect`` makes that if there is none.

    Raises:
        CannotOpen: there is none to be had.
    """
    while True:
        connection = connected(engine, connect)
        try:
            return make(group, options, hears, connection)
        except ChannelClosed:  # its time was over this very moment
            if not connection.closed:
                raise


def connected(engine: Engine, connect: Callable[[], _C]) -> _C:
    """This process's connection to ``engine``, which ``connect`` makes where there is none."""
    with _turns.of(engine):  # one connects, and the others wait for it
        found = _connections.get(engine)
        if found is not None and not found.closed:
            return found
        connection = connect()
        with _lock:
            for other in [other for other, found in _connections.items() if found.closed]:
                del _connections[other]
            _connections[engine] = connection
        return connection


def _forget_all() -> None:
    """Start afresh in a forked child: the connections are the parent's, and the lock may have been held."""
    global _lock, _turns
    _lock, _turns = threading.RLock(), Turns()
    _connections.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
