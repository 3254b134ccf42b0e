"""Any transport at the end of a bad link."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import partial
from itertools import groupby
from typing import Final, Unpack

import msgspec
from reactivex.disposable import SingleAssignmentDisposable

from ..channel_statistics import Statistics
from ..message import Message
from ..subscribing.subscriber_errors import report
from ..transport import Changed, Deliver, Ended, Transport
from ..transport.wrapper import TransportWrapper
from .faulty_link import CheckedFaults, FaultCounts, FaultOptions, FaultyLink, Parcel

_LONGEST_HOLD: Final = 0.1
"""Seconds that a datagram waits for another one to overtake it."""


class FaultyTransport(TransportWrapper):
    """Any transport, live UDP as well, at the end of a bad link: faults meet what arrives, before it is delivered.

    What it sends is left alone, for each receiver of a multicast has a fate of its own: for faults both ways wrap both
    ends. The seed decides every fate, and the datagrams in their order of arrival: those to the group and direct ones,
    and those of each interface, among themselves. Neither the clock nor how many come in one read does. ``statistics``
    count what was delivered in the end. Without a fault it does nothing.

    Args:
        transport: the one inside. It belongs to the wrapper from now on.
        faults: see :class:`FaultOptions`.

    Raises:
        InvalidOption: a value out of its range.
    """

    def __init__(self, transport: Transport, **faults: Unpack[FaultOptions]) -> None:
        options = CheckedFaults(**faults)
        super().__init__(transport)
        self._options = options
        self._counts = FaultCounts()
        self._links: dict[tuple[bool, str], FaultyLink] = {}
        self._timers: set[SingleAssignmentDisposable] = set()
        self._deliver: Deliver | None = None
        self._ended: Ended | None = None
        self._received = self._received_bytes = 0

    @property
    def faults(self) -> FaultCounts:
        """What was done so far."""
        return copy(self._counts)

    @property
    def statistics(self) -> Statistics:
        return msgspec.structs.replace(
            self.inner.statistics, received=self._received, received_bytes=self._received_bytes
        )

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        self._deliver = deliver
        self._ended = ended
        self.inner.start(self._arrive, self._end, changed)

    def _arrive(self, batch: list[Message]) -> None:
        parcels = [parcel for message in batch for parcel in self._link(message).carry(message)]
        for link in self._links.values():
            if link.newly_held:
                link.newly_held = False
                self._later(_LONGEST_HOLD, partial(self._let_go, link, link.held))
        self._pass_on(parcels)

    def _link(self, message: Message) -> FaultyLink:
        key = message.direct, message.interface
        link = self._links.get(key)
        if link is None:
            seed = f"{self._options.seed} {'direct' if message.direct else 'group'} {message.interface}"
            link = self._links[key] = FaultyLink(self._options, seed, self._counts)
        return link

    def _let_go(self, link: FaultyLink, held: list[Parcel]) -> None:
        """Nothing came to overtake it."""
        if link.held is held:
            link.held = []
            self._pass_on(held)

    def _pass_on(self, parcels: list[Parcel]) -> None:
        """Deliver in one batch what is not late, after putting off what is: in one batch what is equally late."""
        at_once: list[Message] = []
        for (link, wait), late in groupby(parcels, lambda parcel: parcel[:2]):
            messages = [message for _, _, message in late]
            if wait or link.late:
                link.late += messages
                self._counts.delayed += len(messages)
                self._later(wait, partial(self._hand_over_late, link, len(messages)))
            else:
                at_once += messages
        if at_once:
            self._hand_over(at_once)

    def _hand_over_late(self, link: FaultyLink, count: int) -> None:
        self._hand_over([link.late.popleft() for _ in range(count)])

    def _hand_over(self, batch: list[Message]) -> None:
        if not self.inner.closed and self._deliver is not None:
            self._received += len(batch)
            self._received_bytes += sum(len(message.data) for message in batch)
            try:
                self._deliver(batch)
            except Exception as error:
                report(error)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        timer = SingleAssignmentDisposable()

        def run(_scheduler: object, _state: object) -> None:
            self._timers.discard(timer)
            action()

        self._timers.add(timer)
        timer.disposable = self.scheduler.schedule_relative(seconds, run)

    def _end(self, fault: Exception | None) -> None:
        for timer in self._timers:
            timer.dispose()
        self._timers.clear()
        if self._ended is not None:
            self._ended(fault)
