"""What the spy says of an event of its channel."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ...channel_events import ChannelEvent, Forbidden, Gap, Joined, Left, Rejected
from ..output import host_port


class EventNotice(NamedTuple):
    """A notice on the screen.

    Attributes:
        title: one word.
        text: with strangers' text in it as it came: to be made printable.
        severity: as textual names it.
    """

    title: str
    text: str
    severity: Literal["information", "warning"] = "warning"

    @classmethod
    def of(cls, event: ChannelEvent) -> EventNotice:
        """The notice of an event."""
        match event:
            case Joined(member):
                return cls("joined", f"{member.name} at {host_port(member.sender)}", "information")
            case Left(member, reason):
                return cls("left", f"{member.name} at {host_port(member.sender)}: {reason}", "information")
            case Gap(sender, count, reason):
                return cls("gap", f"{host_port(sender)}: {count} packets are missing: {reason}")
            case Rejected(reason, sender, count):
                return cls("rejected", f"{host_port(sender)}: {count}: {reason}")
            case Forbidden(subject, reason):
                return cls("forbidden", f"{subject}: {reason}")
            case _:
                return cls("network", f"{event.interface}: {event.change}")
