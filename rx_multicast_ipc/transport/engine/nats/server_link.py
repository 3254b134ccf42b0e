"""The link to a NATS server, or to one of a cluster: bytes out, messages in, and back to a server when it is lost."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol

from ....errors import CannotOpen, SendFailed
from ....option_values.engines import Nats
from ....strangers.decoding import json_object_or_none
from ...base import WouldBlock
from ...latch import Latch
from ...udp.io_thread import IoThread
from .cluster import Cluster
from .login import PATIENCE, Login
from .socket_writer import SocketWriter
from .wire import Delivered, NotNats, Said

_log = logging.getLogger("rx_multicast_ipc")

_READ: Final = 65_536
"""Bytes of one read."""

_PAYLOAD_LIMIT: Final = 1 << 20
"""Bytes that a server takes which does not say how many."""

_ALIVE: Final = 5.0
"""Seconds after which a silent server is asked whether it is there."""


class LinkOwner(Protocol):
    """The user of a link, and what the link calls, on the link's thread except where it says otherwise."""

    def greeting(self) -> bytes:
        """What is to be said to a server first; with the lock held, on any thread."""
        ...

    def take(self, messages: list[Delivered]) -> None:
        """Take messages, in order."""
        ...

    def hear_violation(self, reason: str, text: bytes) -> None:
        """The server forbids something."""
        ...

    def lost(self) -> None:
        """The server is away. The link tries to get back, unless it is closed here."""
        ...

    def back(self) -> None:
        """A server is there, and has heard the greeting."""
        ...


class ServerLink:
    """Logged in from the start; it begins with :meth:`begin`.

    How this works. Senders write to the socket themselves, under the lock; what the socket does not take is written by
    the thread, and until then nobody else writes. The thread reads, and gets back to a server when it is lost.

    Args:
        engine: where to, and who we are.
        thread: reads and waits.
        lock: guards what is written, and the owner's subscriptions with it.
        owner: takes what comes.

    Attributes:
        up: whether a server is there.
        where: which, host and port, for people.
        why: why it is away, for people, in parentheses; or empty.
        payload_limit: bytes of the largest payload that the server takes.

    Raises:
        CannotOpen, NotAuthorized, MissingExtra, InvalidOption: see ``login.log_in``.
    """

    def __init__(self, engine: Nats, thread: IoThread, lock: threading.RLock, owner: LinkOwner) -> None:
        self._url = engine.url
        self._thread = thread
        self._lock = lock
        self._owner = owner
        self._cluster = Cluster(engine)
        self._pongs: deque[Callable[[bool], None]] = deque()
        self._waiting: list[Callable[[], None]] = []
        self._closed = False
        self._used: socket.socket | None = None
        self._silent = 0
        self.up = False
        self.where = self.why = ""
        self.payload_limit = 0
        self._adopt(self._cluster.log_in())

    def begin(self) -> None:
        """Greet the server, and read from now on; raises ``RuntimeError`` where no thread can be started."""
        self._greet()
        self._keep_alive = self._thread.scheduler.schedule_periodic(_ALIVE, self._look_alive)

    # Writing.

    def write(self, data: bytes) -> None:
        """Write what belongs together, all or nothing.

        Raises:
            WouldBlock: the socket takes no more right now.
            SendFailed: the server is away, or went away.
        """
        with self._lock:
            if not self.up:
                raise SendFailed(f"{self._url} is away{self.why}; channel.events tells when it is back (UP)")
            if self._writer.waits:
                self._writer.watch()
                raise WouldBlock(f"{self._url} takes no more right now; send again, or wait until it does")
            try:
                self._writer.write(data)
            except OSError as error:
                self._lose(error)
                raise SendFailed(
                    f"{self._url} went away: {error}; channel.events tells when it is back (UP)"
                ) from error

    def control(self, data: bytes) -> None:
        """Write what the server needs to know; while it is away, it is told all anyway once it is back."""
        with self._lock:
            if self.up:
                try:
                    self._writer.write(data)
                except OSError as error:
                    self._lose(error)

    def ask(self, told: Callable[[bool], None]) -> None:
        """Have ``told`` called with True once the server has dealt with all that was written, or with False when it is
        lost; on any thread."""
        with self._lock:
            self._pongs.append(told)
            self.control(b"PING\r\n")

    def flush(self, seconds: float = PATIENCE) -> None:
        """Wait until the server has dealt with all that was written before; raises ``CannotOpen`` if it is away.

        That it went away after it had answered is no failure of what it dealt with.
        """
        ended, answers = Latch(), list[bool]()

        def hear(answered: bool) -> None:
            answers.append(answered)
            ended.set()

        with self._lock:
            if not self.up:
                raise CannotOpen(f"{self._url} is away{self.why}; open the channel again when it is back")
            self.ask(hear)
        if not ended.wait(seconds) or not answers[0]:
            raise CannotOpen(f"{self._url} did not answer{self.why}; open the channel again when it is back")

    def when_writable(self, action: Callable[[], None]) -> None:
        """See :meth:`rx_multicast_ipc.transport.engine.connection.Connection.when_writable`."""
        with self._lock:
            if self._writer.waits and self.up:
                self._waiting.append(action)
                self._writer.watch()
                return
        action()

    def _go_on_writing(self) -> int:
        """The socket may take more."""
        with self._lock:
            if not self.up:
                return 0
            try:
                self._writer.go_on()
            except OSError as error:
                self._lose(error)
                return 0
            if self._writer.waits:
                return 0
            waiting, self._waiting = self._waiting, []
        for action in waiting:
            action()
        return 0

    # Reading, on the thread.

    def _read(self) -> int:
        opened = self._socket
        is_tls = isinstance(opened, ssl.SSLSocket)
        while True:
            try:
                if is_tls:
                    with self._lock:  # OpenSSL is not to be called by two threads
                        data = opened.recv(_READ)
                else:
                    data = opened.recv(_READ)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return 0
            except OSError as error:
                self._lose(error)
                return 0
            if not data:
                self._lose(None)
                return 0
            self._silent = 0
            try:
                found = self._parser.feed(data)
            except (NotNats, ValueError, IndexError) as error:
                self._lose(error)
                return 0
            self._sort(found)
            if not is_tls or self._socket is not opened or self._closed:
                return 0

    def _sort(self, found: list[Delivered | Said]) -> None:
        """Hand messages on, and deal with the rest, in order."""
        messages: list[Delivered] = []
        for each in found:
            if isinstance(each, Delivered):
                messages.append(each)
                continue
            if messages:
                self._owner.take(messages)
                messages = []
            self._hear(each)
        if messages:
            self._owner.take(messages)

    def _hear(self, said: Said) -> None:
        if said.what == b"PING":
            self.control(b"PONG\r\n")
        elif said.what == b"PONG":
            with suppress(IndexError):
                self._pongs.popleft()(True)
        elif said.what == b"INFO":
            self._know(json_object_or_none(said.text) or {})
        elif said.what == b"-ERR":
            reason = said.text.decode("utf-8", "replace").strip("' ")
            if reason.lower().startswith("permissions violation"):
                self._owner.hear_violation(reason, said.text)
            else:  # which ends the connection
                self.why = f" ({reason})"
                _log.warning("%s: %s", self._url, reason)

    def _know(self, info: dict[str, Any]) -> None:
        """Note what a server says of itself, and of the others of its cluster."""
        limit = info.get("max_payload")
        self.payload_limit = limit if isinstance(limit, int) and limit > 0 else self.payload_limit or _PAYLOAD_LIMIT
        self._cluster.learn(info)

    def _look_alive(self, _: object = None) -> None:
        with self._lock:
            if not self.up:
                return
            self._silent += 1
            if self._silent > 3:
                self._lose(TimeoutError("it says nothing any more"))
            elif self._silent > 1:
                self.ask(_nothing)

    # Away and back.

    def _adopt(self, login: Login) -> None:
        """Use this server from now on."""
        self._socket = self._used = login.socket
        self._parser = login.parser
        self._writer = SocketWriter(login.socket, self._thread, self._go_on_writing)
        self.where = f"{login.server[0]}:{login.server[1]}"
        self._know(login.info)

    def _greet(self) -> None:
        """Say what is to be said first, and be up."""
        with self._lock:
            self._pongs.clear()
            self._silent = 0
            self.up = True
            self.why = ""
            self.control(self._owner.greeting())
            if self.up:
                self._thread.watch({self._socket: self._read})

    def _lose(self, error: Exception | None) -> None:
        """The server is lost: refuse writes, and have the thread deal with it; on any thread."""
        with self._lock:
            if self.up and not self._closed:
                self.why = self.why or (f" ({error})" if error is not None else "")
                self._thread.post(partial(self._give_up, self._socket))  # first, for a signal handler may raise
                self.up = False

    def _give_up(self, opened: socket.socket) -> None:
        """Let go of the server at the end of ``opened``, tell, and try to get back; on the thread."""
        with self._lock:
            if opened is not self._used:
                return  # somebody else lost it as well
            self._used = None
            self.up = False
            self._thread.unwatch(opened)
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            self._writer.stop()
            waiters = self._take_waiters()
        for tell in waiters:
            tell()
        if not self._closed:
            self._owner.lost()
            self._come_back()

    def _come_back(self, *_: object) -> None:
        if self._closed or self.up:
            return
        self._socket.close()
        try:
            login = self._cluster.log_in()
        except Exception as error:
            why = f" ({error})"
            if why != self.why:
                self.why = why
                _log.info("%s is still away: %s", self._url, error)
            self._thread.scheduler.schedule_relative(self._cluster.next_pause(), self._come_back)
            return
        with self._lock:
            if self._closed:
                login.socket.close()
                return
            self._adopt(login)
            self._greet()
            if self.up:
                self.ask(self._tell_back)

    def _tell_back(self, answered: bool) -> None:
        """The server has heard the greeting, or was lost again meanwhile."""
        if answered:
            self._owner.back()

    def _take_waiters(self) -> list[Callable[[], None]]:
        """Who waits to write or for a pong: to be told, without the lock, that nothing comes of it; with it held."""
        waiters = [*self._waiting, *(partial(told, False) for told in self._pongs)]
        self._waiting = []
        self._pongs.clear()
        return waiters

    # The end.

    def shut(self) -> None:
        """Read and write nothing more, and tell who waits; from any thread, more than once."""
        with self._lock:
            self._closed = True
            self.up = False
            if hasattr(self, "_keep_alive"):
                self._keep_alive.dispose()
            self._thread.unwatch(self._socket)
            self._writer.stop()
            waiters = self._take_waiters()
        for tell in waiters:
            tell()

    def close(self) -> None:
        """Close the socket; on the thread, after :meth:`shut`."""
        self._socket.close()

    def forget(self) -> None:
        """Let go of the parent's descriptors in a forked child, without waiting for a lock."""
        self._closed = True
        self.up = False
        self._lock = threading.RLock()
        with suppress(OSError):
            socket.close(self._socket.detach())


def _nothing(_: bool) -> None:
    pass
