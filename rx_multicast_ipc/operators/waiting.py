"""The next message that matches."""

from __future__ import annotations

from collections.abc import Callable

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, SerialDisposable
from reactivex.internal.exceptions import SequenceContainsNoElementsError
from reactivex.scheduler import TimeoutScheduler

from ..errors import MessageTimeout
from ..message import Message
from ..validation.arguments import check_observable, check_predicate, check_timeout
from ..validation.stream import Stream


def wait_for_message(
    predicate: Callable[[Message], object] | None = None, *, timeout: float | None = None
) -> Callable[[Observable[Message]], Observable[Message]]:
    """The first message that matches, from subscription on.

    On a hot stream, what comes between two waits is lost; :meth:`Channel.wait_for_message` loses nothing.

    Args:
        predicate: chooses: any true value matches; None takes every message.
        timeout: seconds, by the subscription's scheduler; None waits for ever.

    Raises:
        InvalidOption: at once, for a predicate that is no function of a message, or no time.
        MessageTimeout: from the Observable.
        reactivex.internal.SequenceContainsNoElementsError: from the Observable, if the source completes first.
        Exception: from the Observable, whatever ``predicate`` raised.
    """
    if predicate is not None:
        check_predicate(predicate)
    timeout = check_timeout(timeout)

    def operator(source: Observable[Message]) -> Observable[Message]:
        check_observable("wait_for_message() is applied to", source, "stream.pipe(wait_for_message(timeout=5))")

        def subscribe(observer: ObserverBase[Message], scheduler: SchedulerBase | None = None) -> DisposableBase:
            timer = SerialDisposable()
            subscription = SerialDisposable()
            waits = [None]

            def on_next(message: Message) -> None:
                try:
                    matched = predicate is None or predicate(message)
                except Exception as error:
                    fail(error)
                    return
                if matched and ends_it():
                    try:
                        let_go()
                    finally:  # whatever a signal handler raises, and where
                        try:
                            observer.on_next(message)
                        finally:
                            observer.on_completed()

            def fail(error: Exception) -> None:
                if ends_it():
                    try:
                        let_go()
                    finally:
                        observer.on_error(error)

            def ends_it() -> bool:
                try:
                    del waits[0]  # in one step
                except IndexError:  # the match and the time-out met
                    return False
                return True

            def let_go() -> None:
                timer.dispose()
                subscription.dispose()

            def on_completed() -> None:
                fail(SequenceContainsNoElementsError("the stream completed without a match"))

            subscription.disposable = source.subscribe(on_next, fail, on_completed, scheduler=scheduler)
            if timeout is not None and waits:
                late = MessageTimeout(timeout)

                def on_timeout(_scheduler: object, _state: object) -> None:
                    fail(late)

                clock = scheduler or TimeoutScheduler.singleton()
                timer.disposable = clock.schedule_relative(timeout, on_timeout)
            return CompositeDisposable(subscription, timer)

        return Stream(subscribe)

    return operator
