"""A transport around another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from ..channel_statistics import Statistics
from ..group import Group
from ..message import Address
from .base import Changed, Deliver, Ended, Transport

if TYPE_CHECKING:
    from random import Random


class TransportWrapper:
    """Passes everything on to the transport inside; a subclass says what differs.

    Args:
        transport: the one inside. It belongs to the wrapper from now on.
    """

    def __init__(self, transport: Transport) -> None:
        self.inner = transport

    @property
    def group(self) -> Group:
        return self.inner.group

    @property
    def sender_address(self) -> Address:
        return self.inner.sender_address

    @property
    def own_addresses(self) -> frozenset[Address]:
        return self.inner.own_addresses

    @property
    def payload_limit(self) -> int:
        return self.inner.payload_limit

    @property
    def random(self) -> Random | None:
        """As :func:`~.random_numbers.random_of` looks for it."""
        return getattr(self.inner, "random", None)

    @property
    def scheduler(self) -> PeriodicScheduler:
        return self.inner.scheduler

    @property
    def statistics(self) -> Statistics:
        return self.inner.statistics

    @property
    def closed(self) -> bool:
        return self.inner.closed

    @property
    def ended(self) -> bool:
        return self.inner.ended

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        self.inner.start(deliver, ended, changed)

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        self.inner.send(payload, destination)

    def check_destination(self, address: str) -> str | None:
        return self.inner.check_destination(address)

    def look_up(self, name: str) -> str:
        return self.inner.look_up(name)

    def send_many(self, payloads: Sequence[bytes]) -> None:
        self.inner.send_many(payloads)

    def when_writable(self, action: Callable[[], None]) -> None:
        self.inner.when_writable(action)

    def call(self, action: Callable[[], None]) -> None:
        self.inner.call(action)

    def close(self, *, wait: bool = True) -> None:
        self.inner.close(wait=wait)
