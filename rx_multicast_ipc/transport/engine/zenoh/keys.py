"""What stands in which key expression.

    rx/<group>/<port>/<session>/<n>                        to the group, by the end <n> of a session
    rx/<group>/<port>/<session>/<n>/<level>/...            the same, to a topic (see ``subject_tokens.py``)
    rx/to/<session>/<n>/<sender's session>/<sender's n>    to one end alone
    rx/here/<group>/<port>/<session>/<n>                   a liveliness token: the end is there

The message's running number is its attachment: 8 bytes, big-endian. To a topic, its number within the topic
follows: negative where these begin, with its running number.
"""

from __future__ import annotations

from typing import Final

from ....group import Group
from ....message import Address
from ....validation.topic_name import ONE_LEVEL, REST
from ..subject_tokens import levels_of, sender_of

_NUMBER: Final = 8
"""Bytes of a number."""


def of_group(group: Group) -> str:
    """What all keys of a group begin with."""
    return f"rx/{group.address.replace('.', '-').replace(':', '-')}/{group.port}"


def of_sender(group: Group, sender: Address) -> str:
    """Where an end sends to its group."""
    return f"{of_group(group)}/{sender[0]}/{sender[1]}"


def of_topic(group: Group, sender: Address, topic: str) -> str:
    """Where an end publishes to a topic."""
    return "/".join((of_sender(group, sender), *levels_of(topic)))


def of_topics(group: Group, pattern: str) -> str:
    """What to subscribe to for all topics that match."""
    levels = levels_of(pattern)
    if levels == [REST]:
        levels = [ONE_LEVEL, REST]  # else what is of no topic would match, too
    return "/".join((of_group(group), ONE_LEVEL, ONE_LEVEL, *levels))


def sender_to_group(key: str) -> Address | None:
    """The sender of what was sent to a group, or to a topic in it; None for a stranger."""
    return sender_of(key.split("/", 5)[:5])


def of_life(group: Group) -> str:
    """What the keys of the liveliness tokens of a group begin with."""
    return f"rx/here{of_group(group)[2:]}"


def of_one(destination: Address, sender: Address) -> str:
    """Where an end sends to another one alone."""
    return f"rx/to/{destination[0]}/{destination[1]}/{sender[0]}/{sender[1]}"


def sender_in(key: str) -> Address | None:
    """The sender that a key ends with; None if it does not."""
    return sender_of(key.rsplit("/", 2))


def number_in(attachment: bytes | None, *, by_topic: bool = False) -> int | None:
    """The running number in an attachment, or the one within the topic; None for that of a stranger."""
    if attachment is None or len(attachment) not in (_NUMBER, 2 * _NUMBER):
        return None
    if by_topic:
        return int.from_bytes(attachment[_NUMBER:], signed=True) if len(attachment) > _NUMBER else None
    return int.from_bytes(attachment[:_NUMBER])
