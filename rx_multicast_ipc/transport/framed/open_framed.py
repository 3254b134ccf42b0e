"""How ends that speak in packets are opened."""

from __future__ import annotations

from collections.abc import Callable

from ...channel_options import ChannelOptions
from ...errors import InvalidOption
from ...group import Group
from ...option_values.reliable import Reliable
from ..base import Hears, OpenTransport
from .envelope import Envelope
from .enveloped_transport import EnvelopedTransport
from .packet_transport import PacketTransport
from .reliable_transport import ReliableTransport
from .unrepaired_transport import UnrepairedTransport

NewEnvelope = Callable[[], Envelope]
"""Makes the envelope of one opening of a channel."""


class OpenFramed:
    """Opens ends that speak in packets, the way :class:`~rx_multicast_ipc.transport.OpenTransport` says.

    Args:
        open_transport: opens what they are put around.
        reliable: how they are to repair; None for not at all.
        envelope: makes what is put around their packets; None for nothing.
    """

    def __init__(
        self, open_transport: OpenTransport, reliable: Reliable | None, envelope: NewEnvelope | None = None
    ) -> None:
        self._open_transport = open_transport
        self._reliable = reliable
        self._envelope = envelope

    def __call__(self, group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> PacketTransport:
        # Packets are of no topic: the end inside hears all, and the channel chooses.
        envelope = None if self._envelope is None else self._envelope()
        if envelope is None and self._reliable is None:
            return UnrepairedTransport(self._open_transport(group, {**options, "topics": None}, hears))
        if options["send_from"] != "own":
            kind = "sealed" if self._reliable is None else "reliable"
            raise InvalidOption(
                f"a {kind} channel must hear what its receivers answer, so it needs a port of its own: "
                'leave send_from="own"'
            )
        silent: ChannelOptions = {**options, "echo": False, "topics": None}
        inside = Hears.DIRECT if hears is Hears.NOTHING else hears  # receivers answer to it
        transport = self._open_transport(group, silent, inside)
        echo = options["echo"]
        try:
            if self._reliable is None and envelope is not None:
                return EnvelopedTransport(transport, envelope, hears, echo=echo)
            return ReliableTransport(transport, self._reliable or Reliable(), hears, echo=echo, envelope=envelope)
        except BaseException:  # Ctrl-C, too
            transport.close(wait=False)
            raise
