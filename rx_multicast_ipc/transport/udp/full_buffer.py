"""What waits for a full send buffer: run on the I/O thread, in order, as soon as it has space."""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from ...group import Group
from ...subscribing.subscriber_errors import is_for_the_caller, report
from ..base import may_wait
from .io_thread import IoThread

_log = logging.getLogger("rx_multicast_ipc")

_MOST: Final = 65_536
"""Sends that wait without a thread of their own."""

_TRY_AGAIN: Final = 0.05
"""Seconds until another try to wait for the buffer, where there was no descriptor left for it."""

# Not epoll, which needs a descriptor of its own and forgets a socket that is closed.
_Poller: Final[type[selectors.BaseSelector]] = getattr(selectors, "PollSelector", selectors.SelectSelector)


def wait_until_writable(opened: socket.socket, seconds: float) -> None:
    """Block until a send buffer may have space, for so long at most; not at all where it is closed meanwhile."""
    with suppress(OSError, ValueError), _Poller() as waiting:
        waiting.register(opened, selectors.EVENT_WRITE)
        waiting.select(seconds)


class FullBuffer:
    """First in, first out. What finds the buffer full again is to wait again, and keeps its place.

    Args:
        group: where to, for people.
        thread: watches the socket, and runs what waits.
        second: another descriptor of the socket, for a poller takes each once, and the socket is watched for reading.

    Attributes:
        lock: the sender's: held while the socket is in use, so that nobody sends between a look at this queue and the
            send that follows from it.
        in_use: whether anything waits, or is being run. May be read without the lock.
    """

    def __init__(self, group: Group, thread: IoThread, second: Callable[[], socket.socket]) -> None:
        self._group = group
        self._thread = thread
        self._second = second
        self.lock = threading.RLock()  # a signal handler may close while its thread sends
        self.in_use = False
        self._shut = False
        self._held: deque[Callable[[], None]] = deque()
        self._again: deque[Callable[[], None]] = deque()
        self._running = self._tries_again = False
        self._writable: socket.socket | None = None

    @property
    def is_full(self) -> bool:
        """Whether nothing more can wait."""
        return len(self._held) >= _MOST

    def add(self, action: Callable[[], None]) -> None:
        """Run ``action`` on the thread as soon as the buffer may have space, after those that waited before it."""
        with self.lock:
            self.in_use = True
            if self._runs_here:
                self._again.append(action)
                return
            self._held.append(action)
            is_watched = self._running or self._writable is not None  # and not who came first: it may be interrupted
        if not is_watched:
            self._thread.call(self._watch)

    def is_overtaken(self) -> bool:
        """Whether others wait to send, and this thread would overtake them; with the lock."""
        if not self.in_use or may_wait():
            return False
        return not self._runs_here or bool(self._again)

    def shut(self) -> None:
        """What waits is run soon, whether there is space or not: nothing is sent any more."""
        self._shut = True

    def run(self) -> None:
        """Run what waits, in order, until the buffer is full again; on the thread."""
        try:
            with self.lock:
                self._running, most = True, len(self._held)
            for _ in range(most):
                with self.lock:
                    if self._again or not self._held:  # the latter: closed by the one before
                        break
                    action = self._held.popleft()
                try:
                    action()
                except BaseException as error:
                    if is_for_the_caller(error):
                        raise
                    report(error)
        finally:
            with self.lock:
                self._running = False
                self._held.extendleft(reversed(self._again))
                self._again.clear()
                self.in_use = more = bool(self._held)
            if more:
                self._watch()

    def stop_watching(self) -> None:
        """Let go of the second descriptor; on the thread."""
        writable, self._writable = self._writable, None
        if writable is not None:
            self._thread.unwatch(writable)
            writable.close()

    def forget(self) -> None:
        """Let go of all in a forked child, without waiting for a lock."""
        self.lock = threading.RLock()
        self._shut = True
        self._held.clear()
        self.in_use = False
        self.stop_watching()

    def _watch(self) -> None:
        if self._shut:
            self.run()
        if self._shut or self._writable is not None or self._tries_again:
            return
        try:
            self._writable = self._second()
            self._thread.watch({self._writable: self._has_space}, for_writing=True)
        except OSError as error:
            _log.warning("%s: cannot wait for the send buffer, will try again: %s", self._group, error)
            self.stop_watching()
            self._thread.scheduler.schedule_relative(_TRY_AGAIN, self._try_again)
            self._tries_again = True
        except BaseException:
            self.stop_watching()
            raise

    def _try_again(self, _scheduler: object, _state: object) -> None:
        self._tries_again = False
        self._watch()

    def _has_space(self) -> int:
        self.stop_watching()
        self.run()
        return 0

    @property
    def _runs_here(self) -> bool:
        return self._running and self._thread.is_current
