"""What is put around whole packets on their way out, and taken off on their way in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from ...message import Address, Message
from ...option_values.key import Keys

if TYPE_CHECKING:
    from .packet_port import PacketPort


class Envelope(Protocol):
    """What is put around the packets of one opening of a channel.

    :meth:`wrap` is called with the lock of the channel's packets held, :meth:`open` on its I/O thread.
    """

    @property
    def overhead(self) -> int:
        """Bytes that it adds to every packet: always as many, so that equal packets stay GSO batches."""
        ...

    @property
    def settled_at(self) -> float:
        """Until when an end is to stay, for others may need it to open what it sent; as the channel's clock says."""
        ...

    def attach(self, port: PacketPort) -> None:
        """It is in use from now on: it sends packets of its own with ``port``; called once, before anything else."""
        ...

    def announce(self) -> None:
        """The end hears the group from now on; for ends that say so in no other way."""
        ...

    def wrap(self, packet: bytes, destination: Address | None) -> bytes:
        """The datagram for a packet that goes to one address or, with None, to the group. A repair is a new one."""
        ...

    def open(self, batch: list[Message]) -> list[Message]:
        """The packets in these datagrams, in order: some may be dropped or kept, and those kept earlier come with them.

        They are new records, which belong to the caller.

        What it drops, the envelope counts and tells of itself.
        """
        ...

    def change_keys(self, keys: Keys) -> None:
        """Seal with the first of these from now on, and open what was sealed with any of them; from any thread."""
        ...

    def counts(self) -> dict[str, Any]:
        """What it adds to the channel's statistics, by field."""
        ...
