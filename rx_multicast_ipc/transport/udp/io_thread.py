"""The thread on which a live transport reads, delivers and runs its timers."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final, Literal, Protocol

from ...channel_scheduler import DeliveringScheduler
from ...subscribing.subscriber_errors import DeliveringThread, is_for_the_caller, report
from ..delivered_batch import HERE
from . import pollers
from .pollers import Poller, Reader, Waker
from .polling import Polling

_FINE = 3e-3
"""Seconds until a timer that are waited for to the microsecond: a paced transfer sends as much less at a time."""

_LONGEST_WAIT = 3600.0
"""Seconds: the system calls that wait take no more than some weeks."""

SOON: Final = 50e-3
"""Seconds that lazy work may wait which nobody waits for: a turn for it costs more than a send, and delays answers."""

_OFTEN = 100e-3
"""Seconds between two turns of lazy work that are worth looking for more."""

_MOST_FAILURES = 10
"""Exceptions that may come while the failure of the thread is told."""

_WORTH_IT = 8
"""Messages a read that are worth a wake-up. Fewer, but more than one, say that more are on their way."""

_GATHER = 100e-6
"""Seconds to let those arrive: a wake-up costs more than a message, as for network cards' interrupts."""

_BURST = 3
"""Turns that other threads ask for one at the heels of the other, with nothing read between: more are on their way."""


_yield: Callable[[], None] = getattr(os, "sched_yield", partial(time.sleep, 0))


def _nobody() -> int:
    return 0


class Lazy(Protocol):
    """Work that may wait a moment."""

    @property
    def pending(self) -> bool:
        """Whether there is any."""
        ...

    @property
    def crowded(self) -> bool:
        """Whether there is so much of it that it had better be done now."""
        ...


class _Nothing:
    pending = crowded = False


NOTHING: Final[Lazy] = _Nothing()
"""No such work."""


class IoThread:
    """A thread that lives while there is something to watch or to wait for, and no longer.

    It starts with the first watched socket or timer and ends when none is left; a later one starts
    it again. It is a daemon, so that it never holds up the end of the interpreter.

    How this works. Who asks for something puts it into a queue, and then wakes the thread if it is *asleep*; the thread
    says that it is before it looks into the queue for the last time. So nothing that was asked for is waited over,
    and a signal that interrupts whoever asks, at any bytecode, leaves nothing that the next one would not mend.
    A thread that finds another one at work leaves at once, so that one may be started on mere suspicion.

    Args:
        name: the thread's name, for debuggers and profilers.
        lazy: whether there is work that may wait a moment, see :meth:`run_soon`.
        run_lazy: does it all, but first calls :meth:`run_posted`, so that nothing overtakes what was posted before.
        spin: how long to poll before it sleeps, see :class:`Polling`: what comes meanwhile finds it awake.
        failed: called on the thread, once, with what kept it from going on: an asynchronous exception, or a descriptor
            that somebody else closed. What reads, timers and actions raise is reported, and does not.
    """

    def __init__(
        self,
        name: str,
        lazy: Lazy = NOTHING,
        run_lazy: Callable[[], object] = _nobody,
        failed: Callable[[BaseException], None] = report,
        spin: float | Literal["auto"] = 0.0,
    ) -> None:
        self._name = name
        self._spin: float | Literal["auto"] = spin
        self._lazy = lazy
        self._run_lazy = run_lazy
        self._failed = failed
        self.scheduler = DeliveringScheduler(self._look_at_timers, self._look_whether_to_end)
        self._reset()

    def _reset(self) -> None:
        self._lock = threading.RLock()  # a signal handler may close what its thread was just using
        self._ident: int | None = None
        self._poller: Poller | None = None
        self._waker: Waker | None = None
        self._starting: threading.Thread | None = None
        self._asleep = False
        self._looks_by_itself = False
        self._last_lazy = 0.0
        self._asked = False
        self._last_asked = 0.0
        self._in_a_row = 0
        self._polling = Polling(self._spin)
        self._watched: set[socket.socket] = set()
        self.posted: deque[Callable[[], object]] = deque()

    @property
    def is_current(self) -> bool:
        """Whether the caller is on this thread."""
        return threading.get_ident() == self._ident

    @property
    def is_in_use_here(self) -> bool:
        """Whether the caller is a signal handler that interrupted what its thread asked of this one."""
        return self._lock._is_owned()  # pyright: ignore

    def watch(self, readers: Mapping[socket.socket, Reader], *, for_writing: bool = False) -> None:
        """Call each reader on this thread whenever its socket has something to read, or can be written to."""
        with self._lock:
            poller = self._start()
            for watched, reader in readers.items():
                self._watched.add(watched)
                poller.register(watched, reader, for_writing=for_writing)
        self._wake()

    def unwatch(self, watched: socket.socket) -> None:
        """Stop watching, if it is watched; before the socket is closed."""
        with self._lock:
            if watched in self._watched and self._poller is not None:
                with suppress(KeyError, OSError, ValueError):
                    self._poller.unregister(watched)
            self._watched.discard(watched)

    def call(self, action: Callable[[], None]) -> None:
        """Run ``action`` on this thread: at once when already there, else as soon as it is free."""
        if self.is_current:
            action()
        else:
            self.post(action)

    def post(self, action: Callable[[], object]) -> None:
        """Run ``action`` on this thread as soon as it is free, but not within what it does now."""
        self.posted.append(action)
        self._wake()

    def run_soon(self, awaited: Callable[[], bool]) -> None:
        """Have what may wait a moment done by then; from any thread.

        Where this happens often and nobody awaits what comes of it, the thread looks by itself twenty times a second
        and is not woken each time. Where it is awaited and happens in bursts, the thread gathers as it does for what it
        reads.
        """
        if not self._looks_by_itself or self._lazy.crowded:
            self._wake()
        elif not self._asked and not self.is_current and awaited():
            self._asked = True
            self._wake()

    def catch_up(self) -> None:
        """Run what other threads posted so far, and what may wait a moment; on this thread only.

        Between reading and delivering, so that a message never overtakes what was asked for before it was sent.
        """
        if self._lazy.pending:
            now = time.monotonic()
            self._looks_by_itself = now - self._last_lazy < _OFTEN  # first, so that who asks meanwhile knows
            self._last_lazy = now
            self._run_lazy()  # and what was posted before it
        if self.posted:
            self.run_posted()

    def run_posted(self) -> None:
        """Run what other threads posted so far; on this thread only."""
        for _ in range(len(self.posted)):
            if not self.posted:  # an action that delivers catches up itself
                return
            action = self.posted.popleft()
            try:
                action()
            except BaseException as error:
                self._caught(error)

    def forget(self) -> None:
        """Become a thread that was never started, without waiting for a lock (for a forked child)."""
        self._release()
        self._reset()
        self.scheduler.forget()

    def _wake(self) -> None:
        """Have the thread look at what there is to do; from any thread."""
        if self._ident is None:
            with self._lock:
                self._start()
        elif not self._asleep:
            return
        waker = self._waker
        if waker is not None:  # else it ended meanwhile, having done all
            waker.wake()

    def _look_at_timers(self) -> None:
        """Have the thread wait no longer than until the next timer; from any thread."""
        self._wake()

    def _look_whether_to_end(self) -> None:
        """Have the thread end, instead of waiting for a timer that was the last and is cancelled; from any thread."""
        waker = self._waker
        if waker is not None and self._asleep and not self._watched:
            waker.wake()

    def _start(self) -> Poller:
        """The poller, and somebody who uses it; with the lock held."""
        if self._poller is None or self._waker is None:
            self._release()
            try:
                self._waker = waker = Waker()
                poller = pollers.new_poller()
                poller.register(waker.reads, waker.read)
                self._poller = poller
            except BaseException:
                self._release()
                raise
        if self._ident is None:
            self._begin()
        return self._poller

    def _begin(self) -> None:
        """Have somebody wait, read and run what is due; with the lock held, and a poller."""
        if self._starting is None or self._starting.ident is None:
            self._starting = DeliveringThread(target=self._run, name=self._name, daemon=True)
            try:
                self._starting.start()
            except (RuntimeError, MemoryError):  # no thread can be started
                if not self._watched:
                    self._release()
                raise

    def _run(self) -> None:
        with self._lock:
            if self._ident is not None or self._poller is None:
                return
            self._ident = threading.get_ident()
            poller = self._poller
        try:
            while self._watched or not self._has_ended(poller):
                if not self._turn(poller):
                    return
        except BaseException as error:
            self._fail(poller, error)

    def _turn(self, poller: Poller) -> bool:
        """Wait, read, and run what is due; whether this thread is still the one that does."""
        self._asleep = True  # before the last look at what there is to do
        due = 0.0 if self.posted else self.scheduler.until_next()
        pause = due
        asked, self._asked = self._asked, False
        if self._lazy.pending and (asked or not self._looks_by_itself):
            pause = 0.0
        elif self._looks_by_itself:
            pause = SOON if due is None else min(due, SOON)
        events: list[tuple[int, int]] = []
        polling = self._polling
        if polling.until > 0.0 and pause != 0.0:
            began = time.perf_counter()
            events = self._poll(poller, pause)
            pause = None if pause is None else max(0.0, pause - (time.perf_counter() - began))
        if not events:
            if pause and due is not None and due < _FINE and not self.scheduler.next_is_coarse:
                events = poller.wait_finely(pause)
            else:
                events = poller.wait(pause if pause is None else min(pause, _LONGEST_WAIT))
        self._asleep = False
        if not events and not self._lazy.pending:
            self._looks_by_itself = False
        woke = time.perf_counter()
        read = self._work(poller, events)
        if HERE.sent or polling.watches:
            sent, HERE.sent = HERE.sent, False
            polling.turned(woke, time.perf_counter(), read=read > 0, sent=sent)
        if 1 < read < _WORTH_IT:
            time.sleep(_GATHER)
        if read:
            self._in_a_row = 0
        elif asked or self._asked:
            self._gather_asked(woke)
        return self._poller is poller

    def _gather_asked(self, woke: float) -> None:
        """Let what other threads ask for gather, if they ask for one turn after the other; told when this one began."""
        self._in_a_row = self._in_a_row + 1 if woke - self._last_asked < _GATHER else 0
        if self._in_a_row >= _BURST:
            time.sleep(_GATHER)
        self._last_asked = time.perf_counter()

    def _work(self, poller: Poller, events: list[tuple[int, int]]) -> int:
        """Read, and run what is due; how many messages that was."""
        now = time.monotonic()
        read = 0  # by the one that read most: what came to different sockets says nothing of more on its way
        for descriptor, _ in events:  # before timers: what arrived in time beats its time-out
            reader = poller.reader(descriptor)
            if reader is None:
                continue
            try:
                read = max(read, reader())
            except BaseException as error:  # not even sys.exit() in a subscriber ends the reading
                self._caught(error)
            if self._poller is not poller:  # a subscriber forked, and this is the child
                return read
        try:
            self.catch_up()
        except BaseException as error:
            self._caught(error)
        try:
            self.scheduler.run_due(now)
        except BaseException as error:
            self._caught(error)
        return read

    def _caught(self, error: BaseException) -> None:
        """Report what a reader, a timer or an action raised, unless it is for who called."""
        if is_for_the_caller(error):
            raise error
        report(error)

    def _poll(self, poller: Poller, pause: float | None) -> list[tuple[int, int]]:
        """What comes before it sleeps. Meanwhile it is woken as if it slept, which ends this."""
        now = time.perf_counter()  # monotonic() has steps of 15.6 ms on Windows up to Python 3.12
        until = self._polling.until if pause is None else min(self._polling.until, now + pause)
        while now < until:
            if events := poller.wait(0.0):
                return events
            _yield()  # to whoever is to send it and has no other core
            now = time.perf_counter()
        self._polling.missed()
        return []

    def _fail(self, poller: Poller, error: BaseException) -> None:
        """Tell that the thread cannot go on, in spite of more exceptions on the way, and let another one begin anew."""
        for _ in range(_MOST_FAILURES):
            try:
                if self._poller is poller:
                    self._failed(error)
                break
            except BaseException as another:
                report(another)
        with self._lock:
            if self._poller is poller:
                self._watched.clear()
                self._release()
                if self._has_work:
                    self._start()

    def _has_ended(self, poller: Poller) -> bool:
        with self._lock:
            if self._poller is not poller:
                return True
            if self._watched or self._has_work:
                return False
            self._release()
            if self._has_work:  # from somebody who found the thread at work a moment ago
                self._start()
            return True

    @property
    def _has_work(self) -> bool:
        return bool(self.posted) or self.scheduler.until_next() is not None

    def _release(self) -> None:
        poller, waker = self._poller, self._waker
        self._ident = self._poller = self._waker = self._starting = None
        self._asleep = False
        if poller is not None:
            with suppress(OSError):
                poller.close()
        if waker is not None:
            waker.close()
