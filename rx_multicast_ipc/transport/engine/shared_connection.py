"""What connections to all engines share: their ends, whether the engine is there, and how they end."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Generic, TypeVar

from reactivex.disposable import SerialDisposable

from ...channel_events import NetworkChange
from ...errors import ChannelClosed, SendFailed
from .. import close_at_exit
from ..latch import Latch
from ..udp.io_thread import IoThread
from .connection import End

_log = logging.getLogger("rx_multicast_ipc")

KEPT: Final = 5.0
"""Seconds that a connection without ends is kept: a program that sends without a channel would else make one a send."""

_LOOKS_FOR_LAST_SENDS: Final = 0.002
_LEFT_FOR_SENDS: Final = 0.1
"""Seconds between two looks whether all ends have closed, at the end of the process, and those that are kept for what
they sent last."""

_E = TypeVar("_E", bound=End)


class SharedConnection(Generic[_E]):
    """The part of a :class:`.connection.Connection` that is the same for all engines.

    Args:
        url: where it leads, without anything that is secret.

    Attributes:
        url, session: see :class:`.connection.Connection`.
        closed: whether it is closed for good.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = secrets.token_hex(8)
        self.closed = False
        self._lock = threading.RLock()
        self._ends: dict[int, _E] = {}
        self._gone = Latch()
        self._finishing = False
        self._unused = SerialDisposable()
        self._thread = IoThread(f"rx_multicast_ipc {url}", failed=self._fail)

    # What its kind says.

    @property
    def up(self) -> bool:
        """Whether the engine is there."""
        raise NotImplementedError

    def _subscribe(self, end: _E) -> None:
        """See :meth:`.connection.Connection.attach`."""
        raise NotImplementedError

    def _unsubscribe(self, end: _E) -> None:
        """Let go of what :meth:`_subscribe` began, as far as it came; without the lock."""
        raise NotImplementedError

    @property
    def _is_used(self) -> bool:
        """Whether anybody uses it; with the lock held."""
        return bool(self._ends)

    def _close_after_last_sends(self) -> None:
        """Close, once the engine has all that was sent; on the thread."""
        raise NotImplementedError

    def _let_go(self) -> None:
        """Let go of all, and set ``_gone``; more than once. ``closed`` is set."""
        raise NotImplementedError

    # What is the same for all.

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.url}, {len(self._ends)} channels{'' if self.up else ', away'}>"

    def attach(self, end: _E) -> None:
        """See :class:`.connection.Connection`."""
        try:
            with self._lock:
                if self.closed:
                    raise ChannelClosed
                self._ends[end.number] = end
            self._subscribe(end)
        except BaseException:  # Ctrl-C, too
            if end.number in self._ends:
                self.detach(end)
            raise

    def detach(self, end: _E) -> None:
        """See :class:`.connection.Connection`."""
        with self._lock:
            self._ends.pop(end.number, None)
            unused = not self._is_used
        self._unsubscribe(end)
        if unused:
            self._close_if_unused_later()

    def check_up(self, why: str = "") -> None:
        """Raise ``SendFailed`` while the engine is away, and ``ChannelClosed`` after the end."""
        if not self.up:
            if self.closed:
                raise ChannelClosed
            raise SendFailed(f"{self.url} is away{why}; channel.events tells when it is back (UP): send again then")

    def _tell_all(self, change: NetworkChange, why: str = "") -> None:
        """Tell the log, and all ends, that the engine went away or is back; without the lock."""
        if change is NetworkChange.UP:
            _log.warning("%s is back", self.url)
        elif not self._finishing:
            _log.warning("%s went away%s; trying to get back", self.url, why)
        for end in list(self._ends.values()):
            end.tell_of(change)

    def _begin(self) -> None:
        """It is open, and closes in a while unless somebody uses it."""
        close_at_exit.add(self)
        self._close_if_unused_later()

    def _close_if_unused_later(self) -> None:
        with suppress(RuntimeError):  # no thread can be started: it closes with the process
            self._unused.disposable = self._thread.scheduler.schedule_relative(KEPT, self._close_if_unused)

    def _close_if_unused(self, *_: object) -> None:
        with self._lock:
            if self._is_used or self.closed:
                return
            self.closed = True
        self.close()

    def close(self) -> None:
        """End for good; idempotent, from any thread."""
        with self._lock:
            self.closed = True
            if self._gone.is_set:
                return
        self._unused.dispose()
        close_at_exit.discard(self)
        self._let_go()

    def _fail(self, error: BaseException) -> None:
        """The connection's thread cannot go on: no end hears anything any more."""
        for end in list(self._ends.values()):
            fault = ChannelClosed(f"the connection to {self.url} broke: {error!r}; open another channel")
            fault.__cause__ = error
            end.fail(fault)
        self.close()

    def _call(self, action: Callable[[], None]) -> None:
        """Run ``action`` on the thread, or here where none can be started, so that none is there."""
        try:
            self._thread.call(action)
        except (RuntimeError, MemoryError, OSError):
            action()

    def finish(self, deadline: float) -> None:
        """See :class:`close_at_exit.ClosesAtExit`: what was sent is with the engine before the process ends."""
        self._finishing = True

        def finish(*_: object) -> None:
            if self._ends and time.monotonic() < deadline - _LEFT_FOR_SENDS:  # what they send last is still to come
                self._thread.scheduler.schedule_relative(_LOOKS_FOR_LAST_SENDS, finish)
            else:
                self._close_after_last_sends()

        self._thread.post(finish)

    def wait_ended(self, seconds: float) -> bool:
        """See :class:`close_at_exit.ClosesAtExit`."""
        return self._gone.wait(seconds)

    def forget(self) -> None:
        """See :class:`close_at_exit.ClosesAtExit`."""
        self.closed = True
        self._lock = threading.RLock()
        self._thread.forget()
        self._gone.set()
