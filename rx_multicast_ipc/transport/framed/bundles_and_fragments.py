"""What DATA packets hold: one message, several small ones, or a part of a large one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from struct import Struct, iter_unpack
from typing import Final

from .packets import BUNDLE, EQUAL, WHOLE, Data, MalformedPacket

LENGTH_SIZE: Final = 8
"""Bytes of the total length in the first fragment of a message."""

MOST_IN_BUNDLE: Final = 0xFFFF
"""Messages in one packet, and bytes of one of them."""

_MOST_ALIKE: Final = 512
"""Messages in a bundle that are unpacked by a format of their own, which is kept: it takes 32 bytes for each."""

_LENGTH: Final = Struct("!Q")


@lru_cache(maxsize=64)
def _alike(size: int, count: int) -> Struct:
    """So many messages of one size, one after the other."""
    return Struct(f"{size}s" * count)


def whole_body(messages: Sequence[bytes]) -> tuple[int, int, bytes]:
    """The flags, count and body of a packet that holds these messages whole: one, or several that fit."""
    count, first = len(messages), len(messages[0])
    if count == 1:
        return WHOLE, 1, messages[0]
    if first and all(len(message) == first for message in messages):
        return EQUAL, count, b"".join(messages)
    parts: list[bytes] = []
    for message in messages:
        parts += (len(message).to_bytes(2), message)
    return BUNDLE, count, b"".join(parts)


def bundled(messages: Sequence[bytes], size: int) -> list[Sequence[bytes]]:
    """Messages in a row that go together into a body of ``size`` bytes; larger ones are alone."""
    first = len(messages[0])
    if first and all(len(message) == first for message in messages):
        count = min(max(1, size // first), MOST_IN_BUNDLE)
        return [messages[start : start + count] for start in range(0, len(messages), count)]
    bundles: list[Sequence[bytes]] = []
    start = filled = 0
    for end, message in enumerate(messages):
        needs = len(message) + 2
        if end > start and (filled + needs > size or end - start >= MOST_IN_BUNDLE):
            bundles.append(messages[start:end])
            start, filled = end, 0
        filled += needs
    bundles.append(messages[start:])
    return bundles


def first_fragment(total: int, part: bytes) -> bytes:
    """The body of the first fragment of a message of ``total`` bytes."""
    return _LENGTH.pack(total) + part


def length_in(body: bytes) -> int:
    """The length of the whole message, from the body of its first fragment."""
    return _LENGTH.unpack_from(body)[0]


def messages_of(data: Data) -> list[bytes]:
    """The messages that a packet holds whole; raises ``MalformedPacket`` where its lengths contradict each other."""
    flags, count, body = data.flags, data.message_count, data.body
    if flags == WHOLE:
        return [body]
    if flags == EQUAL:
        size = len(body) // count
        if count <= _MOST_ALIKE:
            return [*_alike(size, count).unpack(body)]
        return [*chain.from_iterable(iter_unpack(f"{size}s", body))]
    messages: list[bytes] = []
    at, end = 0, len(body)
    while at + 2 <= end:
        start = at + 2
        at = start + (body[at] << 8 | body[at + 1])
        messages.append(body[start:at])
    if at != end or len(messages) != count:
        raise MalformedPacket("lengths in a bundle contradict each other")
    return messages
