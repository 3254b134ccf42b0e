"""What arrived and was not yet waited for, and the waits and requests that take from it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from functools import partial
from typing import Any

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.typing import Subscription

from ..errors import ChannelClosed
from ..message import Message
from ..subscribing.deadlocks import deadlock
from ..subscribing.never_subscribed import ColdObservable
from ..subscribing.subscriber_errors import tell_all
from ..transport import Transport, WouldBlock
from .bounded_queue import QUEUE_BYTES, BoundedQueue, weigh
from .event_loop_delivery import on_its_loop
from .pending_wait import PendingWait, Predicate

_log = logging.getLogger("rx_multicast_ipc")

_WARNING_PAUSE = 1.0
"""Seconds between two warnings of the same kind."""


class Backlog:
    """The messages that nobody waited for yet, the oldest going first when there are too many.

    It lives on the transport's I/O thread: all but :meth:`wait` and :meth:`request`, and disposing of what they return,
    happens there, so nothing needs a lock; but who blocks or awaits takes the oldest message by itself. While a wait is
    pending the backlog is empty, for a wait takes from it until it matches or nothing is left, and from then on what
    arrives.

    Args:
        transport: whose messages.
        capacity: messages that are kept, in ``QUEUE_BYTES`` bytes at most.
    """

    __slots__ = (  # what each batch needs is together, and near
        "_beginning",
        "_capacity",
        "_claims",
        "_ended",
        "_make_error",
        "_messages",
        "_missed",
        "_next_warning",
        "_transport",
        "_unreported",
        "_waits",
    )

    def __init__(self, transport: Transport, capacity: int) -> None:
        self._transport = transport
        all_fit = capacity * transport.payload_limit <= QUEUE_BYTES
        self._messages: BoundedQueue[Message] = BoundedQueue(
            capacity, capacity_bytes=QUEUE_BYTES, weight=None if all_fit else weigh
        )
        self._capacity = capacity
        self._missed = 0
        self._unreported = 0
        self._next_warning = 0.0
        self._waits: dict[PendingWait, None] = {}
        self._claims: dict[PendingWait, None] = {}
        self._beginning: dict[PendingWait, None] = {}
        """Waits that were subscribed, and have yet to begin on the I/O thread."""
        self._make_error: Callable[[], Exception] = ChannelClosed
        self._ended = False

    @property
    def discarded(self) -> int:
        """Messages that waits missed, because more arrived between two of them than are kept."""
        return self._missed

    @property
    def awaited(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waits or self._claims)

    def wait(self, predicate: Predicate | None, timeout: float | None) -> Observable[Message]:
        """Cold: the next message that matches, looked for where the wait before ended."""
        subscribe = self._subscription(predicate, timeout, "message", self._begin_wait, None)
        return ColdObservable(subscribe, None) if predicate is not None else _NextMessage(subscribe, self._take_oldest)

    def request(
        self, send: Callable[[], None], predicate: Predicate, timeout: float | None, what: str = "request"
    ) -> Observable[Message]:
        """Cold: sends, then takes the first answer that matches; other messages are left to the waits.

        Args:
            what: it is, for people.
        """
        return ColdObservable(
            self._subscription(predicate, timeout, "answer", self._begin_claim(send), what),
            what,
        )

    def request_all(
        self, send: Callable[[], None], predicate: Predicate, seconds: float, what: str = "request"
    ) -> Observable[Message]:
        """Cold: sends, then takes every answer that matches until the time is up, and completes."""
        return ColdObservable(
            self._subscription(predicate, seconds, "answer", self._begin_claim(send), what, takes_all=True), what
        )

    def _begin_claim(self, send: Callable[[], None]) -> Callable[[PendingWait], None]:
        def begin(claim: PendingWait) -> None:
            claim.stand_in(self._claims)
            ask(claim)

        def ask(claim: PendingWait) -> None:
            if claim.active:
                try:
                    send()
                except WouldBlock:
                    self._transport.when_writable(lambda: ask(claim))
                except Exception as error:
                    claim.fail(error)

        return begin

    def put(self, batch: list[Message]) -> None:
        """Offer ``batch`` to who waits; keep what is left."""
        if not self._waits and not self._claims:
            self._messages.extend(batch)
            return
        for message in batch:
            if self._transport.closed:
                return
            if not self._take(message):
                self._messages.extend((message,))

    def end(self, make_error: Callable[[], Exception]) -> None:
        """Fail who waits, and who will, with an error of his own each."""
        self._make_error = make_error
        self._ended = True
        self._messages.clear()
        tell_all([partial(pending.fail, make_error()) for pending in (*self._claims, *self._waits)])

    def _take(self, message: Message) -> bool:
        """Whether somebody was waiting for the next message.

        One request takes it, and every request to all; else every wait sees it.
        """
        taken = taken_by_one = False
        for claim in tuple(self._claims):
            if claim.takes_all:
                taken |= claim.offer(message)
            elif not taken_by_one:
                taken_by_one = claim.offer(message)
        if taken or taken_by_one:
            return True
        for wait in tuple(self._waits):
            taken |= wait.active
            wait.offer(message)
        return taken

    def _begin_wait(self, wait: PendingWait) -> None:
        messages = self._messages
        self._unreported += messages.discarded - self._missed
        self._missed = messages.discarded
        if self._unreported and time.monotonic() >= self._next_warning:
            self._warn()
        with suppress(IndexError):  # the last one was taken at once by another thread
            while messages and wait.active:
                self._offer_oldest(wait)
        wait.stand_in(self._waits)

    def _offer_oldest(self, wait: PendingWait) -> None:
        message = self._messages.take()
        try:
            wait.offer(message)
        except BaseException:  # of a signal handler, where an event loop reads, or in virtual time
            if wait.active:
                self._messages.put_back(message)
            raise

    def _take_oldest(self) -> Message | None:
        """What a wait for any message takes, if it is there and nothing is to be told; from any thread."""
        self._check_open()
        if self._beginning or self._messages.discarded != self._missed or self._unreported:
            return None  # others are before it, or there is something to tell
        try:
            return self._messages.take()
        except IndexError:
            return None

    def _subscription(
        self,
        predicate: Predicate | None,
        timeout: float | None,
        waited_for: str,
        begin: Callable[[PendingWait], None],
        what: str | None,
        takes_all: bool = False,
    ) -> Subscription[Message]:
        transport = self._transport

        def subscribe(observer: ObserverBase[Message], scheduler: SchedulerBase | None = None) -> DisposableBase:
            self._check_open()
            wait = PendingWait(predicate, on_its_loop(scheduler, observer), takes_all)

            def begin_on_io_thread() -> None:
                try:
                    self._check_open()
                    begin(wait)
                except Exception as error:
                    wait.fail(error)
                finally:
                    self._beginning.pop(wait, None)
                if wait.active and timeout is not None:
                    wait.timer.disposable = transport.scheduler.schedule_relative(
                        timeout, lambda _scheduler, _state, late=timeout: wait.time_out(late, waited_for)
                    )

            try:
                blocked = deadlock(transport.scheduler)
                if blocked is None or what is None:  # what is there already ends a wait at once, but not a request
                    self._beginning[wait] = None
                    transport.call(begin_on_io_thread)
                if blocked is not None:
                    wait.fail(blocked)
            except BaseException:  # Ctrl-C, too: nobody has it, so it must not take a message
                self._beginning.pop(wait, None)
                wait.dispose()
                raise
            return wait

        return subscribe

    def _check_open(self) -> None:
        if self._ended or self._transport.closed:
            error = self._make_error()
            raise error if isinstance(error, ChannelClosed) else ChannelClosed(str(error)) from error

    def _warn(self) -> None:
        self._next_warning = time.monotonic() + _WARNING_PAUSE
        _log.warning(
            "%s: %d messages were lost because more than %d arrived between two waits; raise backlog=",
            self._transport.group,
            self._unreported,
            self._capacity,
        )
        self._unreported = 0


class _NextMessage(ColdObservable[Message]):
    """A wait for whatever comes next.

    Args:
        subscribe: begins it.
        take: gives what came already.
    """

    def __init__(self, subscribe: Subscription[Message], take: Callable[[], Message | None]) -> None:
        super().__init__(subscribe, None)
        self._take_oldest = take

    def at_once(self) -> tuple[Message] | None:
        message = self._take_oldest()
        return None if message is None else (message,)

    def __await__(self) -> Generator[Any, None, Message]:
        yield  # lets the event loop turn, should messages never run out; before one is taken, for this may be cancelled
        return (yield from super().__await__())
