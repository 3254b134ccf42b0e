"""What happens to a channel beside its messages."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias

import msgspec

from .option_values.member import Member


class NetworkChange(StrEnum):
    """What can happen to an interface that a channel is on.

    Attributes:
        JOINED: the channel is on it from now on: it appeared, came back, or the default route moved there.
        LEFT: it is gone, or nothing leads to the group there any more. The channel is back on it as soon as it is.
        DOWN: it was switched off or lost its carrier. The channel stays joined.
        UP: it works again.
        MOVED: what is sent there has another source address now.
    """

    JOINED = "joined"
    LEFT = "left"
    DOWN = "down"
    UP = "up"
    MOVED = "moved"


class NetworkEvent(msgspec.Struct, frozen=True):
    """One change of the network that a channel noticed, and has dealt with.

    Attributes:
        change: what happened.
        interface: the interface's name; what the channel was opened with, where the platform tells no name.
        address: where the channel's datagrams come from on that interface, or came from until it left or went down;
            ``""`` if it has no address.
        at: seconds since the Unix epoch.
    """

    change: NetworkChange
    interface: str
    address: str
    at: float


class Gap(msgspec.Struct, frozen=True):
    """Something that a reliable channel did not get, and that will not come any more.

    Attributes:
        sender: whose messages are missing.
        count: numbered packets that are missing. Each held one message, several small ones, or a part of a large one.
        reason: why, for people.
        at: seconds since the Unix epoch.
    """

    sender: tuple[str, int]
    count: int
    reason: str
    at: float = 0.0


class Rejected(msgspec.Struct, frozen=True):
    """Datagrams that a sealed channel refused: told at once, and then once a second at most for each kind of reason.

    A channel without a key tells once that it hears sealed ones; it does not refuse them.

    Attributes:
        reason: why, for people.
        sender: of the last of them. Anybody can write there what they like.
        count: of them, since this was told last.
        at: seconds since the Unix epoch.
    """

    reason: str
    sender: tuple[str, int]
    count: int = 1
    at: float = 0.0


class Joined(msgspec.Struct, frozen=True):
    """Another channel of the group is there, and says so; see ``presence=``.

    Attributes:
        member: who it is.
        at: seconds since the Unix epoch.
    """

    member: Member
    at: float = 0.0


class Left(msgspec.Struct, frozen=True):
    """A member of the group is gone. One that was only silent is :class:`Joined` again as soon as it is heard.

    Attributes:
        member: who it was.
        reason: ``"said goodbye"``, or ``"silent"``: nothing came from it any more, and it did not answer when it was
            asked.
        at: seconds since the Unix epoch.
    """

    member: Member
    reason: Literal["said goodbye", "silent"]
    at: float = 0.0


class Forbidden(msgspec.Struct, frozen=True):
    """An engine refused what this channel had sent. It says so later, so the send itself had completed.

    Attributes:
        subject: where it was sent.
        reason: what the engine said, for people.
        at: seconds since the Unix epoch.
    """

    subject: str
    reason: str
    at: float = 0.0


ChannelEvent: TypeAlias = NetworkEvent | Gap | Rejected | Joined | Left | Forbidden
"""Whatever ``Channel.events`` may tell."""
