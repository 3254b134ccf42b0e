"""An asyncio event loop in the place of an I/O thread."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, Literal

from ...channel_options import ChannelOptions
from ...subscribing import deadlocks
from ...subscribing.subscriber_errors import HERE, report
from .io_thread import SOON, IoThread, Lazy

_log = logging.getLogger("rx_multicast_ipc")

_SAME: Final = 50e-6
"""Seconds between two times that are told apart: asyncio's timers are coarser."""

Loop = asyncio.AbstractEventLoop


def io_thread(
    options: ChannelOptions,
    name: str,
    lazy: Lazy,
    run_lazy: Callable[[], object],
    failed: Callable[[BaseException], None],
    spin: float | Literal["auto"] = 0.0,
) -> IoThread:
    """The thread of a channel with these options, or what they ask for in its place. See :class:`IoThread`."""
    loop = options["read_on"]
    if isinstance(loop, str):
        return IoThread(name, lazy, run_lazy, failed, spin)
    return IoLoop(loop, name, lazy, run_lazy, failed)


class IoLoop(IoThread):
    """Reads, delivers and runs timers on an event loop, for as long as that runs; a thread takes over from it.

    How this works. The loop watches the poller, whose own descriptor is ready while one of the sockets is: so these
    come and go from any thread, and the loop takes the same turns as a thread does. Who is on the loop has it take one
    soon; who is not wakes it as if it was a thread. Timers have one alarm of the loop's, for the earliest of them.

    A loop that is closed drops what it watches. Nobody else keeps that object, so its end is noticed, at once, however
    the loop was closed; a thread takes over then, with the same poller, and nothing that arrived is lost. One that has
    merely stopped is noticed by who asks for something in vain. Either way the thread stays for good.

    Args:
        loop: the event loop.
        name, lazy, run_lazy, failed: as for :class:`IoThread`.
    """

    def __init__(
        self,
        loop: Loop,
        name: str,
        lazy: Lazy,
        run_lazy: Callable[[], object],
        failed: Callable[[BaseException], None] = report,
    ) -> None:
        self._loop: Loop | None = loop
        super().__init__(name, lazy, run_lazy, failed)

    def _reset(self) -> None:
        super()._reset()
        self._watch: weakref.ref[partial[None]] | None = None
        self._attached = False
        self._in_turn = self._turn_follows = self._hurry = self._looks_soon = False
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_due = 0.0

    @property
    def is_current(self) -> bool:
        loop = self._loop
        return super().is_current if loop is None else _running() is loop

    def run_soon(self, awaited: Callable[[], bool]) -> None:
        loop = self._loop
        if loop is None:
            super().run_soon(awaited)
        elif not loop.is_running():
            if self._attached:
                super()._wake()  # for when it goes on
        elif self._lazy.crowded and self.is_current and not self._in_turn:
            self._take_turn()  # for who is on the loop and does not let it go on
        elif awaited():
            self._hurry = True
            self._wake()
        elif not self.is_current:
            super().run_soon(awaited)
        elif not self._in_turn and self._attached:
            self._look_soon()

    def call(self, action: Callable[[], None]) -> None:
        super().call(action)
        if self._lazy.pending and self.is_current:  # which may be what it begins to wait for
            self._hurry = True
            self._wake()

    def unwatch(self, watched: socket.socket) -> None:
        super().unwatch(watched)
        if self._attached and not self._watched:  # perhaps the loop has nothing more to do here
            self._wake()

    def forget(self) -> None:
        self._loop = None  # the parent's, in whose poller this process must change nothing
        self._attached = False
        deadlocks.loop_reads_no_more(self)
        super().forget()

    def _wake(self) -> None:
        loop = self._loop
        if loop is None:
            super()._wake()
        elif _running() is not loop:
            if not loop.is_running():
                self._leave(loop)
            super()._wake()
        elif not self._in_turn and not self._turn_follows:  # else it looks before it ends, or soon
            if not self._attached:
                with self._lock:
                    self._start()
            if self._loop is loop:
                self._take_turn_soon(loop)

    def _look_at_timers(self) -> None:
        if self._attached and self.is_current:
            due = self.scheduler.next_due()
            if due is not None and not self._in_turn:
                self._set_alarm(due)
        else:
            self._wake()

    def _look_whether_to_end(self) -> None:
        if not self._attached:
            super()._look_whether_to_end()
        elif not self._watched:
            self._wake()

    # On the loop

    def _begin(self) -> None:
        loop = self._loop
        if loop is None:
            super()._begin()
        elif _running() is loop:
            self._attach()
        elif self._watch is None:
            attach = partial(self._attach_later)
            self._watch = weakref.ref(attach, self._on_dropped)
            try:
                loop.call_soon_threadsafe(attach)
            except RuntimeError:  # closed this very moment
                self._watch = self._loop = None
                super()._begin()

    def _attach_later(self) -> None:
        with self._lock:
            loop = self._loop
            if loop is not None and self._poller is not None and not self._attached and self._attach():
                self._take_turn_soon(loop)

    def _attach(self) -> bool:
        """Have the loop watch the poller, if it can; with the lock held."""
        loop, poller = self._loop, self._poller
        assert loop is not None
        assert poller is not None
        watch = partial(self._take_turn)  # which the loop alone keeps
        try:
            loop.add_reader(poller.fileno(), watch)
        except NotImplementedError:
            _log.warning(
                "%s: %s cannot watch what several sockets have to read, so they are read on a thread all the same; "
                'leave read_on="loop" out where that is so',
                self._name,
                type(loop).__name__,
            )
            self._loop = self._watch = None
            super()._begin()
            return False
        self._watch = weakref.ref(watch, self._on_dropped)
        self._attached = True
        self._asleep = True
        self._ident = threading.get_ident()
        deadlocks.loop_reads(loop, self)
        return True

    def _take_turn_soon(self, loop: Loop) -> None:
        loop.call_soon(self._take_turn)
        self._turn_follows = True

    def _take_turn(self) -> None:
        """Read, and run what is due."""
        self._turn_follows = begun = False
        poller, loop = self._poller, self._loop
        before = HERE.delivering, HERE.loop, HERE.reads
        try:
            with self._lock:
                if not self._attached or self._in_turn or poller is None or loop is None:
                    return
                begun = self._in_turn = True
            self._asleep = self._hurry = False
            HERE.delivering, HERE.loop, HERE.reads = True, loop, True
            self._work(poller, poller.wait(0.0))
        except (OSError, ValueError) as error:  # somebody closed its descriptor
            if poller is not None:
                self._fail(poller, error)
        finally:
            if begun:
                self._in_turn = False
                HERE.delivering, HERE.loop, HERE.reads = before
                if self._poller is poller and self._attached:
                    self._end_turn()

    def _end_turn(self) -> None:
        """See when the next one is due."""
        poller, loop = self._poller, self._loop
        if poller is None or loop is None:
            return
        self._asleep = True  # before the last look at what there is to do
        if self.posted or (self._hurry and self._lazy.pending):
            self._take_turn_soon(loop)
            return
        due = self.scheduler.next_due()
        if not self._watched and due is None and self._has_ended(poller):
            if self._attached:  # anew, for something that came this very moment
                self._take_turn_soon(loop)
            return
        if due is not None:
            self._set_alarm(due)
        if self._looks_by_itself or self._lazy.pending:
            self._look_soon()

    def _look_soon(self) -> None:
        """Have a turn taken before long, for what may wait a moment."""
        if not self._looks_soon:
            self._set_alarm(time.monotonic() + SOON)
            self._looks_soon = True

    def _set_alarm(self, due: float) -> None:
        """Have a turn taken at ``due``, ``time.monotonic`` seconds, or before."""
        if self._loop is None:
            return
        before = self._alarm
        if before is not None and self._alarm_due <= due + _SAME:
            return
        alarm = self._loop.call_later(max(0.0, due - time.monotonic()), self._on_alarm)
        self._alarm, self._alarm_due = alarm, due  # last, for Ctrl-C may come amid it
        if before is not None:
            before.cancel()

    def _on_alarm(self) -> None:
        self._alarm, self._looks_soon = None, False
        if not self._lazy.pending:
            self._looks_by_itself = False
        self._take_turn()

    def _release(self) -> None:
        """On the loop, if that watches the poller."""
        loop, poller, alarm = self._loop, self._poller, self._alarm
        self._watch = self._alarm = None
        self._looks_soon = False
        if self._attached and loop is not None and poller is not None:
            self._attached = False
            deadlocks.loop_reads_no_more(self)
            loop.remove_reader(poller.fileno())
            if alarm is not None:
                alarm.cancel()
        super()._release()

    # Off the loop

    def _on_dropped(self, watch: weakref.ref[partial[None]]) -> None:
        """The loop let go of what it watched, or was to call."""
        loop = self._loop
        if watch is self._watch and loop is not None:
            with suppress(RuntimeError):  # no thread can be started any more
                self._leave(loop)

    def _leave(self, loop: Loop) -> None:
        """Have a thread go on where ``loop``, which does not run, left off."""
        with self._lock:
            if self._loop is not loop or self._in_turn:
                return
            poller, alarm, attached = self._poller, self._alarm, self._attached
            on_its_thread = self._ident == threading.get_ident()
            self._loop = self._watch = self._alarm = self._ident = None
            self._attached = self._looks_by_itself = False
            if attached and poller is not None:
                deadlocks.loop_reads_no_more(self)
                descriptor = poller.fileno()

                def let_go() -> None:
                    loop.remove_reader(descriptor)
                    if alarm is not None:
                        alarm.cancel()

                if not loop.is_closed():
                    with suppress(RuntimeError):  # closed this very moment
                        let_go() if on_its_thread else loop.call_soon_threadsafe(let_go)
            if poller is not None and (self._watched or self._has_work):
                self._begin()
            else:
                self._release()


def _running() -> Loop | None:
    return asyncio._get_running_loop()  # pyright: ignore[reportPrivateUsage]
