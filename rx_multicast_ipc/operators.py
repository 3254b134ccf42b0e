"""Operators on streams of messages: what they need that ``reactivex.operators`` has not."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import Any, Literal, TypeVar

import msgspec
from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable
from reactivex.internal.exceptions import DisposedException, SequenceContainsNoElementsError
from reactivex.scheduler import EventLoopScheduler, TimeoutScheduler

from .arguments import check_count, check_timeout
from .errors import BufferOverflow, DecodeFailed, InvalidOption, MessageTimeout
from .message import Message
from .overflow import Overflow
from .timers import DeliveringScheduler
from .unhandled import detach

_T = TypeVar("_T")

Format = Literal["json", "msgpack"]

OnDecodeError = Literal["log", "skip", "raise"] | Callable[[DecodeFailed], None]
"""What becomes of a datagram that cannot be decoded."""

_log = logging.getLogger("rx_multicast_ipc")


def wait_for_message(
    predicate: Callable[[Message], object] | None = None, *, timeout: float | None = None
) -> Callable[[Observable[Message]], Observable[Message]]:
    """The first message that matches, from subscription on.

    On a hot stream, what comes between two waits is lost; :meth:`Channel.wait_for_message` loses nothing.

    Args:
        predicate: chooses: any true value matches; None takes every message.
        timeout: seconds, by the subscription's scheduler; None waits for ever.

    Raises:
        MessageTimeout: from the Observable.
        reactivex.internal.SequenceContainsNoElementsError: from the Observable, if the source completes first.
        Exception: from the Observable, whatever ``predicate`` raised.
    """
    timeout = check_timeout(timeout)

    def operator(source: Observable[Message]) -> Observable[Message]:
        def subscribe(observer: ObserverBase[Message], scheduler: SchedulerBase | None = None) -> DisposableBase:
            timer = SerialDisposable()
            subscription = SerialDisposable()
            once = Lock()

            def on_next(message: Message) -> None:
                try:
                    matched = predicate is None or predicate(message)
                except Exception as error:
                    end(lambda failure=error: observer.on_error(failure))
                    return
                if matched:
                    end(lambda: (observer.on_next(message), observer.on_completed()))

            def end(action: Callable[[], object]) -> None:
                if not once.acquire(blocking=False):
                    return  # the match and the time-out met
                timer.dispose()
                subscription.dispose()
                action()

            def on_completed() -> None:
                end(lambda: observer.on_error(SequenceContainsNoElementsError("the stream completed without a match")))

            subscription.disposable = source.subscribe(
                on_next, lambda error: end(lambda: observer.on_error(error)), on_completed, scheduler=scheduler
            )
            if timeout is not None and not timer.is_disposed:
                late = MessageTimeout(timeout)

                def on_timeout(_scheduler: object, _state: object) -> None:
                    if not timer.is_disposed:
                        end(lambda: observer.on_error(late))

                clock = scheduler or TimeoutScheduler.singleton()
                timer.disposable = clock.schedule_relative(timeout, on_timeout)
            return CompositeDisposable(subscription, timer)

        return Observable(subscribe)

    return operator


def decode(
    type: type[_T] | Callable[[bytes], _T], *, format: Format = "json", on_error: OnDecodeError = "log"
) -> Callable[[Observable[Message]], Observable[_T]]:
    """Each message's payload as a typed value. One bad datagram does not end the stream.

    Args:
        type: what to decode to and validate against: a class or type that msgspec knows (Struct,
            dataclass, TypedDict, ``list[int]``, ...), or any other callable that takes the bytes.
        format: ``"json"`` or ``"msgpack"``; a callable needs none.
        on_error: ``"log"`` a warning and go on, ``"skip"`` silently, ``"raise"`` to end the stream, or a
            callable that takes the ``DecodeFailed``; what it raises ends the stream.

    Raises:
        DecodeFailed: from the Observable, with ``"raise"``.
    """
    decoder = _decoder(type, format)
    handle = _decode_error_handler(on_error)

    def operator(source: Observable[Message]) -> Observable[_T]:
        def subscribe(observer: ObserverBase[_T], scheduler: SchedulerBase | None = None) -> DisposableBase:
            def on_next(message: Message) -> None:
                try:
                    value = decoder(message.data)
                except Exception as error:
                    failure = DecodeFailed(message, error)
                    failure.__cause__ = error
                    try:
                        handle(failure)
                    except Exception as raised:
                        observer.on_error(raised)
                else:
                    observer.on_next(value)

            return source.subscribe(on_next, observer.on_error, observer.on_completed, scheduler=scheduler)

        return Observable(subscribe)

    return operator


def encode(
    encoder: Callable[[Any], bytes] | None = None, *, format: Format = "json"
) -> Callable[[Observable[Any]], Observable[bytes]]:
    """Each value as a payload: the counterpart of :func:`decode`. What cannot be encoded ends the stream.

    Args:
        encoder: takes a value and returns bytes; None for msgspec's encoder of ``format``.
        format: ``"json"`` or ``"msgpack"``.
    """
    encode_value = encoder if encoder is not None else _codec(format).encode

    def operator(source: Observable[Any]) -> Observable[bytes]:
        def subscribe(observer: ObserverBase[bytes], scheduler: SchedulerBase | None = None) -> DisposableBase:
            def on_next(value: Any) -> None:
                try:
                    payload = encode_value(value)
                except Exception as error:
                    observer.on_error(error)
                else:
                    observer.on_next(payload)

            return source.subscribe(on_next, observer.on_error, observer.on_completed, scheduler=scheduler)

        return Observable(subscribe)

    return operator


def on_backpressure_buffer(
    capacity: int,
    overflow: Overflow = Overflow.DROP_OLDEST,
    *,
    scheduler: SchedulerBase | None = None,
    on_overflow: Callable[[Any], None] | None = None,
) -> Callable[[Observable[_T]], Observable[_T]]:
    """Deliver elsewhere, through a bounded queue: a slow subscriber no longer holds up the source.

    Args:
        capacity: items that wait for the subscriber.
        overflow: what goes when they are too many.
        scheduler: where the subscriber runs. If None: the subscription's scheduler (``run`` brings the
            calling thread, ``await`` its loop), or else, and in ``with_socket``, one thread for the subscription.
        on_overflow: called with each item that is dropped, on the source's thread.

    Raises:
        InvalidOption: at once, for a capacity under 1.
        BufferOverflow: from the Observable, with ``Overflow.ERROR``, after what is queued.
    """
    check_count("capacity", capacity, "items")
    policy = Overflow(overflow)

    def operator(source: Observable[_T]) -> Observable[_T]:
        def subscribe(observer: ObserverBase[_T], given: SchedulerBase | None = None) -> DisposableBase:
            own: EventLoopScheduler | None = None
            where = scheduler or given
            if where is None or (scheduler is None and isinstance(where, DeliveringScheduler)):
                where = own = EventLoopScheduler()  # the thread that reads is no way out
            queue = _BoundedQueue(observer, where, capacity, policy, on_overflow)
            queue.source.disposable = source.subscribe(queue.put, queue.end, queue.end, scheduler=given)
            return CompositeDisposable(queue.source, queue.drains, Disposable(own.dispose if own else None))

        return Observable(subscribe)

    return operator


class _BoundedQueue:
    """Filled on the source's thread, emptied on a scheduler, one drain at a time."""

    def __init__(
        self,
        observer: ObserverBase[Any],
        scheduler: SchedulerBase,
        capacity: int,
        overflow: Overflow,
        on_overflow: Callable[[Any], None] | None,
    ) -> None:
        self._observer = observer
        self._scheduler = scheduler
        self._capacity = capacity
        self._overflow = overflow
        self._on_overflow = on_overflow
        self._lock = Lock()
        self._items: deque[Any] = deque()
        self._end: Callable[[], None] | None = None
        self._draining = False
        self.source = SerialDisposable()
        self.drains = SerialDisposable()

    def put(self, item: Any) -> None:
        dropped: list[Any] = []
        with self._lock:
            if self._end is not None:
                return
            if len(self._items) < self._capacity:
                self._items.append(item)
            elif self._overflow is Overflow.DROP_OLDEST:
                dropped.append(self._items.popleft())
                self._items.append(item)
            else:
                dropped.append(item)
        if dropped and self._on_overflow is not None:
            self._on_overflow(dropped[0])
        if dropped and self._overflow is Overflow.ERROR:
            self.source.dispose()
            self.end(BufferOverflow(self._capacity))
        else:
            self._drain_later()

    def end(self, error: Exception | None = None) -> None:
        observer = self._observer
        with self._lock:
            if self._end is None:
                self._end = observer.on_completed if error is None else lambda: observer.on_error(error)
        self._drain_later()

    def _drain_later(self) -> None:
        with self._lock:
            if self._draining or self.drains.is_disposed:
                return
            self._draining = True
        with suppress(DisposedException):  # it was disposed of this very moment
            self.drains.disposable = self._scheduler.schedule(self._drain)

    def _drain(self, _scheduler: object, _state: object) -> None:
        while not self.drains.is_disposed:
            with self._lock:
                if not self._items:
                    end = self._end
                    self._draining = end is not None
                    break
                item = self._items.popleft()
            try:
                self._observer.on_next(item)
            except Exception as error:
                self.source.dispose()
                detach(self._observer.on_error, error)
                return
        else:
            return
        if end is not None:
            end()


def _decoder(type_: Any, format: Format) -> Callable[[bytes], Any]:
    codec = _codec(format)
    known = isinstance(type_, type) or not callable(type_) or hasattr(type_, "__origin__")
    known = known or hasattr(type_, "__supertype__")  # NewType
    return codec.Decoder(type_).decode if known else type_


def _codec(format: Format) -> Any:
    if format == "json":
        return msgspec.json
    if format == "msgpack":
        return msgspec.msgpack
    raise InvalidOption(f'format is "json" or "msgpack", not {format!r}; pass a callable for any other')


def _decode_error_handler(on_error: OnDecodeError) -> Callable[[DecodeFailed], None]:
    if callable(on_error):
        return on_error
    if on_error not in ("log", "skip", "raise"):
        raise InvalidOption(f'on_error is "log", "skip", "raise" or a callable, not {on_error!r}')

    def handle(failure: DecodeFailed) -> None:
        if on_error == "raise":
            raise failure
        if on_error == "log":
            _log.warning("%s", failure)

    return handle
