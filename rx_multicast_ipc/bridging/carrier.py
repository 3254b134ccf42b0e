"""Carries messages across a bridge: each leaves by the end that stands for its sender on the other side."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby

from ..channel_events import ChannelEvent
from ..errors import CannotOpen
from ..message import Address, Message
from ..strangers.rate_limit import LogLimit
from .end import BridgeEnd
from .machine import BridgeMachine, ControlPackets, Path
from .side import BridgeSide

_log = logging.getLogger("rx_multicast_ipc")


class Carrier:
    """Opens ends as senders appear, and gives them back.

    Args:
        sides: the two.
        machine: decides what is carried, and whether by this bridge.
        lock: guards the machine, and the sides' tables.
        now: seconds on the machine's clock.
        say: sends control packets, without the lock.

    Attributes:
        stopped: whether nothing is carried any more; set with the lock.
        unanswerable: messages that were carried by an end that several senders share.
    """

    def __init__(
        self,
        sides: Sequence[BridgeSide],
        machine: BridgeMachine,
        lock: threading.RLock,
        now: Callable[[], float],
        say: Callable[[ControlPackets], None],
    ) -> None:
        self.stopped = False
        self.unanswerable = 0
        self._sides = sides
        self._machine = machine
        self._lock = lock
        self._now = now
        self._say = say
        self._limit = LogLimit(_log.warning)

    def hear(self, number: int, batch: list[Message]) -> None:
        """Carry what was said to the group on one side; on its listener's thread, so that order is kept."""
        now = self._now()
        for sender, run in groupby(batch, _sender_in_group):
            payloads = [message.data for message in run]
            if sender is None:
                continue  # to the listener alone, whose address nobody knows
            with self._lock:
                path = None if self.stopped else self._machine.path_across(number, sender, payloads, now)
                if path is None:
                    continue
                end, packets = self._end_for(1 - number, sender, path, len(payloads), now)
            self._say(packets)
            end.send(payloads)

    def expire(self, now: float) -> None:
        """Give back the ends that were not used for too long; with the lock."""
        for number, side in enumerate(self._sides):
            for end in side.ends.expire(now):
                self._let_go(number, end)

    def on_addresses_changed(self, number: int) -> None:
        """The network of a side has changed, and with it what its ends are known by."""
        side = self._sides[number]
        with self._lock:
            for end in (side.shared, *side.ends):
                self._machine.moved(number, end, end.transport.own_addresses)

    def _hear_reply(self, number: int, end: BridgeEnd, batch: list[Message]) -> None:
        """Carry what was sent to one end alone to whom it stands for; on that end's thread."""
        destination = end.sender
        assert destination is not None
        now = self._now()
        for sender, run in groupby(batch, _sender_alone):
            payloads = [message.data for message in run]
            if sender is None:
                continue
            with self._lock:
                if self.stopped:
                    return
                path = *self._machine.path_of(number, sender), self._machine.number
                back, packets = self._end_for(1 - number, sender, path, len(payloads), now)
                self._sides[number].ends.touch(destination, now)
            self._say(packets)
            back.send(payloads, destination)

    def _end_for(
        self, number: int, sender: Address, path: Path, count: int, now: float
    ) -> tuple[BridgeEnd, ControlPackets]:
        """The end on one side for a sender of the other, and what others are to know of it; with the lock."""
        side = self._sides[number]
        packets: ControlPackets = []

        def make() -> BridgeEnd | None:
            try:
                end = BridgeEnd(side.opens.open_end(), sender)
            except CannotOpen as error:
                self._limit.log("end", lambda error=error: f"a bridge cannot open an end for another sender: {error}")
                return None
            packets.extend(self._machine.has_end(number, end, end.transport.own_addresses, path))
            end.transport.start(
                partial(self._hear_reply, number, end),
                partial(self._on_end_ended, number, end),
                partial(self._on_end_changed, number, end),
            )
            return end

        end, gone = side.ends.use(sender, make, now)
        if gone is not None:
            self._let_go(number, gone)
        if end is None:
            self.unanswerable += count
            return side.shared, packets
        return end, packets

    def _let_go(self, number: int, end: BridgeEnd) -> None:
        self._machine.had_end(number, end)
        self._sides[number].let_go(end)

    def _on_end_changed(self, number: int, end: BridgeEnd, _event: ChannelEvent) -> None:
        with self._lock:
            self._machine.moved(number, end, end.transport.own_addresses)

    def _on_end_ended(self, number: int, end: BridgeEnd, fault: Exception | None) -> None:
        if fault is None:
            return
        with self._lock:
            self._sides[number].ends.remove(end)
            self._let_go(number, end)


def _sender_in_group(message: Message) -> Address | None:
    return None if message.direct else message.sender


def _sender_alone(message: Message) -> Address | None:
    return message.sender if message.direct else None
