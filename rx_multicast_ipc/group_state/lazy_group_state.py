"""The group state of a channel, made when an option or a first use asks for it: most channels have none."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from ..channel_options import ChannelOptions
from ..errors import ChannelClosed, Unsupported
from ..receiving.inbox import Inbox
from ..transport import Transport

if TYPE_CHECKING:
    from .group_state import GroupState


class LazyGroupState:
    """Makes the state of a channel.

    Args:
        inbox: what the channel hears.
        options: the channel's.
    """

    def __init__(self, inbox: Inbox, options: ChannelOptions) -> None:
        self._inbox = inbox
        self._options = options
        self._lock = threading.RLock()
        self._made: GroupState | None = None

    def prepare(self, transport: Transport) -> None:
        """The transport is open, and hears as soon as this returns."""
        if hasattr(transport, "packets"):  # what others of the group keep beside messages is told from these
            self._made = self._make(transport)

    def begin(self) -> None:
        """The channel is open."""
        if self._made is not None:
            self._made.begin()

    def get(self) -> GroupState:
        """The state; raises ``ChannelClosed``."""
        made = self._made
        if made is None:
            transport = self._inbox.transport
            if transport.closed:
                raise ChannelClosed
            if self._options["topics"] is not None:
                raise Unsupported(
                    "a channel that was opened for some topics hears of no latest values; open another one without "
                    "topics=, or this one with presence=, too"
                )
            with self._lock:
                made = self._made
                if made is None:
                    made = self._make(transport)
                    made.begin()
                    self._made = made  # last: one that a signal handler kept from beginning is made anew
        return made

    def stop(self) -> None:
        """Deliver nothing more than the call under way; from any thread."""
        if self._made is not None:
            self._made.stop()

    def _make(self, transport: Transport) -> GroupState:
        from .group_state import GroupState

        presence, repairs = self._options["presence"], self._options["reliable"] is not None
        return GroupState(self._inbox, transport, presence, repairs=repairs)  # pyright: ignore[reportArgumentType]
