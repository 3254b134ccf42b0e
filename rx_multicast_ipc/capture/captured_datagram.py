"""What a capture holds of one datagram."""

from __future__ import annotations

from typing import NamedTuple

from ..message import Address, Message


class Datagram(NamedTuple):
    """One UDP datagram of a capture.

    Attributes:
        message: who sent what, and when it was captured.
        destination: the numeric address and the UDP port that it was sent to.
    """

    message: Message
    destination: Address
