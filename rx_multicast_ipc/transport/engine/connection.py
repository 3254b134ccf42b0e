"""What an end asks of its connection to an engine, and a connection of its ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from ...channel_events import ChannelEvent, NetworkChange
from ...group import Group
from ...message import Address, Message
from ..base import Hears
from .sent_topics import Run


class End(Protocol):
    """One channel's end of its group, as its connection sees it. Everything may be called on any thread.

    Attributes:
        number: of the channel in its process, its port; different from that of every other open end.
        hears: what it is opened to hear.
        sender_address: the connection's session, and its number.
        to_group: its group's address and port.
        by_topic: whether it hears some topics alone, so that the numbers within each topic count for it.
    """

    group: Group
    number: int
    hears: Hears
    sender_address: Address
    to_group: Address
    by_topic: bool

    def arrive(self, messages: Sequence[Message], numbers: Sequence[int | None]) -> None:
        """Take what came for this end, each with its running number; None for what has none."""
        ...

    def tell(self, event: ChannelEvent) -> None:
        """Tell of an event after what arrived before it."""
        ...

    def tell_of(self, change: NetworkChange) -> None:
        """Tell that the engine went away (``DOWN``) or is back (``UP``)."""
        ...

    def fail(self, fault: Exception) -> None:
        """End because of ``fault``: nothing can be heard any more."""
        ...


E_contra = TypeVar("E_contra", bound=End, contravariant=True)
"""What ends on one kind of engine are."""


class Connection(Protocol[E_contra]):
    """One connection to one engine, for all ends of this process that name it alike.

    Everything may be called on any thread, in a signal handler too, except where it says otherwise.
    """

    @property
    def url(self) -> str:
        """Where it leads, without anything that is secret."""
        ...

    @property
    def session(self) -> str:
        """The address of all of its ends; random. Another one in a forked child."""
        ...

    @property
    def payload_limit(self) -> int:
        """Bytes of the largest payload that the engine takes."""
        ...

    def attach(self, end: E_contra) -> None:
        """Subscribe for ``end`` to what it ``hears``; returns when the engine has the subscription.

        Raises:
            ChannelClosed: this connection is closed; another one is to be made.
            CannotOpen: the engine is away, or refused it.
        """
        ...

    def detach(self, end: E_contra) -> None:
        """Let go of ``end``; once at most. Where that was the last one, the connection may close after a moment."""
        ...

    def publish(
        self, end: E_contra, payloads: Sequence[bytes], number: int, destination: Address | None, runs: Sequence[Run]
    ) -> None:
        """Send each, numbered from ``number`` on, to the group of ``end`` or to one address. It must not wait.

        ``runs`` says which of them are of a topic; it is empty if none are.

        Called with the send lock of ``end`` held. It reaches other ends on this connection as well.

        Raises:
            WouldBlock: the engine takes no more right now. ``sent`` says how many went before, and are on their way.
            SendFailed: the engine is away, or refused it; ``sent`` as well.
        """
        ...

    def when_writable(self, action: Callable[[], None]) -> None:
        """Call ``action`` once, on any thread, as soon as ``publish`` may take something, or fails at once."""
        ...
