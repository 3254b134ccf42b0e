"""The thread on which a live transport reads, delivers and runs its timers."""

from __future__ import annotations

import select
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from ...channel_scheduler import DeliveringScheduler
from ...subscriber_errors import DeliveringThread, report

_LONGEST_WAIT = 3600.0
"""Seconds: the system calls that wait take no more than some weeks."""

Reader = Callable[[], int]
"""Reads, and returns how many messages it delivered."""

_WORTH_IT = 8
"""Messages a read that are worth a wake-up. Fewer, but more than one, say that more are on their way."""

_GATHER = 100e-6
"""Seconds to let those arrive: a wake-up costs more than a message, as for network cards' interrupts."""


class _Epoll:
    """Waits for sockets with epoll(7), at half the cost of a selector."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._readers: dict[int, Reader] = {}
        self.wait = self._epoll.poll
        """Takes seconds, or None for ever; returns what :meth:`reader` takes."""

    def register(self, watched: socket.socket, reader: Reader, *, for_room: bool = False) -> None:
        self._epoll.register(watched, select.EPOLLOUT if for_room else select.EPOLLIN)
        self._readers[watched.fileno()] = reader

    def unregister(self, watched: socket.socket) -> None:
        del self._readers[watched.fileno()]
        self._epoll.unregister(watched)

    def reader(self, event: Any) -> Reader:
        return self._readers.get(event[0], _nobody)

    def close(self) -> None:
        self._epoll.close()


class _Selector:
    """Waits for sockets with what the platform has."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self.wait = self._selector.select

    def register(self, watched: socket.socket, reader: Reader, *, for_room: bool = False) -> None:
        self._selector.register(watched, selectors.EVENT_WRITE if for_room else selectors.EVENT_READ, reader)

    def unregister(self, watched: socket.socket) -> None:
        self._selector.unregister(watched)

    def reader(self, event: Any) -> Reader:
        return event[0].data

    def close(self) -> None:
        self._selector.close()


def _nobody() -> int:
    return 0


_new_poller = _Epoll if hasattr(select, "epoll") else _Selector


class IoThread:
    """A thread that lives while there is something to watch or to wait for, and no longer.

    It starts with the first watched socket or timer and ends when none is left; a later one starts
    it again. It is a daemon, so that it never holds up the end of the interpreter.

    Args:
        name: the thread's name, for debuggers and profilers.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.scheduler = DeliveringScheduler(self._wake)
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()  # a signal handler may close what its thread was just using
        self._ident: int | None = None
        self._poller: _Epoll | _Selector | None = None
        self._wake_ends: tuple[socket.socket, ...] = ()
        self._woken = False
        self._watched = 0
        self._posted: deque[Callable[[], object]] = deque()

    @property
    def is_current(self) -> bool:
        """Whether the caller is on this thread."""
        return threading.get_ident() == self._ident

    def watch(self, readers: Mapping[socket.socket, Reader], *, for_room: bool = False) -> None:
        """Call each reader on this thread whenever its socket has something to read, or has room to send."""
        with self._lock:
            try:
                poller = self._start()
                for watched, reader in readers.items():
                    poller.register(watched, reader, for_room=for_room)
                    self._watched += 1
            finally:
                self._interrupt()

    def unwatch(self, watched: socket.socket) -> None:
        """Stop watching; on this thread only, and before the socket is closed."""
        with self._lock, suppress(KeyError):
            if self._poller is not None:
                self._poller.unregister(watched)
                self._watched -= 1

    def call(self, action: Callable[[], None]) -> None:
        """Run ``action`` on this thread: at once when already there, else as soon as it is free."""
        if self.is_current:
            action()
            return
        self._posted.append(action)
        self._wake()

    def post(self, action: Callable[[], object]) -> None:
        """Run ``action`` on this thread as soon as it is free, but not within what it does now."""
        self._posted.append(action)
        self._wake()

    def run_posted(self) -> None:
        """Run what other threads posted so far; on this thread only.

        Between reading and delivering, so that a message never overtakes what was asked for before it was sent.
        """
        for _ in range(len(self._posted)):
            action = self._posted.popleft()
            try:
                action()
            except BaseException as error:
                report(error)

    def forget(self) -> None:
        """Become a thread that was never started, without waiting for a lock (for a forked child)."""
        self._release()
        self._reset()
        self.scheduler.forget()

    def _wake(self) -> None:
        if self.is_current:
            return
        with self._lock:
            self._start()
            self._interrupt()

    def _interrupt(self) -> None:
        """End the wait under way, or the next one; with the lock held."""
        if self._wake_ends and not self._woken:
            self._woken = True
            with suppress(BlockingIOError):
                self._wake_ends[0].send(b"\0")

    def _start(self) -> _Epoll | _Selector:
        """The running thread's poller; with the lock held."""
        if self._poller is not None:
            return self._poller
        try:
            self._wake_ends = waker, woken = socket.socketpair()
            waker.setblocking(False)
            woken.setblocking(False)
            poller = self._poller = _new_poller()

            def wake() -> int:
                woken.recv(4096)
                self._woken = False  # before what was asked for is looked at
                return 0

            poller.register(woken, wake)
            DeliveringThread(target=self._run, args=(poller,), name=self._name, daemon=True).start()
        except BaseException:
            self._release()
            raise
        return poller

    def _run(self, poller: _Epoll | _Selector) -> None:
        self._ident = threading.get_ident()
        wait, reader = poller.wait, poller.reader
        while self._watched or not self._ended(poller):
            try:
                pause = 0 if self._posted else self.scheduler.until_next()
                if pause is not None:
                    pause = min(pause, _LONGEST_WAIT)
                events = wait(pause)
                now = time.monotonic()
                read = 0
                for event in events:  # before timers: what arrived in time beats its time-out
                    read += reader(event)()
                if self._posted:
                    self.run_posted()
                if 1 < read < _WORTH_IT:
                    time.sleep(_GATHER)
                self.scheduler.run_due(now)
            except BaseException as error:  # not even sys.exit() in a subscriber ends the reading
                report(error)

    def _ended(self, poller: _Epoll | _Selector) -> bool:
        with self._lock:
            if self._poller is not poller:  # a subscriber forked, and this is the child
                return True
            if self._watched or self._posted or self.scheduler.until_next() is not None:
                return False
            self._release()
            return True

    def _release(self) -> None:
        if self._poller is not None:
            self._poller.close()
        for end in self._wake_ends:
            end.close()
        self._ident = self._poller = None
        self._wake_ends = ()
        self._woken = False
