"""One end of a group on Zenoh."""

from __future__ import annotations

from collections.abc import Callable

from ....channel_events import NetworkChange
from ....channel_options import ChannelOptions
from ....group import Group
from ....message import Address
from ....option_values.engines import Zenoh
from ...base import Hears
from ..connections import open_end
from ..transport import EngineTransport
from . import keys
from .connection import ZenohConnection


class ZenohTransport(EngineTransport):
    """See :class:`EngineTransport`."""

    def __init__(self, group: Group, options: ChannelOptions, hears: Hears, connection: ZenohConnection) -> None:
        self._zenoh = connection
        self._lost: Callable[[Address | None], None] | None = None
        topics = options["topics"]
        self.listens_to = f"{keys.of_group(group)}/**" if topics is None else keys.of_topics(group, topics)
        super().__init__(group, options, hears, connection)

    def place_of(self, topic: str) -> str:
        return keys.of_topic(self.group, self.sender_address, topic)

    def watch_ends(self, lost: Callable[[Address | None], None]) -> None:
        """Have others know, as long as this end is there, that it is; and call ``lost`` with who was and is not.

        On the I/O thread. An end is gone as soon as its router finds that its process, or the way to it, is. ``lost``
        is called with None when the own router is: what was said of others just before, it said because of that.
        """
        self._lost = lost
        self._zenoh.watch_ends(self, self._on_lost)

    def _on_lost(self, address: Address) -> None:
        if address != self.sender_address and self._zenoh.up:
            self._tell_lost(address)

    def _tell_lost(self, address: Address | None) -> None:
        lost = self._lost
        if lost is not None and not self.closed:
            self._thread.post(lambda: lost(address))

    def tell_of(self, change: NetworkChange) -> None:
        super().tell_of(change)
        if change is NetworkChange.DOWN:
            self._tell_lost(None)


def open_zenoh(engine: Zenoh, group: Group, options: ChannelOptions, hears: Hears) -> ZenohTransport:
    """See :class:`rx_multicast_ipc.transport.OpenTransport`."""
    return open_end(engine, lambda: ZenohConnection(engine), ZenohTransport, group, options, hears)
