"""How reliable ends are opened."""

from __future__ import annotations

from ...channel_options import ChannelOptions
from ...errors import InvalidOption
from ...group import Group
from ...reliable import Reliable
from ..base import Hears, OpenTransport
from .transport import FramedTransport


class OpenFramed:
    """Opens reliable ends the way :class:`~rx_multicast_ipc.transport.OpenTransport` says.

    Args:
        open_transport: opens what they are put around.
        reliable: how they are to behave.
    """

    def __init__(self, open_transport: OpenTransport, reliable: Reliable) -> None:
        self._open_transport = open_transport
        self._reliable = reliable

    def __call__(self, group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> FramedTransport:
        if options["send_from"] != "own":
            raise InvalidOption(
                "a reliable channel must hear what its receivers answer, so it needs a port of its own: "
                'leave send_from="own"'
            )
        silent: ChannelOptions = {**options, "echo": False}
        inside = Hears.DIRECT if hears is Hears.NOTHING else hears  # receivers answer to it
        transport = self._open_transport(group, silent, inside)
        return FramedTransport(transport, self._reliable, hears, echo=options["echo"])
