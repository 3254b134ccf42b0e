"""What a channel hears: its streams, its backlog and the notice of its end, fed by its transport."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..channel_events import ChannelEvent, Gap
from ..channel_options import ChannelOptions
from ..errors import ChannelClosed
from ..group import Group
from ..message import Message
from ..subscribing.deadlocks import deadlock
from ..subscribing.subscriber_errors import tell_all
from ..transport import OpenTransport, Transport
from ..transport.delivered_batch import HERE, DeliveredBatch
from ..transport.sealed.sealed_traffic_notice import SealedTrafficNotice
from ..transport.sealed.wire_format import MAGIC
from .closed_notice import ClosedNotice, anew
from .hot_source import HotSource
from .wait_backlog import Backlog


class Inbox:
    """Takes what a transport delivers, on its I/O thread, from :meth:`open` on.

    It knows nothing of the channel, which may be forgotten while the transport still delivers.

    Args:
        group: which, for people.

    Attributes:
        transport: the transport, once it is open.
        batches, messages, deliveries, events: the channel's hot streams.
        backlog: what nobody waited for yet.
        closing: tells of the end.
        notice: tells of sealed datagrams, where there is no key.
    """

    transport: Transport
    backlog: Backlog
    notice: SealedTrafficNotice

    def __init__(self, group: Group) -> None:
        self.batches: HotSource[list[Message]] = HotSource(self.refusal, f"batches of {group}")
        self.messages: HotSource[Message] = HotSource(self.refusal, f"messages of {group}", self.batches)
        self.events: HotSource[ChannelEvent] = HotSource(self.refusal, f"events of {group}")
        self.deliveries: HotSource[Message | Gap] = HotSource(self.refusal, f"deliveries of {group}")
        self.closing = ClosedNotice()

    def open(
        self,
        group: Group,
        open_transport: OpenTransport,
        options: ChannelOptions,
        prepare: Callable[[Transport], None],
    ) -> None:
        """Open a transport, have it prepared, and begin. Errors as for :class:`rx_multicast_ipc.Channel`."""
        self.transport = open_transport(group, options)
        self.notice = SealedTrafficNotice(group, self.tell)
        self.notice.told = bool(options["key"])
        try:
            self.backlog = Backlog(self.transport, options["backlog"])
            self._delivery = _Delivery(self)
            if options["topics"] is not None:
                from .topic_filter import TopicFilter

                self._delivery.choose = TopicFilter(options["topics"])
            prepare(self.transport)
            self.transport.start(self._delivery, self._end, self.tell)
        except BaseException:
            self.transport.close()
            raise

    @property
    def is_open(self) -> bool:
        """Whether there is something to close."""
        return hasattr(self, "transport") and not self.transport.closed

    @property
    def discarded(self) -> int:
        """Messages that were lost on the way from here to who subscribed or waits."""
        return sum([each.discarded for each in (self.messages, self.batches, self.deliveries, self.backlog)])

    def sift(self, sift: Callable[[list[Message]], list[Message]]) -> None:
        """From now on, deliver what ``sift`` leaves of each batch: for messages that are none of the user's."""
        self._delivery.sift = sift

    def refusal(self) -> Exception | None:
        """Why nothing can be subscribed to on this thread now; None if it can."""
        return ChannelClosed() if self.transport.closed else deadlock(self.transport.scheduler)

    def stop(self) -> None:
        """Deliver nothing more than the call under way; from any thread."""
        for source in self._streams:
            source.stop()

    @property
    def _streams(self) -> tuple[HotSource[Any], ...]:
        return self.batches, self.messages, self.deliveries, self.events

    def tell(self, event: ChannelEvent) -> None:
        """Tell of an event; on the I/O thread."""
        if isinstance(event, Gap) and self.deliveries.observed:
            self.deliveries.emit((event,))
        self.events.emit((event,))

    def _end(self, fault: Exception | None) -> None:
        def why() -> Exception:
            return ChannelClosed() if fault is None else anew(fault)

        tell_all(
            [
                *(partial(source.end, fault) for source in self._streams),
                partial(self.backlog.end, why),
                partial(self.closing.tell, why),
            ]
        )


class _Delivery:
    """What the transport calls; see :data:`rx_multicast_ipc.transport.Deliver`."""

    __slots__ = ("_backlog", "_batches", "_deliveries", "_messages", "_notice", "choose", "sift")

    def __init__(self, inbox: Inbox) -> None:
        self._batches = inbox.batches
        self._messages = inbox.messages
        self._deliveries = inbox.deliveries
        self._backlog = inbox.backlog
        self._notice = inbox.notice
        self.sift: Callable[[list[Message]], list[Message]] | None = None
        self.choose: Callable[[list[Message]], list[Message]] | None = None

    def __call__(self, batch: list[Message]) -> None:
        # Few steps before the subscribers, for an answer may be waited for.
        first = batch[0]
        if self.sift is not None:
            batch = self.sift(batch)
        if self.choose is not None:
            batch = self.choose(batch)
        together = DeliveredBatch() if len(batch) > 1 else None
        outer = None
        try:
            if together is not None:
                outer, HERE.batch = HERE.batch, together
            if self._batches.observed and batch:
                self._batches.emit((batch,))
            if self._messages.observed:
                self._messages.emit(batch)
            if self._deliveries.observed:
                self._deliveries.emit(batch)
            self._backlog.put(batch)
        finally:
            if together is not None:
                HERE.batch = outer  # not by a call, which a signal could keep from being made
                try:
                    together.end()
                except BaseException:
                    together.end()
                    raise
        if first.data[:1] == MAGIC:
            self._notice.look(first)

    def awaited(self) -> bool:
        """Whether anybody is subscribed or waits."""
        messages, batches, deliveries = self._messages, self._batches, self._deliveries
        return messages.observed or batches.observed or deliveries.observed or self._backlog.awaited
