"""The hot Observable: serial delivery to any number of subscribers, none of which can hurt another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from threading import RLock
from typing import Any, Final, Generic, TypeVar

from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import Disposable
from reactivex.internal import default_error, noop
from reactivex.typing import OnCompleted, OnError, OnNext

from ..errors import ChannelClosed
from ..subscribing.ended_retries import EndsRetries
from ..subscribing.subscriber_errors import detach, report, tell_all
from ..validation.arguments import check_subscriber
from .async_iteration import HotObservable
from .event_loop_delivery import LoopObserver, loop_of
from .loss_counting import count_losses

_T = TypeVar("_T")


_NOBODY: Final[tuple[Any, ...]] = ()


class HotSource(EndsRetries, HotObservable[_T]):
    """A hot Observable that its owner feeds from one thread.

    Subscribing takes part from the next item on, and never starts anything. A subscriber with an asyncio
    scheduler is served on its loop. One that raises is detached and reported; the others go on. Subscribing,
    disposing, stopping and ending the source inside ``on_next`` are safe, and end what is left of a batch at once.

    Args:
        refusal: the error that a new subscriber gets instead of taking part, or None.
        name: what it delivers, for people.
        batches: a stream of the same items, one list a read, for who has a use for it.

    Attributes:
        observed: whether anybody is subscribed. Not a property, for it is read at every message.
    """

    __slots__ = ("_subscribers", "observed")  # read at every message: not in the dict, which is elsewhere in memory

    def __init__(
        self,
        refusal: Callable[[], Exception | None],
        name: str = "HotSource",
        batches: HotSource[list[_T]] | None = None,
    ) -> None:
        super().__init__()
        self.batches = batches
        self._name = name
        self._gate = RLock()  # a signal handler may dispose while its thread subscribes
        self._all: dict[Subscriber[_T], None] = {}
        self._subscribers: tuple[Subscriber[_T], ...] | None = _NOBODY
        """All of them as a batch needs them; None after somebody came or went, until the next item."""
        self._refusal = refusal
        self.observed = False
        self._stopped = False
        self._ended = False
        self._discarded = 0

    @property
    def discarded(self) -> int:
        """Messages that subscribers lost in queues behind this source, because they did not keep up."""
        return self._discarded

    @property
    def subscribers(self) -> tuple[Subscriber[_T], ...]:
        """Everybody who takes part, for who delivers to many sources and looks at none of them at a message."""
        subscribers = self._subscribers
        return self._list_subscribers() if subscribers is None else subscribers

    def emit(self, items: Sequence[_T]) -> None:
        """Deliver ``items`` in order to everybody; on the delivering thread only."""
        remaining = iter(items)
        for item in remaining:
            subscribers = self._subscribers
            if subscribers is None:
                subscribers = self._list_subscribers()
            for subscriber in subscribers:
                if not subscriber.stopped:
                    try:
                        subscriber.on_next(item)
                    except BaseException as error:
                        self.detach(subscriber, error)
            if len(subscribers) == 1 and len(items) > 1:
                self._emit_to_one(subscribers, remaining)

    def detach(self, subscriber: Subscriber[_T], error: BaseException) -> None:
        """Deliver nothing more to a subscriber, who raised ``error``; on the delivering thread only."""
        gone = subscriber.gone
        self.remove(subscriber)
        if gone and isinstance(error, Exception):  # it disposed of itself before it raised
            report(error)
        else:
            detach(subscriber.on_error, error)

    def stop(self) -> None:
        """Deliver nothing more than the call under way; from any thread. Who is subscribed is still told of the end."""
        with self._gate:
            self._stopped = True
            self.observed = False
            self._subscribers = _NOBODY
            for subscriber in self._all:
                subscriber.stopped = True

    def end(self, error: Exception | None = None) -> None:
        """Complete, or err, everybody and every later subscriber; on the delivering thread only."""
        with self._gate:
            self._ended = self._stopped = True
            self.observed = False
        self.end_subscribers(error)

    def end_subscribers(self, error: Exception | None = None) -> None:
        """Complete, or err, everybody who is subscribed now; on the delivering thread only."""
        with self._gate:
            subscribers, self._all = tuple(self._all), {}
            self.observed = False
            self._subscribers = _NOBODY
        tell_all([partial(self._end_one, subscriber, error) for subscriber in subscribers])

    def subscribe(
        self,
        on_next: ObserverBase[_T] | OnNext[_T] | None = None,
        on_error: OnError | None = None,
        on_completed: OnCompleted | None = None,
        *,
        scheduler: SchedulerBase | None = None,
    ) -> DisposableBase:
        """As every Observable's, but without a layer that would cost a call an item: what it keeps is kept here.

        Raises:
            InvalidOption: at once, for what is no plain function of what it gets.
        """
        if loop_of(scheduler) is not None:
            return super().subscribe(on_next, on_error, on_completed, scheduler=scheduler)
        if hasattr(on_next, "on_next"):
            observer: Any = on_next
            subscriber = Subscriber[_T](observer.on_next, observer.on_error, observer.on_completed)
        else:
            check_subscriber(on_next, on_error, on_completed)
            handle: Any = on_next
            subscriber = Subscriber[_T](handle or noop, on_error or default_error, on_completed or noop)
        return self._add(subscriber, subscriber, scheduler)

    def __repr__(self) -> str:
        count = len(self._all)
        state = "ended" if self._ended else f"hot, {count} subscriber{'' if count == 1 else 's'}"
        return f"<{self._name}: {state}>"

    def _subscribe_core(self, observer: ObserverBase[_T], scheduler: SchedulerBase | None = None) -> DisposableBase:
        loop = loop_of(scheduler)
        receiver = observer if loop is None else LoopObserver(observer, loop, self._count_discarded)
        return self._add(
            Subscriber[_T](receiver.on_next, receiver.on_error, receiver.on_completed), receiver, scheduler
        )

    def _add(self, subscriber: Subscriber[_T], observer: Any, scheduler: SchedulerBase | None) -> DisposableBase:
        refusal = self._refusal()
        if refusal is None:
            subscription = _Subscription(self, subscriber)
            try:
                with self._gate:
                    if not self._stopped:
                        count_losses(self._count_discarded)
                        self._all[subscriber] = None
                        self.observed = True
                        self._subscribers = None
                        return subscription
            except BaseException:  # of a signal handler: nobody has it, so it must not take part
                self.remove(subscriber)
                raise
        self.refuse(observer, refusal or self._refusal() or ChannelClosed(), scheduler)
        return Disposable()

    def _end_one(self, subscriber: Subscriber[_T], error: Exception | None) -> None:
        if subscriber.gone:
            return
        subscriber.stopped = subscriber.gone = True
        try:
            if error is None:
                subscriber.on_completed()
            else:
                subscriber.on_error(error)
        except BaseException as raised:
            if raised is not error:  # else: a subscriber without on_error, told all the same
                detach(subscriber.on_error, raised)

    def _list_subscribers(self) -> tuple[Subscriber[_T], ...]:
        with self._gate:
            if self._subscribers is None:
                self._subscribers = tuple(self._all)
            return self._subscribers

    def _emit_to_one(self, subscribers: tuple[Subscriber[_T], ...], remaining: Iterator[_T]) -> None:
        """Deliver what remains as long as nobody comes or goes."""
        if self._subscribers is not subscribers:
            return
        (subscriber,) = subscribers
        on_next = subscriber.on_next
        try:
            for item in remaining:
                on_next(item)
                if self._subscribers is not subscribers:
                    return
        except BaseException as error:
            self.detach(subscriber, error)

    def remove(self, subscriber: Subscriber[_T]) -> None:
        """Deliver nothing more to a subscriber; from any thread, more than once."""
        subscriber.stopped = subscriber.gone = True
        with self._gate:
            if subscriber in self._all:  # and no call until it is done, for a signal handler may raise behind one
                del self._all[subscriber]
                if not self._stopped:
                    self.observed = self._all != {}
                    self._subscribers = None

    def _count_discarded(self, messages: int) -> None:
        with self._gate:
            self._discarded += messages


class _Subscription(DisposableBase):
    """Disposing of it can be done again where a signal handler raised before."""

    __slots__ = ("_source", "_subscriber")

    def __init__(self, source: HotSource[Any], subscriber: Subscriber[Any]) -> None:
        self._source = source
        self._subscriber = subscriber

    def dispose(self) -> None:
        self._source.remove(self._subscriber)


class Subscriber(Generic[_T]):
    """One subscription.

    Attributes:
        stopped: whether it gets no more items.
        gone: whether it gets nothing at all any more: disposed of, detached, or told of the end.
    """

    __slots__ = ("gone", "on_completed", "on_error", "on_next", "stopped")

    def __init__(self, on_next: OnNext[_T], on_error: OnError, on_completed: OnCompleted) -> None:
        self.on_next = on_next
        self.on_error = on_error
        self.on_completed = on_completed
        self.stopped = self.gone = False
