"""How a channel says that it is there."""

from __future__ import annotations

from typing import Final

import msgspec

from ..errors import InvalidOption
from ..validation.arguments import is_number, shown

LONGEST_NAME: Final = 64
"""Bytes of UTF-8."""

LONGEST_ABOUT: Final = 512
"""Bytes."""

SHORTEST_INTERVAL: Final = 0.1
LONGEST_INTERVAL: Final = 3600.0
"""Seconds."""


class Presence(msgspec.Struct, frozen=True):
    """What ``presence=`` of :func:`rx_multicast_ipc.open_channel` takes; a name alone stands for ``Presence(name)``.

    Attributes:
        name: who it is: printable text of 64 bytes of UTF-8 at most. Names need not differ. None: the channel hears
            who is there, and says nothing itself.
        about: what the others get to know besides, 512 bytes at most, sent with every beat.
        interval: seconds between two beats, 0.1 to 3600. Who crashes is called gone within five of them.

    Raises:
        InvalidOption: a value out of its range or of the wrong type.
    """

    name: str | None
    about: bytes = b""
    interval: float = 1.0

    def __post_init__(self) -> None:
        if self.name is not None and not (isinstance(self.name, str) and is_name(self.name)):
            raise InvalidOption(
                f"a member's name is printable text of 1 to {LONGEST_NAME} bytes of UTF-8, not {shown(self.name)}"
            )
        if not isinstance(self.about, bytes):
            raise InvalidOption(f'about is bytes, such as b"..." or text.encode(), not {shown(self.about)}')
        if len(self.about) > LONGEST_ABOUT:
            raise InvalidOption(
                f"about has {LONGEST_ABOUT} bytes at most, for it goes with every beat, and this has "
                f"{len(self.about)}; say more with channel.latest(), which sends it once"
            )
        seconds = self.interval
        if not is_number(seconds) or not SHORTEST_INTERVAL <= seconds <= LONGEST_INTERVAL:
            raise InvalidOption(
                f"interval is a number of seconds from {SHORTEST_INTERVAL:g} to {LONGEST_INTERVAL:g}, not "
                f"{shown(seconds)}"
            )


def is_name(text: str) -> bool:
    """Whether a member may be called so: nothing in it can steer a terminal or forge a line."""
    return bool(text.strip()) and text.isprintable() and len(text.encode()) <= LONGEST_NAME


def check_presence(name: str, value: str | Presence) -> Presence:
    """The ``Presence`` that ``value`` stands for; raises ``InvalidOption``."""
    if isinstance(value, Presence):
        return value
    if not isinstance(value, str):
        raise InvalidOption(f'{name} is a name, such as {name}="arena-bot", or Presence(...), not {shown(value)}')
    return Presence(value)
