"""What a reliable end is about to deliver: messages, its own among them, and events, each in its place."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby, repeat
from typing import Any, Final

import msgspec
from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from ...channel_events import ChannelEvent, Gap
from ...message import Address, Message
from ...subscribing.subscriber_errors import report
from ..base import Changed, Deliver
from .called_actions import CalledActions
from .reassembly import Delivery, Event, Hole

_OWN_CAPACITY: Final = 4 << 20
"""Bytes of own messages that may wait to be delivered here before a sender has to wait."""

_OWN_DELAY: Final = 0.0005
"""Seconds that own messages wait for more, or for something from others: a wake-up costs as much as a send."""

_OWN_DELAY_UNAWAITED: Final = 0.01
"""The same where nobody is subscribed."""

_RECORD: Final = 256
"""Bytes that a message counts beside its payload."""


class DeliveryQueue:
    """Messages and events on their way to whoever started the end, in order. Filled with the lock held.

    Args:
        lock: guards it.
        scheduler: of the I/O thread.
        clock: seconds since the Unix epoch.
        is_virtual: whether time is; then nothing waits for more.
        on_taken: called with the lock held when own messages were delivered, so that there is room again.
        called: actions, which no own message that was sent later overtakes.

    Attributes:
        received, received_bytes: messages delivered, and their payloads.
        ready: what waits.
        is_draining: whether something is delivered right now.
        is_stopped: whether it delivers nothing more.
    """

    def __init__(
        self,
        lock: threading.RLock,
        scheduler: PeriodicScheduler,
        clock: Callable[[], float],
        is_virtual: bool,
        on_taken: Callable[[], None],
        called: CalledActions,
    ) -> None:
        self.received = self.received_bytes = 0
        self._lock = lock
        self._scheduler = scheduler
        self._clock = clock
        self._is_virtual = is_virtual
        self._on_taken = on_taken
        self._called = called
        self.ready: deque[tuple[list[Message] | ChannelEvent, int]] = deque()
        self._own_size = 0
        self._deliver: Deliver | None = None
        self._changed: Changed | None = None
        self._awaited: Callable[[], bool] = _always
        self.is_draining = self._posted = self.is_stopped = False

    def start(self, deliver: Deliver, changed: Changed | None) -> None:
        """Deliver from now on; with the lock."""
        self._deliver, self._changed = deliver, changed
        self._awaited = getattr(deliver, "awaited", _always)
        self.post()

    def stop(self) -> None:
        """Deliver nothing more than the call under way; from any thread."""
        self.is_stopped = True

    def clear(self) -> None:
        """Let go of what waits; on the I/O thread."""
        self.ready.clear()
        self._own_size = 0

    @property
    def has_room(self) -> bool:
        """Whether it takes more own messages."""
        return self._own_size < _OWN_CAPACITY

    def holds_more_than(self, most: int) -> bool:
        """Whether more than so many bytes of messages wait."""
        return sum(len(m.data) + _RECORD for what, _ in self.ready if isinstance(what, list) for m in what) > most

    def put_own(self, payloads: Sequence[bytes], sender: Address, *, direct: bool = False) -> None:
        """Add what this end sent, as if it had arrived, before anybody can answer it."""
        address, port = sender
        family = "IPv6" if ":" in address else "IPv4"
        fields = (address, port, family, self._clock(), direct)
        size = sum(map(len, payloads)) + _RECORD * len(payloads)
        self.ready.append(([*map(Message, payloads, *map(repeat, fields))], size))
        self._own_size += size

    def put(self, messages: list[Message]) -> None:
        """Add what came from others."""
        self.ready.append((messages, 0))

    def put_event(self, event: ChannelEvent) -> None:
        self.ready.append((event, 0))

    def put_arrived(self, events: list[Event]) -> None:
        """Add what came from others; holes become :class:`Gap`."""
        if len(events) == 1:
            what = events[0].what
            if not isinstance(what, Hole):
                self.ready.append((_messages(what), 0))
                return
        for is_hole, group in groupby(events, lambda event: isinstance(event.what, Hole)):
            if is_hole:
                at = self._clock()
                for sender, what in group:
                    if isinstance(what, Hole):
                        self.put_event(Gap(sender, what.packets, what.reason, at))
            else:
                some = [message for _, what in group if not isinstance(what, Hole) for message in _messages(what)]
                self.ready.append((some, 0))

    def post(self) -> None:
        """Have what is ready delivered on the I/O thread soon; with the lock."""
        if self.ready and self._deliver is not None and not self._posted and not self.is_draining:
            self._posted = True
            delay = _OWN_DELAY if self._awaited() else _OWN_DELAY_UNAWAITED
            self._scheduler.schedule_relative(0.0 if self._is_virtual else delay, self._on_posted)

    def deliver(self, messages: list[Message], size: int) -> None:
        """Deliver messages of others, ``size`` bytes of payloads, where nothing waits or is delivered.

        On the I/O thread, without the lock.
        """
        self.is_draining = True
        try:
            self.received += len(messages)
            self.received_bytes += size
            if self._deliver is not None:
                self._deliver(messages)
        except Exception as error:
            report(error)
        finally:
            self.is_draining = False
            if self.ready:  # what was added meanwhile
                self.drain()

    def drain(self) -> None:
        """Deliver what is ready; on the I/O thread, without the lock."""
        ready = self.ready
        if self.is_draining or not ready:  # whoever adds something while it is empty, posts or drains
            return
        self.is_draining = True
        try:
            while not self.is_stopped and self._deliver is not None and ready:
                what, own_size = ready.popleft()
                if own_size:
                    with self._lock:
                        self._own_size -= own_size
                        self._on_taken()
                    if self._called:
                        self._called.run()
                        if self.is_stopped:
                            break
                self._hand_over(what)
        finally:
            self.is_draining = False
            if self.is_stopped:
                self.clear()
            elif ready:  # another thread added something, and left it to the loop above
                with self._lock:
                    self.post()

    def _on_posted(self, _scheduler: object, _state: object) -> None:
        self._posted = False
        self.drain()

    def _hand_over(self, what: list[Message] | ChannelEvent) -> None:
        try:
            if not isinstance(what, list):
                if self._changed is not None:
                    self._changed(what)
            elif self._deliver is not None:
                self.received += len(what)
                self.received_bytes += len(what[0].data) if len(what) == 1 else sum([len(each.data) for each in what])
                self._deliver(what)
        except Exception as error:
            report(error)


def _always() -> bool:
    return True


def _messages(delivery: Delivery) -> list[Message]:
    origin: Message = delivery.origin
    fields: Any = msgspec.structs.astuple(origin)[1:]
    if len(delivery.messages) == 1:
        return [Message(delivery.messages[0], *fields)]
    return [*map(Message, delivery.messages, *map(repeat, fields))]
