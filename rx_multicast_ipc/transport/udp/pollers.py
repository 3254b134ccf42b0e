"""What waits for many sockets at a time, and what ends such a wait."""

from __future__ import annotations

import select
import selectors
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

Reader = Callable[[], int]
"""Reads, and returns how many messages it delivered."""


class Epoll:
    """Waits for sockets with epoll(7), at half the cost of a selector."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Reader] = {}
        self.wait = self._epoll.poll
        """Takes seconds, or None for ever; returns pairs of a descriptor and what happened to it."""
        self.reader = self._readers.get
        """That of a descriptor, if it is still watched."""

    def fileno(self) -> int:
        """A descriptor that has something to read while one of the sockets has."""
        return self._epoll.fileno()

    def wait_finely(self, seconds: float) -> list[tuple[int, int]]:
        """As :attr:`wait`, which counts whole milliseconds, upwards, and takes two for one; not so select(2)."""
        with suppress(ValueError):  # its number is too large for select
            select.select((self._epoll,), (), (), seconds)
            seconds = 0.0
        return self.wait(seconds)

    def register(self, watched: socket.socket, reader: Reader, *, for_writing: bool = False) -> None:
        self._epoll.register(watched, select.EPOLLOUT if for_writing else select.EPOLLIN)
        self._readers[watched.fileno()] = reader

    def unregister(self, watched: socket.socket) -> None:
        del self._readers[watched.fileno()]
        self._epoll.unregister(watched)

    def close(self) -> None:
        self._epoll.close()


class Selector:
    """Waits for sockets with what the platform has."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._readers: dict[int, Reader] = {}
        self.reader = self._readers.get

    def wait(self, seconds: float | None) -> list[tuple[int, int]]:
        return [(key.fd, events) for key, events in self._selector.select(seconds)]

    wait_finely = wait

    def fileno(self) -> int:
        """As that of :class:`Epoll`; raises ``NotImplementedError`` where there is none, as on Windows."""
        selector: Any = self._selector
        if not hasattr(selector, "fileno"):
            raise NotImplementedError("no one descriptor stands for many sockets here")
        return selector.fileno()

    def register(self, watched: socket.socket, reader: Reader, *, for_writing: bool = False) -> None:
        self._selector.register(watched, selectors.EVENT_WRITE if for_writing else selectors.EVENT_READ)
        self._readers[watched.fileno()] = reader

    def unregister(self, watched: socket.socket) -> None:
        del self._readers[watched.fileno()]
        self._selector.unregister(watched)

    def close(self) -> None:
        self._selector.close()


Poller: TypeAlias = Epoll | Selector

new_poller: Callable[[], Poller] = Epoll if hasattr(select, "epoll") else Selector
"""Makes the best one that the platform has."""


class Waker:
    """Ends another thread's wait: a descriptor that is written to, and read by who was woken."""

    def __init__(self) -> None:
        self.reads, self._writes = socket.socketpair()
        self.reads.setblocking(False)
        self._writes.setblocking(False)

    def wake(self) -> None:
        with suppress(OSError):  # full, so it will wake; or closed, so nobody waits
            self._writes.send(b"\0")

    def read(self) -> int:
        with suppress(BlockingIOError):
            self.reads.recv(4096)
        return 0

    def close(self) -> None:
        self.reads.close()
        self._writes.close()
