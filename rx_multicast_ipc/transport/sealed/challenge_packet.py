"""The packet by which ends prove to each other that they are there now: a record to bytes, and back. Pure.

    0   16      header of kind 9; flag 1: the end that answers has the address it was seen at; all else 0
    16  16      challenge: random, to be sent back by whoever is new; 0 if none is asked
    32  16      answer: the challenge of the one that it goes to; 0 if it answers none
    48  8       with a challenge: for how long the sender has listened, in microseconds
    56  8       with an answer: the counter of the first datagram that the other may hear
    64          with a challenge: at which address the sender sees the one that it goes to: text, 255 bytes at most

One with neither goes to the group, and says that an end was opened. All others are sealed for one session.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

KIND: Final = 9
NONCE_SIZE: Final = 16
NO_NONCE: Final = bytes(NONCE_SIZE)
_MAGIC: Final = b"\xf5"
_REST: Final = bytes(14)
_IS_THERE: Final = 1
_SEEN_AT_START: Final = 64
LONGEST_SEEN_AT: Final = 255
_TIMES: Final = Struct("!QQ")
_MOST: Final = (1 << 64) - 1


class Challenge(NamedTuple):
    """A challenge, an answer to one, or both.

    Attributes:
        challenge: what the one it goes to is to send back; zeros for nothing.
        answer: what that one asked to be sent back; zeros for nothing.
        listens: seconds for which the end that asks has listened.
        first: the counter of the first datagram that was sent since the end that is answered has listened.
        seen_at: the address at which the end that asks sees the one that is to answer, as ``end_text`` writes it.
        is_there: whether the end that answers has the address it was seen at itself, and is not behind a relay.
    """

    challenge: bytes = NO_NONCE
    answer: bytes = NO_NONCE
    listens: float = 0.0
    first: int = 0
    seen_at: bytes = b""
    is_there: bool = False

    @property
    def asks(self) -> bool:
        return self.challenge != NO_NONCE

    @property
    def answers(self) -> bool:
        return self.answer != NO_NONCE


def is_challenge(packet: bytes) -> bool:
    """Whether it is of this kind, sound or not."""
    return packet[:1] == _MAGIC and len(packet) > 1 and packet[1] >> 4 == KIND


def pack(challenge: Challenge) -> bytes:
    listens = min(max(int(challenge.listens * 1e6), 0), _MOST)
    kind = bytes([KIND << 4 | _IS_THERE * challenge.is_there])
    head = _MAGIC + kind + _REST + challenge.challenge + challenge.answer
    return head + _TIMES.pack(listens, challenge.first) + challenge.seen_at[:LONGEST_SEEN_AT]


def parse(packet: bytes) -> Challenge | None:
    """The record of a packet; None if it is not sound."""
    size = len(packet)
    if not is_challenge(packet) or not _SEEN_AT_START <= size <= _SEEN_AT_START + LONGEST_SEEN_AT:
        return None
    flags = packet[1] & 15
    if flags & ~_IS_THERE or packet[2:16] != _REST:
        return None
    listens, first = _TIMES.unpack_from(packet, 48)
    seen_at = packet[_SEEN_AT_START:]
    return Challenge(packet[16:32], packet[32:48], listens / 1e6, first, seen_at, bool(flags))
