"""What a bridge joins: a group, and how ends of it are opened."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from ..channel import Channel
from ..channel_options import ChannelOptions, complete
from ..errors import InvalidOption
from ..group import Group
from ..transport import Hears, OpenTransport, Transport
from ..transport.opening import current
from ..validation.arguments import shown
from .control_packets import CONTROL_PORT

_END_BUFFER: Final = 256 << 10
"""Bytes of receive buffer for what comes back to one sender."""

Segment = str | Group | Channel
"""An interface or an engine's URL, a group, or a channel, which stands for its group on its network."""


class OpensEnds(NamedTuple):
    """One side of a bridge.

    Attributes:
        group: what is bridged.
        open_transport: opens ends of it, without any layer: packets cross as they are.
    """

    group: Group
    open_transport: OpenTransport

    @classmethod
    def of(cls, name: str, given: Segment | Any, port: int | None, group: str | None) -> OpensEnds:
        """What ``given`` stands for, the argument ``name``.

        Raises:
            InvalidPort, InvalidGroup, InvalidInterface: a mistake in what it names.
            InvalidOption: no segment, or several in one.
        """
        if isinstance(given, Channel):
            side = cls(given.group, given.opened_by)
        elif isinstance(given, Group):
            side = cls(given, current())
        elif isinstance(given, list | tuple | set | frozenset):
            raise InvalidOption(
                f"{name} is one segment, not several: name one interface, or make a bridge for each pair"
            )
        else:
            side = cls(Group.of(port, group, given), current())
        if side.group.has_several_interfaces:
            raise InvalidOption(
                f"{name}={shown(side.group.interface)} is several segments, and a bridge joins two: name one interface"
            )
        if side.group.port == CONTROL_PORT:
            raise InvalidOption(
                f"port {CONTROL_PORT} is where bridges talk to each other; bridge a group on another one"
            )
        return side

    def open_listener(self) -> Transport:
        """An end that hears the group, but not itself."""
        return self._open(self.group, Hears.ALL, {"echo": False})

    def open_control(self) -> Transport:
        """An end on the port where bridges talk."""
        control = msgspec.structs.replace(self.group, port=CONTROL_PORT, sources=())
        return self._open(control, Hears.ALL, {"echo": False})

    def open_end(self) -> Transport:
        """An end that stands for a sender of the other side."""
        return self._open(self.group, Hears.DIRECT, {"echo": False, "receive_buffer": _END_BUFFER})

    def open_shared_end(self) -> Transport:
        """An end that stands for senders who cannot be answered."""
        return self._open(self.group, Hears.NOTHING, {"echo": False})

    def _open(self, group: Group, hears: Hears, options: ChannelOptions) -> Transport:
        return self.open_transport(group, complete(options), hears)
