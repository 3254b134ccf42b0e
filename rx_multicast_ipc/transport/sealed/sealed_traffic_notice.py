"""What a channel without a key says when it hears sealed datagrams. Needs no cryptography."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ...channel_events import Rejected
from ...group import Group
from ...message import Message
from .wire_format import MAGIC, hint_of, looks_sealed

_log = logging.getLogger("rx_multicast_ipc")


class SealedTrafficNotice:
    """Looks at what comes until the first sealed datagram, which it reports once.

    Args:
        group: which, for people.
        tell: takes the event, on the I/O thread.
    """

    __slots__ = ("_group", "_tell", "told")

    def __init__(self, group: Group, tell: Callable[[Rejected], None]) -> None:
        self.told = False
        self._group = group
        self._tell = tell

    def look(self, message: Message) -> None:
        """See what came."""
        data = message.data
        if data[:1] == MAGIC and not self.told and looks_sealed(data):
            self.told = True
            reason = f"sealed with the key {hint_of(data)}, and this channel was opened without key="
            _log.warning("%s: what %s:%d sends is %s", self._group, *message.sender, reason)
            self._tell(Rejected(reason, message.sender, 1, message.received_at))
