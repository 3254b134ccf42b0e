"""Which transport belongs to which engine."""

from __future__ import annotations

from collections.abc import Callable

from ...channel_options import ChannelOptions
from ...errors import InvalidInterface, Unsupported
from ...group import Group
from ...message import Message
from ...option_values.engines import Engine, Nats, Since, Zenoh
from ..base import Hears, Transport
from .history import History


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


def open_history(
    engine: Engine,
    group: Group,
    since: Since,
    until_now: bool,
    deliver: Callable[[list[Message]], None],
    ended: Callable[[Exception | None], None],
) -> History:
    """What the engine kept of a group. Arguments as for :class:`.nats.stream_history.NatsHistory`."""
    if isinstance(engine, Nats):
        from .nats.stream_history import NatsHistory

        return NatsHistory(engine, group, since, until_now, deliver, ended)
    raise Unsupported(f"{engine.url} keeps no past; since= is for NATS with JetStream")
