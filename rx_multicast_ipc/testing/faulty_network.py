"""Faults on the way to a transport, seeded: loss, duplication, reordering, corruption, delay."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from copy import copy
from functools import partial
from itertools import groupby
from random import Random
from typing import Any, Final, TypedDict, Unpack

import msgspec
from reactivex.disposable import SingleAssignmentDisposable

from ..channel import Channel
from ..channel_options import ChannelOptions, complete, group_of, takes_channel_options
from ..channel_statistics import Statistics
from ..errors import InvalidOption
from ..group import Group
from ..message import Message
from ..subscribing.subscriber_errors import report
from ..transport import Changed, Deliver, Ended, Hears, OpenTransport, Transport
from ..transport.opening import current, opened_by
from ..transport.wrapper import TransportWrapper
from ..validation.arguments import is_number, shown

_LONGEST_HOLD: Final = 0.1
"""Seconds that a datagram waits for another one to overtake it."""


class FaultOptions(TypedDict, total=False):
    """The keywords of :class:`FaultyTransport`: what goes wrong on the way to it; nothing by default.

    Attributes:
        loss: the fraction of datagrams that get lost, 0 to 1.
        duplication: the fraction that arrive twice.
        reordering: the fraction that the next datagram overtakes, unless none comes within 0.1 s.
        corruption: the fraction that arrive with one bit flipped.
        latency: seconds that everything is late, beside the time that it takes anyway.
        jitter: up to so many seconds more, drawn for each datagram. It does not change their order.
        seed: of all that is drawn.
    """

    loss: float
    duplication: float
    reordering: float
    corruption: float
    latency: float
    jitter: float
    seed: int | str


class FaultCounts(msgspec.Struct, kw_only=True):
    """What was done to the datagrams that arrived.

    Attributes:
        lost: datagrams that never arrive.
        duplicated: datagrams that arrive twice.
        corrupted: datagrams with a bit that is wrong.
        reordered: datagrams that another one overtook.
        delayed: datagrams, copies among them, that ``latency`` or ``jitter`` made late; also those that were still
            on their way when the transport closed.
    """

    lost: int = 0
    duplicated: int = 0
    corrupted: int = 0
    reordered: int = 0
    delayed: int = 0

    def __add__(self, other: FaultCounts) -> FaultCounts:
        return FaultCounts(
            **{name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__},
        )


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
        options = _Options(**faults)
        super().__init__(transport)
        self._options = options
        self._counts = FaultCounts()
        self._links: dict[tuple[bool, str], _Link] = {}
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

    def _link(self, message: Message) -> _Link:
        key = message.direct, message.interface
        link = self._links.get(key)
        if link is None:
            seed = f"{self._options.seed} {'direct' if message.direct else 'group'} {message.interface}"
            link = self._links[key] = _Link(self._options, seed, self._counts)
        return link

    def _let_go(self, link: _Link, held: list[_Parcel]) -> None:
        """Nothing came to overtake it."""
        if link.held is held:
            link.held = []
            self._pass_on(held)

    def _pass_on(self, parcels: list[_Parcel]) -> None:
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

    def _hand_over_late(self, link: _Link, count: int) -> None:
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


class FaultyNetwork:
    """The live network with a bad link to each of the channels opened here; others hear and send as ever.

        network = FaultyNetwork(loss=0.3, jitter=0.05, seed=1)
        with network.open_channel(61088) as channel:
            ...

    It opens transports the way :class:`~rx_multicast_ipc.transport.OpenTransport` says, each a :class:`FaultyTransport`
    with faults of its own: the seed and how many were opened before it choose them.

    Args:
        open_transport: opens what the faults are put around: by default, what the process opens anyway, live UDP.
        faults: see :class:`FaultOptions`.

    Raises:
        InvalidOption: a value out of its range.
    """

    def __init__(self, open_transport: OpenTransport | None = None, **faults: Unpack[FaultOptions]) -> None:
        self._options = _Options(**faults)
        self._open_transport = open_transport or current()
        self._transports: list[FaultyTransport] = []

    @property
    def faults(self) -> FaultCounts:
        """What was done to all of its channels so far."""
        return sum((transport.faults for transport in self._transports), FaultCounts())

    @property
    def has_names(self) -> bool:
        """Whether names can be looked up: as inside."""
        return getattr(self._open_transport, "has_names", True)

    def __call__(self, group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> FaultyTransport:
        seed = f"{self._options.seed} {len(self._transports)}" if self._transports else self._options.seed
        faults: Any = msgspec.structs.asdict(msgspec.structs.replace(self._options, seed=seed))
        transport = FaultyTransport(self._open_transport(group, options, hears), **faults)
        self._transports.append(transport)
        return transport

    @takes_channel_options
    def open_channel(
        self,
        port: int | None = None,
        group: str | None = None,
        **options: Unpack[ChannelOptions],
    ) -> Channel:
        """An ordinary channel. Errors as for :func:`rx_multicast_ipc.open_channel`.

        Args:
            port, group: as there.
            **options: see :class:`rx_multicast_ipc.ChannelOptions`.
        """
        checked = complete(options)
        return Channel(group_of(port, group, checked), self, checked)

    @contextmanager
    def this_process(self) -> Generator[None]:
        """Within the block this process has the bad link, without a change to what is tested.

        What calls :func:`messages`, :func:`open_channel` or :func:`with_socket` of the package gets channels of this
        network there. :func:`rx_multicast_ipc.send` sends to numeric addresses only.
        """
        with opened_by(self):
            yield


class _Link:
    """Where the datagrams of one kind and interface meet their fates, by a generator of random numbers of their own.

    Each takes the same count of numbers, whatever its fate, so that more of one fault leaves the others as they were.

    Attributes:
        late: what is on its way, in the order of its delivery.
        held: what waits to be overtaken: nothing, or a datagram with its copies.
        newly_held: whether ``held`` is yet to be given a time.
    """

    def __init__(self, options: _Options, seed: str, counts: FaultCounts) -> None:
        self._options = options
        self._counts = counts
        self._draw = Random(seed).random
        self._last_arrival = 0.0
        self.late: deque[Message] = deque()
        self.held: list[_Parcel] = []
        self.newly_held = False

    def carry(self, message: Message) -> Iterator[_Parcel]:
        """What comes out of the link when ``message`` goes in."""
        options, counts = self._options, self._counts
        loss, duplication, reordering, corruption, bit, jitter, copy_jitter = [self._draw() for _ in range(7)]
        if loss < options.loss:
            counts.lost += 1
            return
        if corruption < options.corruption and message.data:
            counts.corrupted += 1
            message = msgspec.structs.replace(message, data=_flip(message.data, bit))
        parcels = [self._parcel(message, jitter)]
        if duplication < options.duplication:
            counts.duplicated += 1
            parcels.append(self._parcel(message, copy_jitter))
        if self.held:
            counts.reordered += 1
            parcels += self.held
            self.held = []
        elif reordering < options.reordering:
            self.held = parcels
            self.newly_held = True
            return
        yield from parcels

    def _parcel(self, message: Message, jitter: float) -> _Parcel:
        wait = self._options.latency
        if self._options.jitter:
            wait = max(wait + jitter * self._options.jitter, self._last_arrival - message.received_at)
            self._last_arrival = message.received_at + wait
        if not wait:
            return self, wait, message
        return self, wait, msgspec.structs.replace(message, received_at=message.received_at + wait)


_Parcel = tuple[_Link, float, Message]
"""A datagram, the link that it came by, and how many seconds it is late."""


class _Options(msgspec.Struct, frozen=True, kw_only=True):
    """:class:`FaultOptions`, complete and checked."""

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    corruption: float = 0.0
    latency: float = 0.0
    jitter: float = 0.0
    seed: int | str = 0

    def __post_init__(self) -> None:
        for name in ("loss", "duplication", "reordering", "corruption"):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value <= 1:
                raise InvalidOption(f"{name} is a fraction from 0 to 1, such as 0.3 for 30 %, not {shown(value)}")
        for name in ("latency", "jitter"):
            value = getattr(self, name)
            if not is_number(value) or not 0 <= value < math.inf:
                raise InvalidOption(f"{name} is a number of seconds, 0 or more, not {shown(value)}")
        if not isinstance(self.seed, int | str):
            raise InvalidOption(f"seed is a whole number or a text, not {shown(self.seed)}")


def _flip(data: bytes, where: float) -> bytes:
    """``data`` with one bit flipped, ``where`` of the way into it."""
    place, bit = divmod(int(where * len(data) * 8), 8)
    return data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :]
