"""Writes to a socket that does not block: at once what it takes, and the rest as soon as it takes more."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from typing import Final

from ...udp.io_thread import IoThread

_FULL: Final = (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError)
"""What a socket raises that takes nothing right now."""


class SocketWriter:
    """Who uses it holds a lock.

    Args:
        opened: the socket, with TLS or without.
        thread: watches it while something waits.
        writable: called on the thread when it may take more; it is to call :meth:`go_on`.
    """

    def __init__(self, opened: socket.socket, thread: IoThread, writable: Callable[[], int]) -> None:
        self._socket = opened
        self._thread = thread
        self._writable = writable
        self._pending = b""
        self._watched: socket.socket | None = None

    @property
    def waits(self) -> bool:
        """Whether something waits for the socket."""
        return bool(self._pending)

    def write(self, data: bytes) -> None:
        """Write ``data``, behind what waits; raises ``OSError``."""
        if self._pending:
            self._pending += data
        else:
            size = len(data)
            try:
                (sent,) = map(self._socket.send, (data,))  # called so, no signal comes before what it returns is kept
            except _FULL:
                sent = 0
            if sent == size:
                return
            self._pending = data[sent:]
        self.watch()

    def watch(self) -> None:
        """Have what waits written as soon as the socket takes it; again where a signal handler raised before."""
        if self._pending and self._watched is None:
            second = _second(self._socket)
            try:
                self._thread.watch({second: self._writable}, for_writing=True)
                self._watched = second
            except BaseException:
                self._thread.unwatch(second)
                second.close()
                raise

    def go_on(self) -> None:
        """Write what waits, as far as the socket takes it; raises ``OSError``."""
        if self._pending:
            self._pending = self._pending[self._send(self._pending) :]
            if not self._pending:
                self.stop()

    def stop(self) -> None:
        """Let go of what waits."""
        self._pending = b""
        if self._watched is not None:
            self._thread.unwatch(self._watched)
            self._watched.close()
            self._watched = None

    def _send(self, data: bytes) -> int:
        try:
            return self._socket.send(data)
        except _FULL:
            return 0


def _second(opened: socket.socket) -> socket.socket:
    """Another plain socket of the same descriptor, to be watched for writing; one with TLS refuses ``dup``."""
    return socket.socket(fileno=os.dup(opened.fileno())) if isinstance(opened, ssl.SSLSocket) else opened.dup()
