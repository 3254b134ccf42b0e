"""The packet by which ends prove to each other that they are there now: bytes and back. Pure.

    0   16      header of kind 9, all else 0
    16  16      challenge: random, to be sent back by whoever is new; 0 if none is asked
    32  16      answer: the challenge of the one that it goes to; 0 if it answers none

One with neither goes to the group, and says that an end was opened.
"""

from __future__ import annotations

from typing import Final, NamedTuple

KIND: Final = 9
NONCE_SIZE: Final = 16
NO_NONCE: Final = bytes(NONCE_SIZE)
_HEADER: Final = bytes([0xF5, KIND << 4]) + bytes(14)


class Challenge(NamedTuple):
    """A challenge, an answer to one, or both.

    Attributes:
        challenge: what the one it goes to is to send back; zeros for nothing.
        answer: what that one asked to be sent back; zeros for nothing.
    """

    challenge: bytes = NO_NONCE
    answer: bytes = NO_NONCE

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
    return _HEADER + challenge.challenge + challenge.answer


def parse(packet: bytes) -> Challenge | None:
    """The record of a packet; None if it is not sound."""
    if len(packet) != len(_HEADER) + 2 * NONCE_SIZE or not packet.startswith(_HEADER):
        return None
    return Challenge(packet[16:32], packet[32:48])
