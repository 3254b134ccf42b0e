"""The packet by which ends prove to each other that they are there now: bytes and back. Pure.

    0   16      header of kind 9, all else 0
    16  16      challenge: random, to be sent back by whoever is new; 0 if none is asked
    32  16      answer: the challenge of the one that it goes to; 0 if it answers none
    48  8       with a challenge: since when the sender listens, in microseconds before now
    56  8       with an answer: the counter with which what the other may hear begins

One with neither goes to the group, and says that an end was opened.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

KIND: Final = 9
NONCE_SIZE: Final = 16
NO_NONCE: Final = bytes(NONCE_SIZE)
_HEADER: Final = bytes([0xF5, KIND << 4]) + bytes(14)
_TIMES: Final = Struct("!QQ")
_MOST: Final = (1 << 64) - 1


class Challenge(NamedTuple):
    """A challenge, an answer to one, or both.

    Attributes:
        challenge: what the one it goes to is to send back; zeros for nothing.
        answer: what that one asked to be sent back; zeros for nothing.
        listens: seconds for which who asks has been there.
        first: the counter of the first datagram that was sent since who is answered has been there.
    """

    challenge: bytes = NO_NONCE
    answer: bytes = NO_NONCE
    listens: float = 0.0
    first: int = 0

    @property
    def asks(self) -> bool:
        return self.challenge != NO_NONCE

    @property
    def answers(self) -> bool:
        return self.answer != NO_NONCE


def is_challenge(packet: bytes) -> bool:
    """Whether it is of this kind, sound or not."""
    return packet[1:2] == _HEADER[1:2] and packet[:1] == _HEADER[:1]


def pack(challenge: Challenge) -> bytes:
    listens = min(max(int(challenge.listens * 1e6), 0), _MOST)
    return _HEADER + challenge.challenge + challenge.answer + _TIMES.pack(listens, challenge.first)


def parse(packet: bytes) -> Challenge | None:
    """The record of a packet; None if it is not sound."""
    if len(packet) != len(_HEADER) + 2 * NONCE_SIZE + _TIMES.size or not packet.startswith(_HEADER):
        return None
    listens, first = _TIMES.unpack_from(packet, 48)
    return Challenge(packet[16:32], packet[32:48], listens / 1e6, first)
