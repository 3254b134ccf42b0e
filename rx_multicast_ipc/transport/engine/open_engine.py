"""Which transport belongs to which engine."""

from __future__ import annotations

from ...channel_options import ChannelOptions
from ...engines import Nats, Zenoh
from ...errors import InvalidInterface
from ...group import Group
from ..base import Hears, Transport


def open_on_engine(group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> Transport:
    """See :class:`rx_multicast_ipc.transport.OpenTransport`; on the engine that the group names."""
    engine = group.engine
    if isinstance(engine, Nats):
        from .nats.transport import open_nats

        return open_nats(engine, group, options, hears)
    if isinstance(engine, Zenoh):
        from .zenoh.transport import open_zenoh

        return open_zenoh(engine, group, options, hears)
    raise InvalidInterface(f"{group} names no engine that there is a transport for")
