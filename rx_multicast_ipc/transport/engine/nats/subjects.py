"""What stands in which subject.

    rx.<group>.<port>.<session>.<n>                        to the group, by the end <n> of a session
    rx.<group>.<port>.<session>.<n>.<level>...             the same, to a topic (see ``subject_tokens.py``)
    rx.to.<session>.<n>.<sender's session>.<sender's n>    to one end alone
    _rx.<session>.ack.<n>.<identity>.<number>              where a stream acknowledges
    _rx.<session>.<name>                                   where the server answers a request
    _rxh.<session>.<n>                                     where a stream brings what it kept
    _rxn.<number>, _rxn.<session>.<n>.<number>             a running number in the place of a reply; nobody listens
    _rxn.<others>.<number>, ....ack....<others>.<number>   the same of a message to a topic

A message's running number is the last token of its reply subject: a header would cost more than twice as much. A stream
answers each message that has a reply subject, to that subject; so it is one of its own, not the sender's address.
Who hears some topics alone is not sent the others, so that number does not tell what is missing. The token before it
does: the difference of both numbers the messages of each topic without a gap. It is ``-`` where those of a topic begin.
"""

from __future__ import annotations

from typing import Final

from ....group import Group
from ....message import Address
from ....validation.topic_name import REST
from ..subject_tokens import levels_of, sender_of

NUMBER: Final = b"_rxn."

BEGINS: Final = b"-"
"""Stands for how much the number exceeds the one within the topic, where the two are the same and the latter begin."""


def of_group(group: Group) -> str:
    """What all subjects of a group begin with."""
    address = group.address.replace(".", "-")
    return f"rx.{address}.{group.port}"


def of_sender(group: Group, sender: Address) -> str:
    """Where an end sends to its group."""
    return f"{of_group(group)}.{sender[0]}.{sender[1]}"


def of_one(destination: Address, sender: Address) -> str:
    """Where an end sends to another one alone."""
    return f"rx.to.{destination[0]}.{destination[1]}.{sender[0]}.{sender[1]}"


def of_topic(group: Group, sender: Address, topic: str) -> str:
    """Where an end publishes to a topic."""
    return ".".join((of_sender(group, sender), *levels_of(topic)))


def of_topics(group: Group, pattern: str) -> tuple[str, ...]:
    """What to subscribe to for all topics that match; nothing comes by two of them."""
    *levels, last = (f"{of_group(group)}.*.*", *levels_of(pattern))
    if last != REST:
        return (".".join((*levels, last)),)
    rest = ".".join((*levels, ">"))
    return (rest,) if len(levels) == 1 else (".".join(levels), rest)


def sender_to_group(subject: str) -> Address | None:
    """The sender of what was sent to a group, or to a topic in it; None for a stranger."""
    return sender_of(subject.split(".", 5)[:5])


def sender_in(subject: str) -> Address | None:
    """The sender that a subject ends with; None if it does not."""
    return sender_of(subject.rsplit(".", 2))


def number_in(reply: bytes) -> int | None:
    """The running number that a reply subject ends with; None for that of a stranger."""
    if not reply.startswith((NUMBER, b"_rx.")):
        return None
    number = reply[len(NUMBER) :]
    if not number.isdigit():
        number = number.rpartition(b".")[2]
    return int(number) if number.isdigit() and len(number) < 20 else None


def number_in_topic(reply: bytes) -> int | None:
    """The number of a message within its topic, that a reply subject ends with; None for that of a stranger.

    As :meth:`..running_numbers.RunningNumbers.missing_before` takes it.
    """
    number = number_in(reply)
    others = reply.rpartition(b".")[0].rpartition(b".")[2]
    if others == BEGINS:
        return None if number is None else -number
    return number - int(others) if number is not None and others.isdigit() and len(others) < 20 else None


def is_whole_group(filter: str) -> bool:
    """Whether a subscription brings all of one group, and nothing else."""
    tokens = filter.split(".")
    return len(tokens) == 4 and tokens[0] == "rx" and tokens[3] == ">"


def matches(filter: str, subject: str) -> bool:
    """Whether a subscription to ``filter`` brings ``subject``."""
    wanted, tokens = filter.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(tokens) <= len(wanted):
            return False
        tokens = tokens[: len(wanted)]
    return len(wanted) == len(tokens) and all(a in ("*", b) for a, b in zip(wanted, tokens, strict=True))
