"""What a bridge has open on one side, and what its ends have counted."""

from __future__ import annotations

from typing import NamedTuple

from ..transport import Transport
from .end import BridgeEnd
from .end_table import EndTable
from .segment import OpensEnds


class Totals(NamedTuple):
    """What ends have counted, as in :class:`BridgeEnd`."""

    sent: int = 0
    sent_bytes: int = 0
    refused: int = 0
    dropped: int = 0

    def plus(self, end: BridgeEnd) -> Totals:
        """With what an end has counted."""
        return Totals(
            self.sent + end.sent,
            self.sent_bytes + end.sent_bytes,
            self.refused + end.refused,
            self.dropped + end.dropped,
        )


class BridgeSide:
    """One side.

    Args:
        opens: what is opened there.
        ends: for senders of the other side; none yet.

    Attributes:
        listener: hears the group.
        control: talks to other bridges.
        shared: sends for those who have no end of their own.

    Raises:
        CannotOpen: as for :func:`open_channel`; nothing is left open then.
    """

    def __init__(self, opens: OpensEnds, ends: EndTable[BridgeEnd]) -> None:
        self.opens = opens
        self.ends = ends
        self._gone = Totals()
        opened: list[Transport] = []
        try:
            opened += [listener := opens.open_listener()]
            opened += [control := opens.open_control()]
            opened += [shared := opens.open_shared_end()]
        except BaseException:
            for transport in opened:
                transport.close(wait=False)
            raise
        self.listener, self.control = listener, control
        self.shared = BridgeEnd(shared, None)

    @property
    def transports(self) -> list[Transport]:
        """All that are open."""
        return [*(end.transport for end in self.ends), self.shared.transport, self.listener, self.control]

    @property
    def totals(self) -> Totals:
        """What its ends have counted, those that are gone as well."""
        totals = self._gone.plus(self.shared)
        for end in self.ends:
            totals = totals.plus(end)
        return totals

    def let_go(self, end: BridgeEnd) -> None:
        """An end is not in its table any more."""
        end.close()
        self._gone = self._gone.plus(end)
