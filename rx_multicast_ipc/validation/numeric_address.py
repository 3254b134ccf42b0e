"""Numeric IP addresses, of both versions."""

from __future__ import annotations

import socket
from typing import Final, NamedTuple

from ..message import Family

_LOOPBACK6: Final = bytes(15) + b"\x01"
_MAPPED: Final = bytes(10) + b"\xff\xff"


class Ip(NamedTuple):
    """A numeric address: of the socket module, because ``ipaddress`` takes longer to load than to write this.

    Attributes:
        packed: its 4 or 16 bytes.
        scope: what stands behind ``%`` in an IPv6 address: an interface's name or index.
    """

    packed: bytes
    scope: str = ""

    @classmethod
    def parse(cls, text: str) -> Ip | None:
        """The address that ``text`` is, or None if it is none."""
        try:
            if ":" not in text:
                return cls(socket.inet_pton(socket.AF_INET, text))
            text, _, scope = text.partition("%")
            return cls(socket.inet_pton(socket.AF_INET6, text), scope)
        except (OSError, ValueError):  # ValueError: a NUL or what is no ASCII
            return None

    @property
    def family(self) -> Family:
        return "IPv4" if len(self.packed) == 4 else "IPv6"

    @property
    def is_multicast(self) -> bool:
        return self.packed[0] >> 4 == 0xE if len(self.packed) == 4 else self.packed[0] == 0xFF

    @property
    def may_be_broadcast(self) -> bool:
        """Whether a network, of four addresses or more, may have it for all of its hosts. Its interface knows."""
        return len(self.packed) == 4 and self.packed[3] & 3 == 3 and not self.is_loopback and self.packed[0] != 0

    @property
    def is_mapped(self) -> bool:
        """Whether it is an IPv4 address written as IPv6 (RFC 4291 section 2.5.5.2)."""
        return self.packed[:12] == _MAPPED

    @property
    def unmapped(self) -> str:
        """The IPv4 address that a mapped one is."""
        return str(Ip(self.packed[12:]))

    @property
    def is_loopback(self) -> bool:
        return self.packed[0] == 127 if len(self.packed) == 4 else self.packed == _LOOPBACK6

    def __str__(self) -> str:
        return socket.inet_ntop(socket.AF_INET if len(self.packed) == 4 else socket.AF_INET6, self.packed)
