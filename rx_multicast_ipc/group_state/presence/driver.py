"""Presence of one channel: timers and packets around :class:`.machine.PresenceMachine`, which knows the protocol."""

from __future__ import annotations

import logging
from collections.abc import Callable
from random import Random

from ...channel_events import Joined, Left
from ...channel_scheduler import clock_of, wall_clock_of
from ...message import Address, Message
from ...option_values.member import Member
from ...option_values.presence import Presence
from ...receiving.state_source import StateSource
from ...transport.framed.packet_port import PacketPort
from ...transport.framed.packets import ControlPacket
from ...transport.next_timer import NextTimer
from .machine import CAME, GOODBYE, MOST_MEMBERS, MOVED, SILENT, Outgoing, PresenceMachine
from .packet import PRESENCE, pack_presence, read_presence

_log = logging.getLogger("rx_multicast_ipc")


class PresenceDriver:
    """Announces a channel to the group, and knows the other members. All of it happens on the I/O thread.

    Args:
        packets: sends and receives its packets.
        presence: what it says.
        session: of this opening.
        random: draws the jitter.
        refusal: why nobody can subscribe now, or None.

    Attributes:
        members: who is there.
    """

    def __init__(
        self,
        packets: PacketPort,
        presence: Presence,
        session: int,
        random: Random,
        refusal: Callable[[], Exception | None],
    ) -> None:
        self._packets = packets
        transport = packets.transport
        scheduler = transport.scheduler
        self._now = clock_of(scheduler)
        self._wall = wall_clock_of(scheduler)
        self._machine = PresenceMachine(presence, session, transport.sender_address, random, self._now())
        self._timer = NextTimer(scheduler, self._go_on)
        self._over = self._warned = False
        self.members: StateSource[frozenset[Member]] = StateSource(
            refusal, transport.call, f"members of {transport.group}"
        )
        self.members.put(self._machine.members)
        packets.handle(PRESENCE, self._on_packet)
        packets.before_closing(self._leave)

    def begin(self) -> None:
        """Say hello; from any thread, once the channel hears."""
        watch_ends = getattr(self._packets.transport, "watch_ends", None)
        if watch_ends is not None and self._may_be_told:
            watch_ends(self._on_lost)
        self._packets.transport.call(self._go_on)

    @property
    def _may_be_told(self) -> bool:
        """Whether an engine's reports can be checked by a probe, or the channel is open to strangers anyway."""
        return self._machine.speaks or not self._packets.overhead

    def _on_lost(self, address: Address | None) -> None:
        """The engine reports that the end there is gone; None: this end lost its connection to the engine."""
        if not self._over:
            if address is None:
                self._machine.forgive(self._now())
            else:
                self._machine.lose(address, self._now())
            self._go_on()

    def end(self, error: Exception | None) -> None:
        """The channel has ended."""
        self._over = True
        self._timer.stop()
        self.members.end(error)

    def _on_packet(self, packet: ControlPacket, message: Message) -> bool:
        read = read_presence(packet)
        if read is None:
            return False
        if not self._over:
            self._machine.receive(read, message.sender, self._now())
            if self._machine.changes or self._machine.timer() < self._timer.due:
                self._go_on()
        return True

    def _go_on(self) -> None:
        if self._over:
            return
        now = self._now()
        self._send(self._machine.due(now))
        self._tell()
        self._timer.call_at(self._machine.timer(), now)

    def _leave(self) -> None:
        self._over = True
        self._send(self._machine.leave())

    def _send(self, packets: list[Outgoing]) -> None:
        for packet, destination in packets:
            self._packets.send(pack_presence(packet), destination)

    def _tell(self) -> None:
        machine = self._machine
        if machine.refused and not self._warned:
            self._warned = True
            _log.warning(
                "more than %d members in %s: the others are left out", MOST_MEMBERS, self._packets.transport.group
            )
        if not machine.changes:
            return
        self.members.put(machine.members)
        at = self._wall()
        while machine.changes:
            member, what = machine.changes[0]
            event = Joined(member, at) if what == CAME else Left(member, GOODBYE if what == GOODBYE else SILENT, at)
            del machine.changes[0]  # no call between this and the telling
            if what != MOVED:
                self._packets.tell(event)
