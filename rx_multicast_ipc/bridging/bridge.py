"""A bridge: joins two segments, so that who is on one hears and answers who is on the other."""

from __future__ import annotations

import warnings
from types import TracebackType
from typing import Final, Self

from ..errors import InvalidOption
from ..receiving.async_iteration import HotObservable
from ..validation.arguments import check_count, check_seconds, shown
from ..validation.not_copied import NotCopied
from .driver import BridgeDriver
from .role_and_statistics import BridgeRole, BridgeStatistics
from .segment import OpensEnds, Segment

_LEAST_TAKEOVER: Final = 0.1
"""Seconds: within less, a scheduler's pause looks like the end of a process."""

_MOST_ENDS: Final = 65_536


class Bridge(NotCopied):
    """Joins two segments. Made by :func:`bridge`; a context manager that closes it at the end.

    Every sender of one side has an end on the other, which its messages come from there, and to which replies go: as a
    NAT does it (RFC 4787). Datagrams cross as they are, packets of reliable channels as well.
    """

    def __init__(self, driver: BridgeDriver) -> None:
        self._driver = driver

    @property
    def role(self) -> BridgeRole:
        """What it does at this moment."""
        return self._driver.role

    @property
    def roles(self) -> HotObservable[BridgeRole]:
        """What it does: the role that it has now, then each new one; completes on close."""
        return self._driver.roles

    @property
    def statistics(self) -> BridgeStatistics:
        """What was counted since it was opened."""
        return self._driver.statistics

    @property
    def closed(self) -> bool:
        """Whether it was closed, or a fault did so."""
        return self._driver.closed

    def close(self, *, wait: bool = True) -> None:
        """Close it, and let another bridge take over at once; idempotent, from any thread.

        Args:
            wait: return only when everything it held is closed.
        """
        self._driver.close(wait=wait)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        driver: BridgeDriver | None = getattr(self, "_driver", None)
        if driver is not None and not driver.closed and not driver.is_virtual:  # where nothing could leak
            warnings.warn(
                f"{self!r} was forgotten without being closed, so it goes on to the end of the process; "
                "use it in a with block, or keep it and call close()",
                ResourceWarning,
                stacklevel=2,
                source=self,
            )

    def __repr__(self) -> str:
        local, wide = self._driver.groups
        return f"<Bridge of {local} and {wide}, {'closed' if self.closed else self.role}>"


def bridge(
    local: Segment,
    wide: Segment,
    *,
    port: int | None = None,
    group: str | None = None,
    ends: int = 100,
    idle: float = 300.0,
    takeover: float = 0.8,
) -> Bridge:
    """Join two segments: who is on one hears who is on the other, and can answer.

        with ipc.bridge("eth0", "nats://hub:4222"):
            ...

    Any number of bridges may join the same two segments: one of them carries, and the others take over if it ends. In
    rings of segments, too, nothing goes round (IEEE 802.1D), as long as bridges hear each other on their port
    (UDP 61087, in the same group). Datagrams cross as they are: raw ones, those of reliable channels, and sealed ones,
    for which a bridge needs no key, but both sides the same group and port.

    Args:
        local, wide: the two; which is which matters for statistics alone. An interface (``"eth0"``, ``"loopback"``), an
            engine or its URL, on ``port`` and ``group``; or a :class:`Group`; or a channel, for its group on its
            network, such as a virtual one. The channel itself stays as it is.
        port, group: as for :func:`open_channel`.
        ends: senders of each side that are stood in for at a time, each with a transport of its own: a thread and
            four descriptors (``ulimit -n``). Beyond that, messages of new senders are carried, but cannot be answered.
        idle: seconds without a message after which an end is given back (RFC 4787 asks for 120 at least).
        takeover: seconds within which another bridge carries, the same for all that may meet, 0.1 at least. Where it is
            shorter than the pauses of a busy machine, it costs what it should prevent.

    Raises:
        InvalidPort, InvalidGroup, InvalidInterface, InvalidOption: a mistake in the call.
        CannotOpen: as for :func:`open_channel`.
    """
    joined = OpensEnds.of("local", local, port, group), OpensEnds.of("wide", wide, port, group)
    if joined[0] == joined[1]:
        raise InvalidOption(f"a bridge joins two segments, and both of these are {joined[0].group}")
    check_count("ends", ends, "senders", _MOST_ENDS)
    check_seconds("idle", idle)
    if check_seconds("takeover", takeover) < _LEAST_TAKEOVER:
        raise InvalidOption(f"takeover is a number of seconds, {_LEAST_TAKEOVER} at least, not {shown(takeover)}")
    return Bridge(BridgeDriver(*joined, ends, idle, takeover))
