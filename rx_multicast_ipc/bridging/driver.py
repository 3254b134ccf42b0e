"""What drives a bridge: opens its ends, runs its timers, and tells its machine what happens."""

from __future__ import annotations

import logging
import threading
from functools import partial

from reactivex.scheduler import VirtualTimeScheduler

from ..channel_events import ChannelEvent
from ..channel_scheduler import clock_of
from ..errors import ChannelClosed, InvalidOption, SendFailed
from ..group import Group
from ..message import Message
from ..receiving.async_iteration import HotObservable
from ..receiving.state_source import StateSource
from ..transport.random_numbers import random_of
from .carrier import Carrier
from .end_table import EndTable
from .machine import BridgeMachine, ControlPackets
from .role_and_statistics import BridgeRole, BridgeStatistics
from .segment import OpensEnds
from .side import BridgeSide

_log = logging.getLogger("rx_multicast_ipc")


class BridgeDriver:
    """Joins two segments from now on, on threads of its own, until it is closed. It knows nothing of who holds it.

    Args:
        local, wide: open ends.
        ends, idle, takeover: as for :func:`bridge`.
    """

    def __init__(self, local: OpensEnds, wide: OpensEnds, ends: int, idle: float, takeover: float) -> None:
        self._lock = threading.RLock()  # a signal handler may close it while its thread does something
        self._closed = False
        self._fault: Exception | None = None
        self._sides: list[BridgeSide] = []
        try:
            for opens in (local, wide):
                self._sides.append(BridgeSide(opens, EndTable(ends, idle)))
            self._scheduler = self._sides[0].control.scheduler
            virtual = [isinstance(side.control.scheduler, VirtualTimeScheduler) for side in self._sides]
            if any(virtual) and self._scheduler is not self._sides[1].control.scheduler:
                raise InvalidOption(
                    "both sides of a bridge live in the same time: a virtual network has a clock of its own, so join "
                    "it to another one with the same scheduler"
                )
            self._now = clock_of(self._scheduler)
            ports = local.group.port, wide.group.port
            self._machine = BridgeMachine(ports, takeover, random_of(self._sides[0].control), self._now())
            self._roles: StateSource[BridgeRole] = StateSource(
                self._refusal, self._sides[0].control.call, f"roles of a bridge from {local.group}"
            )
            self._carrier = Carrier(self._sides, self._machine, self._lock, self._now, self._say)
            self._start()
        except BaseException:  # Ctrl-C, too
            self._closed = True
            for side in self._sides:
                for transport in side.transports:
                    transport.close(wait=False)
            raise

    @property
    def groups(self) -> tuple[Group, Group]:
        """What it joins."""
        local, wide = (side.opens.group for side in self._sides)
        return local, wide

    @property
    def is_virtual(self) -> bool:
        """Whether it lives in virtual time, where nothing is held open."""
        return isinstance(self._scheduler, VirtualTimeScheduler)

    @property
    def role(self) -> BridgeRole:
        """What it does at this moment."""
        return self._machine.role

    @property
    def roles(self) -> HotObservable[BridgeRole]:
        """What it does: the role that it has now, then each new one; completes on close."""
        return self._roles

    @property
    def statistics(self) -> BridgeStatistics:
        """What was counted since it was opened."""
        with self._lock:
            local, wide = (side.totals for side in self._sides)
            machine = self._machine
            return BridgeStatistics(
                to_wide=wide.sent,
                to_wide_bytes=wide.sent_bytes,
                to_local=local.sent,
                to_local_bytes=local.sent_bytes,
                refused=local.refused + wide.refused,
                dropped=local.dropped
                + wide.dropped
                + sum(side.listener.statistics.dropped or 0 for side in self._sides),
                missed=machine.missed,
                unanswerable=self._carrier.unanswerable,
                looped=machine.looped,
                ends=sum(len(side.ends) for side in self._sides),
                takeovers=machine.takeovers,
            )

    @property
    def closed(self) -> bool:
        """Whether it was closed, or a fault did so."""
        return self._closed or self._sides[0].control.closed

    def close(self, *, wait: bool = True) -> None:
        """Close it, and let another bridge take over at once; idempotent, from any thread.

        Args:
            wait: return only when everything it held is closed.
        """
        with self._lock:
            first, self._closed = not self._closed, True
            self._carrier.stopped = True
            farewell = self._machine.farewell() if first else []
        self._say(farewell)
        transports = [transport for side in self._sides for transport in side.transports]
        for transport in transports:
            transport.close(wait=False)
        if wait:
            for transport in transports:
                transport.close()

    def _refusal(self) -> Exception | None:
        return ChannelClosed() if self.closed else None

    def _start(self) -> None:
        self._roles_told = self.role
        self._roles.put(self._roles_told)
        for number, side in enumerate(self._sides):
            self._machine.has_end(number, side.shared, side.shared.transport.own_addresses, (self._machine.number,))
            on_control = partial(self._hear_control, number)
            changed = partial(self._on_changed, number)
            ended = self._on_control_ended if number == 0 else self._on_ended
            side.control.start(on_control, ended, changed)
            side.listener.start(partial(self._carrier.hear, number), self._on_ended, changed)
        self._scheduler.schedule(self._tick)

    # Deciding who carries.

    def _tick(self, _scheduler: object, _state: object) -> None:
        now = self._now()
        with self._lock:
            if self._closed:
                return
            packets = self._machine.tick(now)
            self._carrier.expire(now)
        self._scheduler.schedule_relative(self._machine.timing.tick, self._tick)
        self._say(packets)
        self._tell()

    def _hear_control(self, number: int, batch: list[Message]) -> None:
        with self._lock:
            if self._closed:
                return
            packets = [
                packet
                for message in batch
                if not message.direct
                for packet in self._machine.hear_control(number, message.data, self._now())
            ]
        self._say(packets)
        self._sides[0].control.call(self._tell)

    def _say(self, packets: ControlPackets) -> None:
        for number, packet in packets:
            try:
                self._sides[number].control.send(packet)
            except (SendFailed, ChannelClosed) as error:  # while that side is away, others hear nothing of it
                _log.debug("a bridge could not speak on %s: %s", self._sides[number].opens.group, error)

    def _tell(self) -> None:
        """Tell of a new role; on the I/O thread of the local side's control end."""
        role = self.role
        if role is self._roles_told:
            return
        self._roles_told = role
        local, wide = self.groups
        if role is BridgeRole.LOOP:
            _log.warning("%s and %s are one and the same segment, so there is nothing to carry", local, wide)
        else:
            _log.info("the bridge of %s and %s is %s", local, wide, role)
        self._roles.put(role)

    # What happens to its listeners.

    def _on_changed(self, number: int, _event: ChannelEvent) -> None:
        self._carrier.on_addresses_changed(number)

    def _on_ended(self, fault: Exception | None) -> None:
        if not self._closed:
            self._fault = self._fault or fault
            self.close(wait=False)

    def _on_control_ended(self, fault: Exception | None) -> None:
        self._on_ended(fault)
        self._roles.end(self._fault)
