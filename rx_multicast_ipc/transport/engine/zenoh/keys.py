"""What stands in which key expression.

    rx/<group>/<port>/<session>/<n>                        to the group; the sender is the end of it
    rx/to/<session>/<n>/<sender's session>/<sender's n>    to one end alone
    rx/here/<group>/<port>/<session>/<n>                   a liveliness token: the end is there

The message's running number is its attachment: 8 bytes, big-endian.
"""

from __future__ import annotations

from ....group import Group
from ....message import Address


def of_group(group: Group) -> str:
    """What all keys of a group begin with."""
    return f"rx/{group.address.replace('.', '-').replace(':', '-')}/{group.port}"


def of_sender(group: Group, sender: Address) -> str:
    """Where an end sends to its group."""
    return f"{of_group(group)}/{sender[0]}/{sender[1]}"


def of_life(group: Group) -> str:
    """What the keys of the liveliness tokens of a group begin with."""
    return f"rx/here{of_group(group)[2:]}"


def of_one(destination: Address, sender: Address) -> str:
    """Where an end sends to another one alone."""
    return f"rx/to/{destination[0]}/{destination[1]}/{sender[0]}/{sender[1]}"


def sender_in(key: str) -> Address | None:
    """The sender that a key ends with; None if it does not."""
    head, _, number = key.rpartition("/")
    session = head.rpartition("/")[2]
    if not session or not number.isascii() or not number.isdigit() or len(number) > 5:
        return None
    return session, int(number) if int(number) < 65_536 else 0


def number_in(attachment: bytes | None) -> int | None:
    """The running number in an attachment; None for that of a stranger."""
    return int.from_bytes(attachment) if attachment is not None and len(attachment) == 8 else None
