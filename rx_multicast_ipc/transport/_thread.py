"""The thread on which a live transport reads, delivers and runs its timers."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress


from ..timers import TimerScheduler
from ..unhandled import report

Reader = Callable[[], None]


class DeliveringThread(threading.Thread):
    """The type of every thread that delivers messages."""


def on_delivering_thread() -> bool:
    """Whether the caller is a subscriber on a delivering thread."""
    return isinstance(threading.current_thread(), DeliveringThread)


class IoThread:
    """A thread that lives while there is something to watch or to wait for, and no longer.

    It starts with the first watched socket or timer and ends when none is left; a later one starts
    it again. It is a daemon, so that it never holds up the end of the interpreter.

    Args:
        name: the thread's name, for debuggers and profilers.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self.scheduler = TimerScheduler(self._wake)
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._ident: int | None = None
        self._selector: selectors.BaseSelector | None = None
        self._wake_ends: tuple[socket.socket, ...] = ()
        self._watched = 0

    @property
    def is_current(self) -> bool:
        """Whether the caller is on this thread."""
        return threading.get_ident() == self._ident

    def watch(self, readers: dict[socket.socket, Reader]) -> None:
        """Call each reader on this thread whenever its socket has something to read."""
        with self._lock:
            try:
                selector = self._start()
                for watched, reader in readers.items():
                    selector.register(watched, selectors.EVENT_READ, reader)
                    self._watched += 1
            finally:
                self._interrupt()

    def unwatch(self, watched: socket.socket) -> None:
        """Stop watching; on this thread only, and before the socket is closed."""
        with self._lock, suppress(KeyError):
            if self._selector is not None:
                self._selector.unregister(watched)
                self._watched -= 1

    def call(self, action: Callable[[], None]) -> None:
        """Run ``action`` on this thread: at once when already there, else as soon as it is free."""
        if self.is_current:
            action()
        else:
            self.scheduler.schedule(lambda _scheduler, _state: action())

    def join(self, timeout: float) -> None:
        """Wait until the thread has ended."""
        thread = self._thread
        if thread is not None and not self.is_current:
            thread.join(timeout)

    def forget(self) -> None:
        """Become a thread that was never started, without waiting for a lock (for a forked child)."""
        selector, wake_ends = self._selector, self._wake_ends
        self._reset()
        self.scheduler.forget()
        if selector is not None:
            selector.close()
        for end in wake_ends:
            end.close()

    def _wake(self) -> None:
        if self.is_current:
            return
        with self._lock:
            self._start()
            self._interrupt()

    def _interrupt(self) -> None:
        with suppress(OSError):  # a full pipe wakes as well
            if self._wake_ends:
                self._wake_ends[0].send(b"\0")

    def _start(self) -> selectors.BaseSelector:
        """The running thread's selector; with the lock held."""
        if self._selector is not None:
            return self._selector
        self._wake_ends = waker, woken = socket.socketpair()
        for end in (waker, woken):
            end.setblocking(False)
        selector = self._selector = selectors.DefaultSelector()
        selector.register(woken, selectors.EVENT_READ, lambda: woken.recv(4096))
        self._thread = DeliveringThread(target=self._run, args=(selector,), name=self._name, daemon=True)
        self._thread.start()
        return selector

    def _run(self, selector: selectors.BaseSelector) -> None:
        self._ident = threading.get_ident()
        while True:
            try:
                timeout = self.scheduler.run_due()
                if self._ended(selector):
                    return
                for key, _ in selector.select(timeout):
                    key.data()
            except BaseException as error:  # not even sys.exit() in a subscriber ends the reading
                report(error)

    def _ended(self, selector: selectors.BaseSelector) -> bool:
        with self._lock:
            if self._selector is not selector:  # a subscriber forked, and this is the child
                return True
            if self._watched or not self.scheduler.is_idle():
                return False
            selector.close()
            for end in self._wake_ends:
                end.close()
            self._thread = self._ident = self._selector = None
            self._wake_ends = ()
            return True
