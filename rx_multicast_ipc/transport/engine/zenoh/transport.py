"""One end of a group on Zenoh."""

from __future__ import annotations

from ....channel_options import ChannelOptions
from ....group import Group
from ....option_values.engines import Zenoh
from ...base import Hears
from ..connections import open_end
from ..transport import EngineTransport
from .connection import ZenohConnection


class ZenohTransport(EngineTransport):
    """See :class:`EngineTransport`."""


def open_zenoh(engine: Zenoh, group: Group, options: ChannelOptions, hears: Hears) -> ZenohTransport:
    """See :class:`rx_multicast_ipc.transport.OpenTransport`."""
    return open_end(engine, lambda: ZenohConnection(engine), ZenohTransport, group, options, hears)
