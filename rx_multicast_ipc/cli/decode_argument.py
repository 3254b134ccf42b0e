"""``--decode``: payloads as the values that they stand for."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Final, Self

from ..strangers.decoding import json_line_or_none
from ..strangers.rate_limit import LogLimit
from .output import Shown, host_port, tell

_NAMES: Final = {"json": "JSON", "msgpack": "MessagePack"}


def add_decode(parser: ArgumentParser) -> None:
    """Add ``--decode``; see :class:`Decoder`."""
    parser.add_argument(
        "--decode",
        choices=_NAMES,
        help='messages whose payload is that, shown as JSON (in JSON as "value", in place of "data"); others are told '
        "on standard error, a line a second at most",
    )


class Decoder:
    """Decodes payloads, and reports those that cannot be decoded.

    Args:
        format: ``"json"`` or ``"msgpack"``.
    """

    def __init__(self, format: str) -> None:
        self._format = format
        self._log = LogLimit(tell)

    @classmethod
    def of(cls, options: Namespace) -> Self | None:
        """The decoder that ``--decode`` asks for; None without it."""
        return None if options.decode is None else cls(options.decode)

    def with_value(self, shown: Shown) -> Shown | None:
        """``shown`` with its decoded value; None if it cannot be decoded."""
        value = json_line_or_none(shown.payload, self._format)
        if value is not None:
            return shown._replace(value=value)
        self._log.log(self._format, lambda: f"a message of {host_port(shown.message.sender)} is no {self._name}")
        return None

    @property
    def _name(self) -> str:
        return _NAMES[self._format]
