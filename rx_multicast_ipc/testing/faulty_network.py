"""The live network with a bad link to each channel: loss, duplication, reordering, corruption, delay."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Unpack

import msgspec

from ..channel import Channel
from ..channel_options import ChannelOptions, complete, group_of, takes_channel_options
from ..group import Group
from ..transport import Hears, OpenTransport
from ..transport.opening import current, opened_by
from .faulty_link import CheckedFaults, FaultCounts, FaultOptions
from .faulty_transport import FaultyTransport


class FaultyNetwork:
    """The live network with a bad link to each of the channels opened here; others hear and send as ever.

        network = FaultyNetwork(loss=0.3, jitter=0.05, seed=1)
        with network.open_channel(61088) as channel:
            ...

    It opens transports the way :class:`~rx_multicast_ipc.transport.OpenTransport` says, each a :class:`FaultyTransport`
    with faults of its own: the seed and how many were opened before it choose them.

    Args:
        open_transport: opens what the faults are put around: by default, what the process opens anyway, live UDP.
        faults: see :class:`FaultOptions`.

    Raises:
        InvalidOption: a value out of its range.
    """

    def __init__(self, open_transport: OpenTransport | None = None, **faults: Unpack[FaultOptions]) -> None:
        self._options = CheckedFaults(**faults)
        self._open_transport = open_transport or current()
        self._transports: list[FaultyTransport] = []

    @property
    def faults(self) -> FaultCounts:
        """What was done to all of its channels so far."""
        return sum((transport.faults for transport in self._transports), FaultCounts())

    @property
    def has_names(self) -> bool:
        """Whether names can be looked up: as inside."""
        return getattr(self._open_transport, "has_names", True)

    def __call__(self, group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> FaultyTransport:
        seed = f"{self._options.seed} {len(self._transports)}" if self._transports else self._options.seed
        faults: Any = msgspec.structs.asdict(msgspec.structs.replace(self._options, seed=seed))
        transport = FaultyTransport(self._open_transport(group, options, hears), **faults)
        self._transports.append(transport)
        return transport

    @takes_channel_options
    def open_channel(
        self,
        port: int | None = None,
        group: str | None = None,
        **options: Unpack[ChannelOptions],
    ) -> Channel:
        """An ordinary channel. Errors as for :func:`rx_multicast_ipc.open_channel`.

        Args:
            port, group: as there.
            **options: see :class:`rx_multicast_ipc.ChannelOptions`.
        """
        checked = complete(options)
        return Channel(group_of(port, group, checked), self, checked)

    @contextmanager
    def this_process(self) -> Generator[None]:
        """Within the block this process has the bad link, without a change to what is tested.

        What calls :func:`messages`, :func:`open_channel` or :func:`with_socket` of the package gets channels of this
        network there. :func:`rx_multicast_ipc.send` sends to numeric addresses only.
        """
        with opened_by(self):
            yield
