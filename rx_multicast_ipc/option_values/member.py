"""One who is in a group, as presence tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from ..strangers.printable_text import printable


class Member(msgspec.Struct, frozen=True):
    """A channel that says who it is, with ``presence=``.

    Attributes:
        name: what it calls itself: printable, and no proof of anything, for everybody in the group may say so.
        address: where it speaks from: a numeric address.
        port: its port there. A message whose ``sender`` is (address, port) is from this member.
        about: what it says of itself; bytes that mean what the program says they mean.
        session: a random number that tells one opening of a channel from every other.
    """

    name: str
    address: str
    port: int
    about: bytes = b""
    session: int = 0

    @property
    def sender(self) -> tuple[str, int]:
        """``(address, port)``: where what is sent to this member alone goes."""
        return self.address, self.port

    def __repr__(self) -> str:
        about = f", about {self.about[:32]!r}{'...' if len(self.about) > 32 else ''}" if self.about else ""
        return f"<Member {printable(self.name)} at {printable(self.address)}:{self.port}{about}>"


def names_by_sender(members: Iterable[Member]) -> dict[tuple[str, int], str]:
    """What to call each sender: its name, and its address with it where another has the same name."""
    all_of_them = sorted(members, key=lambda member: member.sender)
    counts = Counter(member.name for member in all_of_them)
    return {
        member.sender: member.name if counts[member.name] == 1 else f"{member.name} {member.address}:{member.port}"
        for member in all_of_them
    }
