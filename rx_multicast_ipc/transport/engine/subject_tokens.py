"""Senders and topics as tokens of subjects and of keys, whatever stands between tokens there."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from ...message import Address
from ...validation.topic_name import ONE_LEVEL, REST


def sender_of(tokens: Sequence[str]) -> Address | None:
    """The sender whose session and number are the last two; None if they are not."""
    if len(tokens) < 2 or not tokens[-2]:
        return None
    session, number = tokens[-2:]
    if not number.isascii() or not number.isdigit() or len(number) > 5:
        return None
    return session, int(number) if int(number) < 65_536 else 0


def levels_of(topic: str) -> list[str]:
    """The levels of a topic's name, or of a pattern, as they stand in subjects and keys.

    Letters, digits, ``_``, ``-`` and ``~`` of ASCII are themselves; every other byte of UTF-8 is ``%`` and two
    hexadecimal digits, for dots and blanks divide subjects, and engines have wildcards of their own.
    """
    return [
        level if level in (ONE_LEVEL, REST) else quote(level, safe="").replace(".", "%2E") for level in topic.split("/")
    ]
