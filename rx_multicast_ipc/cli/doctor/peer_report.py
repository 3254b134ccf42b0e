"""What one machine tells another of what it heard of it, as JSON in a datagram::

    {"rx-multicast-ipc":"report","id":"0a1b2c3d","of":"9f86d081","first":1,"last":50,"heard":49,"sent":51}

``heard`` of the pings ``first`` to ``last`` of the asker ``of`` arrived; ``sent`` is how many the teller sent itself.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ...strangers.decoding import decode_or_none
from ..ping_protocol import Count, Identity

_BEGINS: Final = b'{"rx-multicast-ipc":"report",'


class Report(msgspec.Struct, frozen=True):
    """How many of another end's pings one end heard. See the module."""

    id: Identity
    of: Identity
    first: Count
    last: Count
    heard: Count
    sent: Count

    def __post_init__(self) -> None:
        if self.heard > (self.last - self.first + 1 if self.last else 0):
            raise ValueError("more was heard than there was")


_decode: Final = msgspec.json.Decoder(Report).decode


def encode_report(report: Report) -> bytes:
    return _BEGINS + msgspec.json.encode(report)[1:]


def decode_report(data: bytes) -> Report | None:
    """The report in a datagram of anybody; None for anything else."""
    return decode_or_none(_decode, data) if data.startswith(_BEGINS) else None
