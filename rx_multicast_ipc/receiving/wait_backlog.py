"""What arrived and was not yet waited for; the waits and requests that take from it."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import Disposable, SerialDisposable

from ..errors import ChannelClosed, MessageTimeout
from ..message import Message
from ..subscriber_errors import detach
from ..transport import Transport, WouldBlock
from ..validation.stream import Stream
from .event_loop_delivery import at_home_of

Predicate: TypeAlias = Callable[[Message], object]
"""Chooses messages: any true value takes one."""

_log = logging.getLogger("rx_multicast_ipc")

_WARNING_PAUSE = 1.0
"""Seconds between two warnings of the same kind."""


class Backlog:
    """The messages that nobody waited for yet, the oldest going first when there are too many.

    It lives at the transport's home: all but :meth:`wait` and :meth:`request` happens there, so nothing
    needs a lock. While a wait is pending the backlog is empty, for a wait takes from it until it matches or
    nothing is left, and from then on what arrives.

    Args:
        transport: whose messages.
        capacity: messages that are kept.
    """

    def __init__(self, transport: Transport, capacity: int) -> None:
        self._transport = transport
        self._messages: deque[Message] = deque(maxlen=capacity)
        self._capacity = capacity
        self._lost = 0
        self._next_warning = 0.0
        self._waits: list[_Wait] = []
        self._claims: list[_Wait] = []
        self._error: Exception | None = None

    def wait(self, predicate: Predicate | None, timeout: float | None) -> Observable[Message]:
        """Cold: the next message that matches, looked for where the wait before ended."""
        return self._observable(predicate, timeout, "message", self._begin_wait)

    def request(self, send: Callable[[], None], predicate: Predicate, timeout: float | None) -> Observable[Message]:
        """Cold: sends, then takes the first answer that matches; other messages are left to the waits."""

        def begin(claim: _Wait) -> None:
            self._claims = [*_active(self._claims), claim]
            ask(claim)

        def ask(claim: _Wait) -> None:
            if claim.active:
                try:
                    send()
                except WouldBlock:
                    self._transport.when_room(lambda: ask(claim))
                except Exception as error:
                    claim.fail(error)

        return self._observable(predicate, timeout, "answer", begin)

    def put(self, batch: list[Message]) -> None:
        """Offer ``batch`` to who waits; keep what is left."""
        if not self._waits and not self._claims:
            self._keep(batch)
            return
        for message in batch:
            if not self._take(message):
                self._keep((message,))

    def end(self, error: Exception) -> None:
        """Fail who waits, and who will."""
        self._error = error
        self._messages.clear()
        for pending in (*self._claims, *self._waits):
            pending.fail(error)

    def _keep(self, messages: Sequence[Message]) -> None:
        self._lost += max(0, len(self._messages) + len(messages) - self._capacity)
        self._messages.extend(messages)

    def _take(self, message: Message) -> bool:
        """Whether somebody was waiting for the next message. A claim takes it; every wait sees it."""
        taken = any(claim.offer(message) for claim in self._claims[:])
        self._claims = _active(self._claims)
        if not taken:
            waits = _active(self._waits)
            for wait in waits:
                wait.offer(message)
            self._waits = _active(self._waits)
            taken = bool(waits)
        return taken

    def _begin_wait(self, wait: _Wait) -> None:
        if self._lost and time.monotonic() >= self._next_warning:
            self._next_warning = time.monotonic() + _WARNING_PAUSE
            _log.warning(
                "%s: %d messages were lost because more than %d arrived between two waits; raise backlog=",
                self._transport.group,
                self._lost,
                self._capacity,
            )
            self._lost = 0
        while self._messages and wait.active:
            wait.offer(self._messages.popleft())
        if wait.active:
            self._waits = [*_active(self._waits), wait]

    def _observable(
        self, predicate: Predicate | None, timeout: float | None, waited_for: str, begin: Callable[[_Wait], None]
    ) -> Observable[Message]:
        transport = self._transport

        def subscribe(observer: ObserverBase[Message], scheduler: SchedulerBase | None = None) -> DisposableBase:
            wait = _Wait(predicate, at_home_of(scheduler, observer))
            timer = SerialDisposable()

            def begin_at_home() -> None:
                if self._error is not None or transport.closed:
                    wait.fail(self._error or ChannelClosed())
                    return
                try:
                    begin(wait)
                except Exception as error:
                    wait.fail(error)
                if wait.active and timeout is not None:
                    late = MessageTimeout(timeout, waited_for)
                    timer.disposable = transport.scheduler.schedule_relative(
                        timeout, lambda _scheduler, _state: wait.fail(late)
                    )

            def dispose() -> None:
                wait.active = False
                timer.dispose()

            if transport.closed:
                begin_at_home()
            else:
                transport.call(begin_at_home)
            return Disposable(dispose)

        return Stream(subscribe)


class _Wait:
    """One subscription of a wait; over with its first match, an error or when disposed of."""

    def __init__(self, predicate: Predicate | None, observer: ObserverBase[Message]) -> None:
        self._predicate = predicate
        self._observer = observer
        self.active = True

    def offer(self, message: Message) -> bool:
        """Whether it takes ``message``."""
        if not self.active:
            return False
        try:
            matched = self._predicate is None or self._predicate(message)
        except Exception as error:
            self.fail(error)
            return False
        except BaseException as error:  # sys.exit() in a predicate costs the others nothing
            self.active = False
            detach(self._observer.on_error, error)
            return False
        if matched:
            self.active = False
            try:
                self._observer.on_next(message)
                self._observer.on_completed()
            except BaseException as error:
                detach(self._observer.on_error, error)
        return bool(matched)

    def fail(self, error: Exception) -> None:
        if self.active:
            self.active = False
            try:
                self._observer.on_error(error)
            except BaseException as raised:
                if raised is not error:
                    detach(self._observer.on_error, raised)


def _active(waits: list[_Wait]) -> list[_Wait]:
    return [wait for wait in waits if wait.active]
