"""What a sealed datagram looks like from outside, where no key is needed to see it.

0   F6      no byte of UTF-8 text, and no packet of an unsealed channel
1   3       hint of the key
4   12      salt: random, of one opening of a channel; anew after a fork
16  8       counter: of the datagrams sealed with this salt, from 1; big-endian, below 2**48
24          AES-256-GCM of a packet, and its tag of 16 bytes
"""

from __future__ import annotations

from typing import Final

MAGIC: Final = b"\xf6"
PREFIX_SIZE: Final = 16
"""Bytes that all datagrams of one salt begin with."""

HEADER_SIZE: Final = 24
SALT_SIZE: Final = 12
TAG_SIZE: Final = 16
OVERHEAD: Final = HEADER_SIZE + TAG_SIZE
"""Bytes that sealing adds to a packet."""

MESSAGE_OVERHEAD: Final = OVERHEAD + 16
"""Bytes that a datagram has beside the one message in it, on a channel that repairs nothing."""

COUNTER_LIMIT: Final = 1 << 48
"""Counters are below it; then a new salt begins."""


def looks_sealed(datagram: bytes) -> bool:
    """Whether it claims to be sealed; one of 16 million random datagrams does."""
    return len(datagram) >= OVERHEAD and datagram[:1] == MAGIC and datagram[16:18] == b"\0\0"


def hint_of(datagram: bytes) -> str:
    """The hint of the key of a datagram that looks sealed."""
    return datagram[1:4].hex()
