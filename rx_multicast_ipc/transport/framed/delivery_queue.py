"""What a reliable end is about to deliver: messages, its own among them, and events, each in its place."""

from __future__ import annotations

import math
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
from ..next_timer import NextTimer
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

    Ctrl-C, or a signal handler that raises, loses nothing that is here, and has nothing delivered twice: what is handed
    over is taken out in the statement before, and what is added comes in one.

    Args:
        lock: guards it.
        scheduler: of the I/O thread.
        clock: seconds since the Unix epoch.
        is_virtual: whether time is; then nothing waits for more.
        on_taken: called with the lock held when own messages were delivered, so that there may be room again.
        called: actions, which no own message that was sent later overtakes.

    Attributes:
        received, received_bytes: messages delivered, and their payloads.
        ready: what waits.
        awaits_own: whether a message of its own is on its way, and not here yet. Whoever takes its answer waits for the
            lock. To be looked at before ``ready``, where without the lock.
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
        self._clock = clock
        self._is_virtual = is_virtual
        self._on_taken = on_taken
        self._called = called
        self.ready: deque[tuple[list[Message] | ChannelEvent, int]] = deque()
        self._own_put = self._own_taken = 0  # bytes of own messages; each is counted up on one side only
        self._timer = NextTimer(scheduler, self.drain, least_pause=0.0)
        self.deliver: Deliver | None = None
        self._changed: Changed | None = None
        self._awaited: Callable[[], bool] = _always
        self.awaits_own = self.is_draining = self.is_stopped = False

    def start(self, deliver: Deliver, changed: Changed | None) -> None:
        """Deliver from now on; with the lock."""
        self.deliver, self._changed = deliver, changed
        self._awaited = getattr(deliver, "awaited", _always)
        self.post()

    def stop(self) -> None:
        """Deliver nothing more than the call under way; from any thread."""
        self.is_stopped = True

    def clear(self) -> None:
        """Let go of what waits, at the end of the delivery that a signal handler may have interrupted; when stopped."""
        if not self.is_draining:
            self.ready.clear()
        self._own_taken = self._own_put

    def forget(self, lock: threading.RLock) -> None:
        """Let go of everything, in a forked child, maybe amid a delivery; ``lock`` guards it from now on."""
        self._lock = lock
        self._timer.forget()
        self.stop()
        self.clear()

    @property
    def has_room(self) -> bool:
        """Whether it takes more own messages."""
        return self._own_put - self._own_taken < _OWN_CAPACITY

    def holds_more_than(self, most: int) -> bool:
        """Whether more than so many bytes of messages wait."""
        return sum(len(m.data) + _RECORD for what, _ in self.ready if isinstance(what, list) for m in what) > most

    def put_own(self, payloads: Sequence[bytes], sender: Address, *, direct: bool = False) -> None:
        """Add what this end sent, as if it had arrived, before anybody can answer it."""
        address, port = sender
        family = "IPv6" if ":" in address else "IPv4"
        fields = (address, port, family, self._clock(), direct)
        size = sum(map(len, payloads)) + _RECORD * len(payloads)
        messages = [*map(Message, payloads, *map(repeat, fields))]
        self.ready += ((messages, size),)  # no call from here on
        self._own_put += size

    def put(self, messages: list[Message]) -> None:
        """Add what came from others."""
        self.ready.append((messages, 0))

    def put_event(self, event: ChannelEvent) -> None:
        self.ready.append((event, 0))

    def put_arrived(self, events: list[Event]) -> None:
        """Move what came from others here; holes become :class:`Gap`."""
        moved: list[tuple[list[Message] | ChannelEvent, int]] = []
        only = events[0].what if len(events) == 1 else None
        if only is not None and not isinstance(only, Hole):
            moved.append((_messages(only), 0))
            self.ready += moved
            del events[:]
            return
        for is_hole, group in groupby(events, lambda event: isinstance(event.what, Hole)):
            if is_hole:
                at = self._clock()
                for sender, what in group:
                    if isinstance(what, Hole):
                        moved.append((Gap(sender, what.packets, what.reason, at), 0))
            else:
                some = [message for _, what in group if not isinstance(what, Hole) for message in _messages(what)]
                moved.append((some, 0))
        self.ready += moved  # no call from here on
        del events[:]

    def post(self) -> None:
        """Have what is ready delivered on the I/O thread soon; with the lock."""
        if self.ready and self.deliver is not None and not self.is_draining and self._timer.due == math.inf:
            delay = _OWN_DELAY if self._awaited() else _OWN_DELAY_UNAWAITED
            self._timer.call_at(0.0 if self._is_virtual else delay, 0.0)

    def deliver_first(self, messages: list[Message], size: int) -> None:
        """As :meth:`drain`, in fewer calls, where these are ready first: of others, with ``size`` bytes of payloads."""
        count, deliver = len(messages), self.deliver
        if deliver is None:
            return
        self.is_draining = True
        try:
            # No call in between.
            if self.is_stopped:
                return
            del self.ready[0]
            self.received += count
            self.received_bytes += size
            deliver(messages)
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
            while ready and not self.is_stopped and (deliver := self.deliver) is not None:
                what, own_size = ready[0]
                if own_size and self._called:
                    self._called.run()
                    continue
                try:
                    if isinstance(what, list):
                        count = len(what)
                        size = len(what[0].data) if count == 1 else sum([len(each.data) for each in what])
                        # No call in between.
                        if self.is_stopped:
                            break
                        del ready[0]
                        self._own_taken += own_size
                        self.received += count
                        self.received_bytes += size
                        if count:
                            deliver(what)
                    else:
                        changed = self._changed
                        if self.is_stopped:
                            break
                        del ready[0]
                        if changed is not None:
                            changed(what)
                except Exception as error:
                    report(error)
                if own_size:
                    with self._lock:
                        self._on_taken()
        finally:
            self.is_draining = False
            if self.is_stopped:
                self.clear()
            elif ready:  # it was interrupted, or another thread added something and left it to the loop above
                with self._lock:
                    self._on_taken()
                    self.post()


def _always() -> bool:
    return True


def _messages(delivery: Delivery) -> list[Message]:
    origin: Message = delivery.origin
    fields: Any = msgspec.structs.astuple(origin)[1:]
    if len(delivery.messages) == 1:
        return [Message(delivery.messages[0], *fields)]
    return [*map(Message, delivery.messages, *map(repeat, fields))]
