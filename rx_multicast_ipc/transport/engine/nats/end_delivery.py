"""From what arrives at a connection, and from what it sends itself, to the ends that it is for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from ....message import Address, Message
from ....strangers.decoding import whole_or_none
from ...base import Hears
from ..connection import End
from . import subjects
from .publishing import Part
from .subscriptions import Subscriptions
from .wire import Delivered

DIRECT: Final = b"1"
"""The number of the connection's subscription to what is sent to its ends alone."""


class NatsEnd(End, Protocol):
    """What a connection asks of an end beside what every end has."""

    listens_to: str
    """The subscription that brings all that is sent to its group."""
    filters: tuple[str, ...]
    """Those that it has."""
    speaks_to: str
    """The subject that it sends to its group on; empty if it cannot."""
    numbering: bytes
    """What its running numbers stand behind."""

    @property
    def spoke_to(self) -> Sequence[str]: ...

    def subject_of(self, destination: Address) -> str: ...

    def message(self, subject: bytes, reply: bytes, payload: bytes, at: float) -> Message: ...


class EndDelivery:
    """Hands messages to ends, in order; on the thread of whoever brings them.

    Args:
        ends: all of the connection, by their numbers.
        subscriptions: those that bring what is sent to groups.
        other: takes what comes by any other subscription.
    """

    def __init__(
        self,
        ends: Mapping[int, NatsEnd],
        subscriptions: Subscriptions[NatsEnd],
        other: Callable[[Delivered], None],
    ) -> None:
        self._ends = ends
        self._subscriptions = subscriptions
        self._other = other

    def take(self, messages: Sequence[Delivered]) -> None:
        """From the server, all that came in one read."""
        now = time.time()
        of_sid = self._subscriptions.of_sid
        batches: dict[NatsEnd, tuple[list[Message], list[int | None]]] = {}
        for each in messages:
            subscription = of_sid(each.sid)
            if subscription is not None:
                number = subjects.number_in(each.reply)
                for end in subscription.ends:
                    taken, numbers = batches.setdefault(end, ([], []))
                    taken.append(end.message(each.subject, each.reply, each.payload, now))
                    numbers.append(subjects.number_in_topic(each.reply) if end.by_topic else number)
            elif each.sid == DIRECT:
                self._take_direct(each, now)
            else:
                self._other(each)
        for end, (taken, numbers) in batches.items():
            end.arrive(taken, numbers)

    def _take_direct(self, arrived: Delivered, now: float) -> None:
        words = arrived.subject.decode("utf-8", "replace").split(".")
        sender = subjects.sender_in(".".join(words[4:]))
        number = whole_or_none(words[3]) if len(words) == 6 else None
        end = None if number is None else self._ends.get(number)
        if end is not None and sender is not None and end.hears is not Hears.NOTHING:
            message = Message(arrived.payload, *sender, end.group.family, now, True, "", end.sender_address)
            end.arrive((message,), (subjects.number_in(arrived.reply),))

    def send_directly(self, number: int, sender: Address, payloads: Sequence[bytes], first: int) -> None:
        """To one end of this connection, numbered from ``first`` on, without the server."""
        end = self._ends.get(number)
        if end is not None and end.hears is not Hears.NOTHING:
            now = time.time()
            fields = (*sender, end.group.family, now, True, "", end.sender_address)
            messages = [Message(payload, *fields) for payload in payloads]
            end.arrive(messages, range(first, first + len(messages)))

    def copy_sent(self, sending: NatsEnd, part: Part, number: int, sent: int) -> None:
        """Bring what goes out to the other ends of this connection, to which the server does not send it."""
        payloads = part.payloads[: max(0, sent - part.start)]
        if not payloads:
            return
        for subscription in self._subscriptions.bringing(part.subject.decode(), sending.listens_to):
            for end in subscription.ends:
                if end is not sending:
                    now, reply = time.time(), sending.numbering + b"0"
                    messages = [end.message(part.subject, reply, payload, now) for payload in payloads]
                    first = number + part.start - (part.others or 0 if end.by_topic else 0)
                    begins = end.by_topic and part.others is None
                    end.arrive(messages, (-first,) if begins else range(first, first + len(messages)))
