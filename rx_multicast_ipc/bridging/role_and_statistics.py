"""What a bridge tells of itself."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class BridgeRole(StrEnum):
    """What a bridge does.

    Attributes:
        LISTENING: it is new, or was stopped for a while, and finds out which other bridges there are.
        CARRYING: it carries messages from each side to the other.
        STANDING_BY: another bridge does; this one counts what is not carried, and takes over.
        LOOP: its two sides are one and the same segment, so there is nothing to carry.
    """

    LISTENING = "listening"
    CARRYING = "carrying"
    STANDING_BY = "standing by"
    LOOP = "loop"


class BridgeStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What a bridge counted since it was opened.

    Attributes:
        to_wide, to_wide_bytes: messages that it sent on the wide side, direct ones among them, and their payloads.
        to_local, to_local_bytes: the same for the local side.
        refused: messages that the other side did not take: too large for it, or it was away.
        dropped: messages that came faster than they could be read or sent on.
        missed: messages that nobody carried while this bridge took over from another one, or was stopped, and that it
            heard; of the last 65 536. For bridges side by side this is exact as far as their networks lose nothing; in
            a ring of segments, it is at most so many.
        unanswerable: messages that were carried by an end that several senders share, because all ends were in use, so
            that a reply to them reaches nobody.
        looped: messages that had crossed this bridge before, and were not carried again.
        ends: senders that have an end on the other side at this moment.
        takeovers: how often it began to carry.
    """

    to_wide: int = 0
    to_wide_bytes: int = 0
    to_local: int = 0
    to_local_bytes: int = 0
    refused: int = 0
    dropped: int = 0
    missed: int = 0
    unanswerable: int = 0
    looped: int = 0
    ends: int = 0
    takeovers: int = 0
