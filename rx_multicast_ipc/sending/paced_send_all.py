"""Many payloads, one after the other: at once, as they come, together, or at a steady rate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from ..errors import ChannelClosed, InvalidOption, InvalidPayload
from ..receiving.bounded_queue import QUEUE_BYTES, BoundedQueue
from ..receiving.closed_notice import ClosedNotice
from ..receiving.event_loop_delivery import on_its_loop
from ..receiving.overflow import Overflow
from ..subscribing.deadlocks import deadlock
from ..subscribing.never_subscribed import ColdObservable
from ..transport import Transport
from ..validation.arguments import check_rate, check_seconds
from ..validation.payload import Payload, is_series
from .linger import Linger
from .pace import Pace
from .transfer import CHUNK, Transfer

Payloads = Observable[Any] | Iterable[Payload]
"""Payloads to send: an Observable, or an iterable."""

_MOST_WAITING: Final = 65_536
"""Payloads of an Observable that wait to be sent; their bytes are bounded too."""

_EMPTY: Final[BoundedQueue[Any]] = BoundedQueue(1)
"""The queue of transfers to which nothing arrives by itself."""


def send_all(
    transport: Transport,
    source: Payloads,
    rate: float | None,
    scheduler: PeriodicScheduler,
    closing: ClosedNotice | None = None,
    linger: float = 0.0,
) -> Observable[int]:
    """Cold: sends every payload of ``source`` to the group, in order, and emits how many were sent.

    Args:
        transport: sends them.
        source: payloads; its error ends the transfer, after what came before it.
        rate: datagrams a second; None for as fast as the source gives them.
        scheduler: runs the pauses.
        closing: tells when the channel closes, for transfers that wait then.
        linger: seconds that what an Observable gives may wait for more.
    """
    if not isinstance(source, Observable) and not is_series(source):
        raise InvalidPayload("broadcast_all() takes an iterable or Observable of payloads; broadcast() sends one")
    check_rate(rate)
    if check_seconds("linger", linger) and rate is not None:
        raise InvalidOption("linger= and rate= both say when to send; pass one of them")
    if linger and not isinstance(source, Observable):
        raise InvalidOption(
            "linger= lets what an Observable gives wait for more; a list leaves together without it, and an iterator "
            "that waits for nothing is one as reactivex.from_iterable(iterator)"
        )

    def subscribe(observer: ObserverBase[int], given: SchedulerBase | None = None) -> DisposableBase:
        if transport.closed:
            raise ChannelClosed
        blocked = deadlock(scheduler)
        arrives = isinstance(source, Observable)
        arrived: BoundedQueue[Any] = (
            BoundedQueue(_MOST_WAITING, Overflow.ERROR, capacity_bytes=QUEUE_BYTES) if arrives else _EMPTY
        )
        transfer = Transfer(transport, on_its_loop(given, observer), arrived)
        if closing is not None and (rate is not None or arrives):
            transfer.told = closing.add(transfer.fail)
        if rate is not None:
            transfer.timing = Pace(transfer, rate, scheduler)
        elif linger:
            transfer.timing = Linger(transfer, linger, scheduler)
        if isinstance(source, Observable):
            transfer.source.disposable = source.subscribe(
                transfer.push, transfer.end_with_error, transfer.end, scheduler=given
            )
        else:
            # An iterator may wait for the answer to what it gave before: only a sequence is taken many at a time.
            transfer.pull(iter(source), CHUNK if isinstance(source, Sequence) else 1)
        if blocked is not None and not transfer.over:
            transfer.fail(blocked)
        return transfer

    return ColdObservable(subscribe, "broadcast_all")
