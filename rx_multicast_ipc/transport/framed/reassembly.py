"""Messages out of packets that are in order: those of a bundle apart, the parts of a large one together."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from ...message import Address
from .bundles_and_fragments import LENGTH_SIZE, length_in, messages_of
from .packets import BEGIN, END, WHOLE, Data, MalformedPacket

_BROKEN_OFF: Final = "the sender broke off"


class Delivery(NamedTuple):
    """Messages in their place.

    Attributes:
        origin: what was passed in with their last packet.
        messages: each whole, one at least.
    """

    origin: Any
    messages: list[bytes]


class Hole(NamedTuple):
    """Something that will not come, in its place.

    Attributes:
        packets: how many.
        reason: why.
    """

    packets: int
    reason: str


class Event(NamedTuple):
    """What is to be delivered: messages, or that something will not come.

    Attributes:
        sender: where it came from.
        what: the messages or the hole.
    """

    sender: Address
    what: Delivery | Hole


class Reassembly:
    """Puts the messages of one stream together.

    Each call changes everything in statements without a call, at its end: Ctrl-C, or a signal handler that raises,
    comes before all of it or after. So no packet is taken and not delivered, and none delivered and taken again.

    Args:
        sender: of the stream.
        largest: bytes of the largest message that is taken.
        events: gets what comes out.
        number: of the packet to begin with; 0 if that is not known.

    Attributes:
        number: of the next packet; 0 as long as that is not known.
        holes: how many came out.
        size: bytes of the message whose parts are coming in.
        parts: of that message; None if none are still to come.
    """

    def __init__(self, sender: Address, largest: int, events: list[Event], number: int) -> None:
        self.number = number
        self.holes = 0
        self.size = 0
        self._sender = sender
        self._largest = largest
        self._events = events
        self.parts: list[bytes] | None = None
        self._total = 0

    def move_to(self, sender: Address) -> None:
        """The stream comes from another address from now on."""
        self._sender = sender

    def take(self, data: Data, origin: Any) -> None:
        """The next packet in order."""
        flags, body = data.flags, data.body
        parts, size, total = self.parts, self.size, self._total
        holes: tuple[Event, ...] = ()
        whole: tuple[Event, ...] = ()
        added: tuple[bytes, ...] = ()
        if flags & BEGIN and parts is not None:
            holes = (self._hole(1, _BROKEN_OFF),)
            parts, size = None, 0
        if flags & WHOLE == WHOLE:
            try:
                messages = [body] if flags == WHOLE else messages_of(data)
                whole = (Event(self._sender, Delivery(origin, messages)),)
            except MalformedPacket:
                holes += (self._hole(1, "malformed"),)
        elif flags == BEGIN:
            total = length_in(body)
            if total > self._largest:
                holes += (self._hole(1, f"a message of {total} bytes is more than is taken"),)
            else:
                parts, added = [], (body[LENGTH_SIZE:],)
                size = len(body) - LENGTH_SIZE
        elif parts is not None:
            size += len(body)
            added = (body,)
            if flags == END or size > total:
                if size == total:
                    whole = (Event(self._sender, Delivery(origin, [b"".join((*parts, body))])),)
                else:
                    holes = (self._hole(1, "malformed"),)
                parts, size = None, 0
        # else: of a message whose beginning was before this end joined, or in a hole that was told
        count = len(holes)
        # No call from here on.
        self._events += holes
        self._events += whole
        self.holes += count
        self.parts, self.size, self._total = parts, size, total
        if parts is not None:
            parts += added
        self.number = data.number + 1

    def skip_to(self, number: int, reason: str) -> None:
        """What comes before this packet will not come."""
        packets = number - self.number
        if packets > 0:
            hole = self._hole(packets, reason)
            # No call from here on.
            self._events += (hole,)
            self.holes += 1
            self.parts, self.size = None, 0
            self.number = number

    def break_off(self, reason: str) -> None:
        """The rest of the message whose parts are coming in will not come."""
        if self.parts is not None:
            hole = self._hole(1, reason)
            # No call from here on.
            self._events += (hole,)
            self.holes += 1
            self.parts, self.size = None, 0

    def _hole(self, packets: int, reason: str) -> Event:
        return Event(self._sender, Hole(packets, reason))
