"""A gap in a reliable channel as an error."""

from __future__ import annotations

from typing import Protocol

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import SingleAssignmentDisposable

from ..channel_events import Gap
from ..errors import InvalidOption, MessagesMissing
from ..message import Message
from ..validation.arguments import shown
from ..validation.stream import Stream


class Delivers(Protocol):
    """The part of a channel that is needed here."""

    @property
    def deliveries(self) -> Observable[Message | Gap]: ...


def fail_on_gap(channel: Delivers) -> Observable[Message]:
    """Hot: the messages of a reliable channel, up to the first :class:`rx_multicast_ipc.Gap`, which is an error.

    Args:
        channel: opened with ``reliable=``; one without has no gaps, and never fails here.

    Raises:
        InvalidOption: at once, for what is no channel.
        MessagesMissing: from the Observable, in the place of what is missing.
    """
    if not hasattr(channel, "deliveries"):
        raise InvalidOption(
            f"fail_on_gap takes a channel, not {shown(channel)}: write operators.fail_on_gap(channel).pipe(...), where "
            "channel.messages.pipe(...) stood"
        )

    def subscribe(observer: ObserverBase[Message], scheduler: SchedulerBase | None = None) -> DisposableBase:
        subscription = SingleAssignmentDisposable()

        def on_next(what: Message | Gap) -> None:
            if isinstance(what, Gap):
                subscription.dispose()
                observer.on_error(MessagesMissing(what))
            else:
                observer.on_next(what)

        subscription.disposable = channel.deliveries.subscribe(
            on_next, observer.on_error, observer.on_completed, scheduler=scheduler
        )
        return subscription

    return Stream(subscribe)
