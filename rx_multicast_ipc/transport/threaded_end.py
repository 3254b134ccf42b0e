"""How a transport with an I/O thread ends: from any thread, once, and also if a signal interrupted it before."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from ..channel_statistics import Statistics
from ..errors import ChannelClosed
from ..group import Group
from ..message import Message
from ..subscribing.subscriber_errors import delivering_here, on_delivering_thread, report
from . import close_at_exit
from .base import Changed, Deliver, Ended
from .latch import Latch
from .udp.io_thread import IoThread

_log = logging.getLogger("rx_multicast_ipc")

_CLOSE_WAIT: Final = 5.0
"""Seconds that close waits for a delivery under way."""


class ThreadedEnd:
    """What transports with an I/O thread of their own share. See :class:`rx_multicast_ipc.transport.base.Transport`.

    Args:
        group: where it is opened.
        thread: delivers, and runs its timers. It is to call :meth:`_fail` when it cannot go on.

    Attributes:
        closed: whether it was closed, or a fault did so.

    Ctrl-C, or a signal handler that raises, may come while an event loop delivers. So what its kind takes from where it
    waited, it adds to ``_taken`` in the same step, and has it delivered from there.
    """

    def __init__(self, group: Group, thread: IoThread) -> None:
        self.group = group
        self.closed = False
        self._thread = thread
        self._gone = Latch()
        self._end_lock = threading.RLock()
        self._started = False
        self._deliver: Deliver | None = None
        self._taken: list[Message] = []
        self._received: int = 0
        self._received_bytes: int = 0
        self._awaited: Callable[[], bool] = _yes
        self._ended: Ended | None = None
        self._changed: Changed | None = None
        self._fault: Exception | None = None
        self._final: Statistics | None = None

    # What its kind says.

    def _shut(self) -> None:
        """Refuse to send from now on; from any thread, more than once."""

    def _let_go(self) -> None:
        """Let go of all that is held, and keep the final count; from the beginning again if interrupted before."""
        raise NotImplementedError

    def _deliver_what_came(self) -> int:
        """Deliver all that arrived so far, and return how many messages that was; on the I/O thread."""
        raise NotImplementedError

    @property
    def _is_sending_here(self) -> bool:
        """Whether the caller is a signal handler that interrupted a send of its own thread."""
        raise NotImplementedError

    # What is the same for all.

    def _begin(self, deliver: Deliver, ended: Ended, changed: Changed | None) -> None:
        """Take what :meth:`start` was given; from here on it ends on the I/O thread."""
        self._deliver = deliver
        self._awaited = getattr(deliver, "awaited", _yes)
        self._ended = ended
        self._changed = changed
        self._started = True
        close_at_exit.add(self)

    @property
    def scheduler(self) -> PeriodicScheduler:
        return self._thread.scheduler

    @property
    def ended(self) -> bool:
        return self._gone.is_set

    def call(self, action: Callable[[], None]) -> None:
        self._thread.call(action)

    def close(self, *, wait: bool = True) -> None:
        # Whatever interrupts this, the next call does it all again.
        self.closed = True
        self._shut()
        if self._gone.is_set:
            return
        if self._started:
            try:
                self._thread.call(self._end)
            except (RuntimeError, MemoryError, OSError):  # no thread can be started, so none is there
                self._end()
        else:
            self._end()
        if not wait or on_delivering_thread() or self._is_sending_here or self._thread.is_in_use_here:
            return  # it would wait in vain: for one that waits for it, or for what its own signal handler interrupted
        if not self._gone.wait(_CLOSE_WAIT):
            _log.warning(
                "closing %s: a subscriber has kept the I/O thread busy for %g s; it closes when that ends",
                self.group,
                _CLOSE_WAIT,
            )

    def _end(self) -> None:
        """Let go of all, and tell."""
        with self._end_lock:
            if self._gone.is_set:
                return
            self._let_go()
            try:
                if self._ended is not None:
                    self._ended(self._fault)
            finally:
                self._gone.set()
                close_at_exit.discard(self)

    def _fail(self, error: BaseException) -> None:
        """End because the I/O thread cannot go on; on what is left of it."""
        if self._fault is None and not self.closed:
            self._fault = ChannelClosed(f"{self.group} cannot be read any more: {error!r}; open another channel")
            self._fault.__cause__ = error
            report(error)
        self.closed = True
        self._shut()
        self._end()

    def wait_ended(self, seconds: float) -> bool:
        """See :class:`close_at_exit.ClosesAtExit`."""
        return self._gone.wait(seconds)

    def _deliver_taken(self) -> int:
        """Deliver what was taken, on the I/O thread; how many messages that was."""
        if not self._taken:
            return 0
        self._thread.run_posted()  # no message overtakes what was called for before it was sent
        batch, deliver = self._taken, self._deliver
        if not batch or deliver is None or self.closed:
            return 0  # what was called for delivered it, or closed this end
        count = len(batch)
        size = len(batch[0].data) if count == 1 else sum([len(message.data) for message in batch])
        # No call in between.
        self._taken = []
        self._received += count
        self._received_bytes += size
        deliver(batch)
        return count

    def finish(self, deadline: float) -> None:
        """See :class:`close_at_exit.ClosesAtExit`."""

        def finish(_scheduler: object, _state: object) -> None:
            while self._deliver_what_came() and time.monotonic() < deadline:
                pass
            self.close(wait=False)

        try:
            self.scheduler.schedule(finish)  # as a timer, which runs only after what was read is delivered
        except RuntimeError:  # no thread can be started any more, and no event loop runs
            with delivering_here():
                finish(None, None)

    def forget(self) -> None:
        """See :class:`close_at_exit.ClosesAtExit`."""
        self.closed = True
        self._final = self._final or Statistics()
        self._gone.set()
        self._thread.forget()


def _yes() -> bool:
    return True
