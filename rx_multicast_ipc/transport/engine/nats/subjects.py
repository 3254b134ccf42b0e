"""What stands in which subject.

    rx.<group>.<port>.<session>.<n>                        to the group; the sender is the end of it
    rx.to.<session>.<n>.<sender's session>.<sender's n>    to one end alone
    _rx.<session>.ack.<n>.<number>                         where a stream acknowledges
    _rx.<session>.<name>                                   where the server answers a request
    _rxh.<session>.<n>                                     where a stream brings what it kept
    _rxn.<number>, _rxn.<session>.<n>.<number>             a running number in the place of a reply; nobody listens

A message's running number is the last token of its reply subject: a header would cost more than twice as much. A stream
answers each message that has a reply subject, to that subject; so it is one of its own, not the sender's address.
"""

from __future__ import annotations

from typing import Final

from ....group import Group
from ....message import Address

NUMBER: Final = b"_rxn."


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


def sender_in(subject: str) -> Address | None:
    """The sender that a subject ends with; None if it does not."""
    head, _, number = subject.rpartition(".")
    session = head.rpartition(".")[2]
    if not session or not number.isascii() or not number.isdigit() or len(number) > 5:
        return None
    return session, int(number) if int(number) < 65_536 else 0


def number_in(reply: bytes) -> int | None:
    """The running number that a reply subject ends with; None for that of a stranger."""
    if not reply.startswith((NUMBER, b"_rx.")):
        return None
    number = reply[len(NUMBER) :]
    if not number.isdigit():
        number = number.rpartition(b".")[2]
    return int(number) if number.isdigit() and len(number) < 20 else None


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
