"""Latest value of one name: timers and packets around :class:`.machine.LatestMachine`, which knows the protocol."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from random import Random
from typing import Final

import msgspec
from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase

from ...channel_scheduler import clock_of, wall_clock_of
from ...errors import ChannelClosed, PayloadTooLarge, SendFailed
from ...message import Message
from ...receiving.state_source import StateSource
from ...sending.cold_send import Send
from ...strangers.rate_limit import AnswerLimit, RateLimit
from ...subscribing.never_subscribed import ColdObservable
from ...transport import Transport
from ...transport.framed.packet_port import PacketPort
from ...transport.framed.packets import NUMBER_LIMIT
from ...transport.next_timer import NextTimer
from .machine import Ask, Give, LatestMachine, Tell
from .packets import AskPacket, LatestValuePacket, Version, latest_overhead, pack_ask, pack_latest

_log = logging.getLogger("rx_multicast_ipc")

_REPAIRED_RATE: Final = 16 << 20
_REPAIRED_BURST: Final = 256 << 20
"""Bytes a second, and at once, that answers take of a reliable channel at most, whoever asks."""


class LatestDriver:
    """Keeps the value of one name. All of it happens on the I/O thread, but for :meth:`set`.

    Args:
        name: of the value.
        transport: sends values.
        packets: sends and receives questions.
        session: of this opening.
        random: draws what is random.
        refusal: why nobody can subscribe now, or None.
        repairs: whether values are repaired on their way.

    Attributes:
        held: what is there: messages whose data are the value's bytes.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        packets: PacketPort,
        session: int,
        random: Random,
        refusal: Callable[[], Exception | None],
        *,
        repairs: bool,
    ) -> None:
        self._name = name
        self._transport = transport
        self._packets = packets
        scheduler = transport.scheduler
        self._now = clock_of(scheduler)
        self._wall = wall_clock_of(scheduler)
        self._limit = transport.payload_limit - latest_overhead(name)
        self._lock = threading.RLock()
        self._machine = LatestMachine(session, random, self._now(), repairs=repairs)
        self._rate = RateLimit(_REPAIRED_RATE, _REPAIRED_BURST, self._now) if repairs else AnswerLimit(self._now)
        self._timer = NextTimer(scheduler, self._go_on)
        self._over = False
        self.held: StateSource[Message] = StateSource(refusal, transport.call, f"latest value {name}")

    def begin(self) -> None:
        """Begin to ask for the value; from any thread, more than once."""
        self._transport.call(self._go_on)

    def set(self, value: bytes) -> Observable[None]:
        """See :meth:`.value.LatestValue.set`."""
        transport = self._transport
        if transport.closed:
            raise ChannelClosed
        if len(value) > self._limit:
            raise PayloadTooLarge(len(value), self._limit)

        def subscribe(observer: ObserverBase[None], scheduler: SchedulerBase | None = None) -> DisposableBase:
            with self._lock:
                version = self._machine.next_version()
            if version.number >= NUMBER_LIMIT:
                raise SendFailed(
                    f"no later version of the latest value {self._name!r} is left: somebody in the group used them up; "
                    "use another name, and key= where there may be strangers"
                )

            def on_next(_: None) -> None:
                transport.call(lambda: self._on_set(version, value))
                observer.on_next(None)

            packet = pack_latest(LatestValuePacket(self._name, version, value))
            return Send(transport, packet).subscribe(
                on_next, observer.on_error, observer.on_completed, scheduler=scheduler
            )

        return ColdObservable(subscribe, f"set of the latest value {self._name}")

    def on_value(self, packet: LatestValuePacket, message: Message) -> None:
        """A value came."""
        with self._lock:
            is_new = self._machine.on_value(packet.version, packet.value, self._now(), held=packet.held)
        if is_new:
            self.held.put(msgspec.structs.replace(message, data=packet.value))
        self._go_on()

    def on_ask(self, packet: AskPacket, message: Message) -> None:
        """Another end asked, or told which version it has."""
        now = self._now()
        with self._lock:
            if packet.attempt is None:
                self._machine.on_tell(packet.version, now, direct=message.direct)
            else:
                self._machine.on_ask(packet.version, packet.attempt, message.sender, now)
        self._go_on()

    def stop(self) -> None:
        """Deliver nothing more; from any thread."""
        self.held.stop()

    def end(self, error: Exception | None) -> None:
        """The channel has ended."""
        self._over = True
        self._timer.stop()
        self.held.end(error)

    def _on_set(self, version: Version, value: bytes) -> None:
        with self._lock:
            is_new = self._machine.set(version, value, self._now())
        if is_new:
            address, port = self._transport.sender_address
            family = self._transport.group.family
            self.held.put(Message(value, address, port, family, self._wall()))
        self._go_on()

    def _go_on(self) -> None:
        if self._over:
            return
        now = self._now()
        with self._lock:
            actions = self._machine.due(now)
            due = self._machine.timer()
        self._timer.call_at(due, now)
        for action in actions:
            if isinstance(action, Ask):
                self._send_ask(AskPacket(self._name, self._machine.version, action.attempt), None)
            elif isinstance(action, Tell):
                self._send_ask(AskPacket(self._name, self._machine.version, None), action.destination)
            else:
                self._give(action)

    def _send_ask(self, packet: AskPacket, destination: tuple[str, int] | None) -> None:
        self._packets.send(pack_ask(packet), destination)

    def _give(self, action: Give) -> None:
        machine = self._machine
        if machine.value is None:
            return
        size = len(machine.value)
        rate = self._rate
        if not (rate.allows(size) if isinstance(rate, RateLimit) else rate.allows("", size)):
            return  # they ask again
        packet = pack_latest(LatestValuePacket(self._name, machine.version, machine.value, held=True))
        Send(self._transport, packet, action.destination).subscribe(on_error=self._on_failed)

    def _on_failed(self, error: Exception) -> None:
        if not isinstance(error, ChannelClosed):
            _log.debug("latest value %s: an answer cannot be sent, and will be asked for again: %s", self._name, error)
