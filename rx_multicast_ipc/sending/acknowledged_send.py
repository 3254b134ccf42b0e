"""A cold send that ends when all who are there have it."""

from __future__ import annotations

from functools import partial
from typing import Any

from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, SerialDisposable

from ..errors import MessageTimeout, Unsupported
from ..message import Address
from ..option_values.reliable import Acknowledged
from ..receiving.closed_notice import ClosedNotice
from ..receiving.event_loop_delivery import on_its_loop
from ..subscribing.never_subscribed import ColdObservable
from ..transport import Transport, WouldBlock
from .cold_send import shown_payload

_NAMED = 8
"""Receivers that an error names."""


def send_acknowledged(
    transport: Transport, payload: bytes, timeout: float | None, closing: ClosedNotice
) -> ColdObservable[Acknowledged]:
    """Cold: each subscription sends to the group, and emits who has it once nobody is waited for.

    Args:
        transport: a reliable one.
        payload: the message.
        timeout: seconds; None waits as long as the sender is patient with those who are there.
        closing: tells of the channel's end.

    Raises:
        Unsupported: at once, where the transport knows of no acknowledgements.
        MessageTimeout: from the Observable; names who is missing.
    """
    reliable: Any = transport
    if not hasattr(transport, "send_acknowledged"):
        raise Unsupported(
            "this channel hears of no acknowledgements; open it with reliable=True, or on an engine with streams"
        )

    if hasattr(transport, "identified"):  # so that a subscription that sends it again sends no second message
        payload = reliable.identified(payload)

    def subscribe(given: ObserverBase[Acknowledged], scheduler: SchedulerBase | None = None) -> DisposableBase:
        observer = on_its_loop(scheduler, given)
        waiting, timer, notice = SerialDisposable(), SerialDisposable(), SerialDisposable()
        everything = CompositeDisposable(waiting, timer, notice)

        def send() -> None:
            if everything.is_disposed:
                return
            try:
                waiting.disposable = reliable.send_acknowledged(payload, finish)
            except WouldBlock:
                transport.when_writable(send)
            except Exception as error:
                fail(error)

        def finish(acknowledged: Acknowledged | Exception) -> None:
            if isinstance(acknowledged, Exception):
                fail(acknowledged)
            elif not everything.is_disposed:
                everything.dispose()
                observer.on_next(acknowledged)
                observer.on_completed()

        def fail(error: Exception) -> None:
            if not everything.is_disposed:
                everything.dispose()
                observer.on_error(error)

        def time_out(seconds: float, _scheduler: object, _state: object) -> None:
            sent = waiting.disposable
            lacking: list[Address] = [] if sent is None else reliable.lacking(sent)
            named = ", ".join(f"{address}:{port}" for address, port in lacking[:_NAMED])
            more = f" and {len(lacking) - _NAMED} more" if len(lacking) > _NAMED else ""
            fail(
                MessageTimeout(
                    seconds,
                    f"acknowledgement from {named}{more}"
                    if named
                    else "room to send"
                    if sent is None
                    else "acknowledgement",
                )
            )

        if timeout is not None:
            timer.disposable = transport.scheduler.schedule_relative(timeout, partial(time_out, timeout))
        notice.disposable = closing.add(fail)
        send()
        return everything

    return ColdObservable(subscribe, f"acknowledged send of {shown_payload(payload)}")
