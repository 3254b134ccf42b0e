"""Answers to those who ask, each to the asker alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, SerialDisposable

from ..errors import InvalidOption
from ..message import Message
from ..receiving.pending_wait import Predicate
from ..subscribing.never_subscribed import ColdObservable
from ..subscribing.subscriber_errors import report
from ..validation.arguments import check_callable, check_predicate
from ..validation.payload import Payload


def answers(
    questions: Observable[Message],
    is_own: Callable[[Message], bool],
    reply: Callable[[Message, Payload], Observable[None]],
    predicate: Predicate,
    handler: Callable[[Message], Payload],
) -> Observable[Message]:
    """Cold: while subscribed, replies to each message that matches, and emits it once that is out.

    Args:
        questions: hot.
        is_own: tells messages that are not answered because the channel sent them.
        reply: makes a send to the one who sent a message.
        predicate: chooses.
        handler: makes an answer. What it, the predicate or a send raises is reported, and the next one is answered.
    """
    check_predicate(predicate)
    check_callable("handler", handler, ("a message",), "lambda m: b'pong'")

    def reply_to(message: Message) -> Observable[None] | None:
        if not message.port or is_own(message):  # port 0: its sender gave none, so it cannot be answered
            return None
        if not predicate(message):
            return None
        return reply(message, _checked(handler(message)))

    def subscribe(observer: ObserverBase[Message], scheduler: SchedulerBase | None = None) -> DisposableBase:
        pending = CompositeDisposable()

        def on_next(message: Message) -> None:
            try:
                sending = reply_to(message)
            except Exception as error:
                _report(error, message)
                return
            if sending is not None:
                waiting = SerialDisposable()  # a send that meets a full buffer goes out later
                pending.add(waiting)

                def sent() -> None:
                    pending.remove(waiting)
                    observer.on_next(message)

                def failed(error: Exception) -> None:
                    pending.remove(waiting)
                    _report(error, message)

                waiting.disposable = sending.subscribe(on_completed=sent, on_error=failed, scheduler=scheduler)

        asked = questions.subscribe(on_next, observer.on_error, observer.on_completed, scheduler=scheduler)
        return CompositeDisposable(asked, pending)

    return ColdObservable(subscribe, "respond()")


def _checked(answer: Any) -> Payload:
    if inspect.iscoroutine(answer):
        answer.close()
        raise InvalidOption(
            "respond's handler is a plain function that returns the answer; for a coroutine function: "
            "channel.messages.pipe(ops.filter(predicate), operators.map_async(handler)), with reply() in it"
        )
    if isinstance(answer, Observable):
        raise InvalidOption(
            "respond's handler returns the answer itself; for one that takes time: "
            "channel.messages.pipe(ops.filter(predicate), ops.flat_map(handler)), with reply() in it"
        )
    return answer


def _report(error: Exception, message: Message) -> None:
    error.add_note(f"so {message.address}:{message.port} got no answer; the next one who asks does")
    report(error)
