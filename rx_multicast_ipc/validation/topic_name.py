"""Names of topics, and how a name stands in a datagram: ``name\\0payload``, the name as UTF-8."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from ..errors import InvalidTopic
from ..validation.arguments import shown

LONGEST_NAME: Final = 128
"""Bytes of UTF-8."""

ONE_LEVEL: Final = "*"
REST: Final = "**"

_EXAMPLE: Final = 'a topic\'s name has levels between "/", such as "robot/pose"'


def check_name(name: str) -> bytes:
    """``name`` as UTF-8; raises ``InvalidTopic`` for what is no topic's name."""
    encoded = check_levels(name)
    if ONE_LEVEL in name:
        raise InvalidTopic(
            f'"*" stands in patterns, and {name!r} is to be the name of one topic; '
            f"leave it out, or look at all topics that match with channel.topics({name!r})"
        )
    return encoded


def name_end(data: bytes) -> int:
    """How long the name is that ``data`` begins with; 0 or less for a datagram of no topic."""
    return data.find(0, 0, LONGEST_NAME + 1)


def read_name(name: bytes) -> str | None:
    """The name as text; None for what cannot be a topic's, so that a stranger's bytes are no topic by chance."""
    try:
        text = name.decode()
        check_name(text)
    except (UnicodeDecodeError, InvalidTopic):
        return None
    return text


def split_topic(data: bytes) -> tuple[str, bytes]:
    """The topic's name, for people, and the payload; ``""`` and all of it for a datagram of no topic.

    Names that hold what is not printable are none here: more likely the datagram is something else.
    """
    end = name_end(data)
    name = _printable_name(data[:end]) if end > 0 else None
    return (name, data[end + 1 :]) if name is not None else ("", data)


@lru_cache(1024)
def _printable_name(name: bytes) -> str | None:
    text = read_name(name)
    return text if text is not None and text.isprintable() else None


def check_levels(name: str) -> bytes:
    """``name``, or a pattern, as UTF-8; raises ``InvalidTopic`` where its levels cannot be those of either."""
    if not isinstance(name, str):
        raise InvalidTopic(f"{_EXAMPLE}; {shown(name)} is no text")
    if not name:
        raise InvalidTopic(f"{_EXAMPLE}; it cannot be empty")
    if "\0" in name:
        raise InvalidTopic(f"{shown(name)} holds a NUL, which ends a topic's name in a datagram; leave it out")
    try:
        encoded = name.encode()
    except UnicodeEncodeError as error:
        raise InvalidTopic(f"{shown(name)} is text that UTF-8 cannot encode: {error}") from error
    if len(encoded) > LONGEST_NAME:
        raise InvalidTopic(
            f"a topic's name has at most {LONGEST_NAME} bytes of UTF-8, and {name[:32]!r}... has {len(encoded)}; "
            "shorten it, or put what varies into the payload"
        )
    if "" in name.split("/"):
        raise InvalidTopic(
            f'{name!r} has a level without a name; "/" stands between levels alone: {_without_empty_levels(name)}'
        )
    return encoded


def _without_empty_levels(name: str) -> str:
    return repr("/".join(level for level in name.split("/") if level) or "robot/pose")
