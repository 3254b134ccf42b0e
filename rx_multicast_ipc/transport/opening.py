"""How this process opens transports: live UDP or an engine, unless a test put the process on a virtual network."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from ..channel_options import ChannelOptions
from ..errors import InvalidOption, MissingExtra
from ..group import Group
from ..option_values.reliable import Reliable
from .base import Hears, OpenTransport, Transport

if TYPE_CHECKING:
    from ..option_values.key import Keys
    from .framed.open_framed import NewEnvelope


def open_live(group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> Transport:
    """See :class:`rx_multicast_ipc.transport.OpenTransport`: on the engine that the group names, or else over UDP.

    Loads what it needs with the first channel that does.
    """
    if group.engine is None:
        from .udp.transport import UdpTransport

        return UdpTransport(group, options, hears)
    from .engine.open_engine import open_on_engine

    return open_on_engine(group, options, hears)


_current: OpenTransport = open_live


def current() -> OpenTransport:
    """What opens the transports of channels that were not given one of their own."""
    return _current


def open_transport(group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> Transport:
    """See :class:`rx_multicast_ipc.transport.OpenTransport`."""
    return _current(group, options, hears)


def as_options_say(open_transport: OpenTransport, options: ChannelOptions) -> OpenTransport:
    """What opens ends with the layers that ``options`` ask for around those of ``open_transport``.

    One layer does for all of them: see :class:`~rx_multicast_ipc.transport.framed.open_framed.OpenFramed`.
    """
    reliable, keys, presence = options.get("reliable"), options.get("key"), options.get("presence")
    if not isinstance(reliable, Reliable) and not keys and presence is None:
        return open_transport
    if presence is not None and options["send_from"] != "own":
        raise InvalidOption(
            "a channel with presence is asked directly whether it is still there, so it needs a port of its own: "
            'leave send_from="own"'
        )
    from .framed.open_framed import OpenFramed

    return OpenFramed(open_transport, reliable if isinstance(reliable, Reliable) else None, sealing(keys))


def sealing(keys: object) -> NewEnvelope | None:
    """What makes the envelopes of channels with these keys; None without keys.

    Raises:
        MissingExtra: cryptography is not installed.
    """
    if not keys:
        return None
    try:
        from .sealed.packet_sealing import PacketSealing
    except ImportError as error:
        raise MissingExtra("a sealed channel (key=)", "cryptography", "sealed") from error

    sealing_with = cast("Keys", keys)
    return lambda: PacketSealing(sealing_with)


@contextmanager
def opened_by(other: OpenTransport) -> Generator[None]:
    """Within the block, in every thread, transports are opened by ``other``."""
    global _current
    before, _current = _current, other
    try:
        yield
    finally:
        _current = before
