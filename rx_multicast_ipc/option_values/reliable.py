"""How a reliable channel is to behave, and what it tells of an acknowledgement."""

from __future__ import annotations

import math
from typing import Any, Final

import msgspec

from ..errors import InvalidOption
from ..message import Address
from ..validation.arguments import is_number, shown

LARGEST_WINDOW: Final = 8192
"""Packets: of so many a receiver can tell in one packet what is missing."""

_LEAST_WINDOW: Final = 16
_LEAST_KEEP: Final = 1 << 20
_LARGEST: Final = 1 << 40


class Reliable(msgspec.Struct, frozen=True, kw_only=True):
    """What ``reliable=`` of :func:`rx_multicast_ipc.open_channel` takes; ``True`` stands for ``Reliable()``.

    Attributes:
        window: packets that may be on the way or wait to be repeated, 16 to 8192.
        keep: bytes of sent packets that are kept for repairs, and of packets that arrive out of order, 1 MiB or more.
        patience: seconds that the sender waits for a receiver that falls behind; then it goes on without it.
        rate: bytes a second that it sends at most; None for as many as the slowest receiver takes.
        largest: bytes of the largest message, to send and to receive.

    Raises:
        InvalidOption: a value out of its range.
    """

    window: int = LARGEST_WINDOW
    keep: int = 32 << 20
    patience: float = 3.0
    rate: float | None = None
    largest: int = 64 << 20

    def __post_init__(self) -> None:
        if not _is_whole(self.window) or not _LEAST_WINDOW <= self.window <= LARGEST_WINDOW:
            raise InvalidOption(
                f"window is a number of packets from {_LEAST_WINDOW} to {LARGEST_WINDOW}, not {shown(self.window)}"
            )
        if not _is_whole(self.keep) or self.keep < _LEAST_KEEP:
            raise InvalidOption(f"keep is a number of bytes, {_LEAST_KEEP} or more, not {shown(self.keep)}")
        if not is_number(self.patience) or not 0 <= self.patience < math.inf:
            raise InvalidOption(f"patience is a number of seconds, 0 or more, not {shown(self.patience)}")
        if self.rate is not None and (not is_number(self.rate) or not 0 < self.rate < math.inf):
            raise InvalidOption(f"rate is a number of bytes a second, more than 0, or None, not {shown(self.rate)}")
        if not _is_whole(self.largest) or not 1 <= self.largest <= _LARGEST:
            raise InvalidOption(f"largest is a number of bytes from 1 to {_LARGEST}, not {shown(self.largest)}")


class Acknowledged(msgspec.Struct, frozen=True):
    """What ``broadcast(data, acknowledged=True)`` emits.

    Attributes:
        by: the addresses of those who were there when it was sent, and have it. On an engine: the name of the stream
            that keeps it, and the message's number there.
        missing: of those who were there, and left or were left behind without it.
    """

    by: tuple[Address, ...]
    missing: tuple[Address, ...] = ()


def check_reliable(name: str, value: bool | Reliable) -> Reliable | None:
    """The ``Reliable`` that ``value`` stands for, None for False; raises ``InvalidOption``."""
    if isinstance(value, Reliable):
        return value
    if not isinstance(value, bool):
        raise InvalidOption(f"{name} is True, False or Reliable(...), not {shown(value)}")
    return Reliable() if value else None


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
