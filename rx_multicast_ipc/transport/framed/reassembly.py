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

    Args:
        sender: of the stream.
        largest: bytes of the largest message that is taken.
        events: gets what comes out.

    Attributes:
        holes: how many came out.
        size: bytes of the message whose parts are coming in.
        parts: of that message; None if none are still to come.
    """

    def __init__(self, sender: Address, largest: int, events: list[Event]) -> None:
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
        flags = data.flags
        if flags & WHOLE == WHOLE:
            if self.parts is not None:
                self.break_off(_BROKEN_OFF)
            try:
                messages = [data.body] if flags == WHOLE else messages_of(data)
            except MalformedPacket:
                self._tell(1, "malformed")
            else:
                self._events.append(Event(self._sender, Delivery(origin, messages)))
        elif flags == BEGIN:
            self.break_off(_BROKEN_OFF)
            self._total = length_in(data.body)
            if self._total > self._largest:
                self._tell(1, f"a message of {self._total} bytes is more than is taken")
            else:
                self.parts = [data.body[LENGTH_SIZE:]]
                self.size = len(self.parts[0])
        elif self.parts is not None:
            self.parts.append(data.body)
            self.size += len(data.body)
            if self.size > self._total or (flags == END and self.size != self._total):
                self.break_off("malformed")
            elif flags == END:
                whole = b"".join(self.parts)
                self._forget_parts()
                self._events.append(Event(self._sender, Delivery(origin, [whole])))
        # else: of a message whose beginning was before this end joined, or in a hole that was told

    def break_off(self, reason: str) -> None:
        """The rest of the message will not come."""
        if self.parts is not None:
            self._forget_parts()
            self._tell(1, reason)

    def tell_hole(self, packets: int, reason: str) -> None:
        """The next packets will not come."""
        if packets > 0:
            self._forget_parts()
            self._tell(packets, reason)

    def _tell(self, packets: int, reason: str) -> None:
        self.holes += 1
        self._events.append(Event(self._sender, Hole(packets, reason)))

    def _forget_parts(self) -> None:
        self.parts, self.size = None, 0
