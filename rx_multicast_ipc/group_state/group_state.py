"""What a channel knows of its group beside messages: its members, and latest values."""

from __future__ import annotations

import threading
from random import Random
from typing import TYPE_CHECKING, Any

from ..errors import ChannelClosed, Unsupported
from ..message import Message
from ..option_values.member import Member
from ..option_values.presence import Presence
from ..payload_codecs import Codec, Format
from ..receiving.inbox import Inbox
from ..receiving.state_source import StateSource
from ..subscribing.decode_errors import OnDecodeError
from ..transport import Transport
from ..transport.framed.packet_port import PacketPort
from ..transport.framed.packets import ControlPacket
from ..transport.random_numbers import random_of
from ..validation.topic_name import check_name
from .latest.packets import ASK, LATEST_STARTS, read_ask, read_latest
from .presence.packet import PRESENCE, read_presence

if TYPE_CHECKING:
    from .latest.driver import LatestDriver
    from .latest.value import LatestValue
    from .presence.driver import PresenceDriver


class GroupState:
    """Takes packets, and messages that hold latest values, out of what a channel delivers.

    It knows nothing of the channel, which may be forgotten while it goes on.

    Args:
        inbox: what the channel hears.
        transport: the channel's.
        presence: what it says of itself; None if it does not.
        repairs: whether what is sent is repaired on its way.
    """

    def __init__(self, inbox: Inbox, transport: Transport, presence: Presence | None, *, repairs: bool) -> None:
        self._inbox = inbox
        self._transport = transport
        self._repairs = repairs
        self._lock = threading.RLock()
        self._latest: dict[str, LatestDriver] = {}
        self._presence: PresenceDriver | None = None
        packets: PacketPort | None = getattr(transport, "packets", None)
        self._port = packets or PacketPort(transport, None, inbox.tell, self._on_writable)
        self._random = Random(random_of(transport).getrandbits(128))
        self._session = self._random.getrandbits(32) or 1
        self._port.handle(ASK, self._on_ask)
        if presence is None:
            self._port.handle(PRESENCE, _is_presence)
        else:
            from .presence.driver import PresenceDriver

            self._presence = PresenceDriver(self._port, presence, self._session, self._random, inbox.refusal)
        inbox.sift(self._sift if packets is not None else self._sift_with_packets)

    def begin(self) -> None:
        """The channel receives now."""
        self._inbox.closing.add(self._end)
        if self._presence is not None:
            self._presence.begin()

    @property
    def members(self) -> StateSource[frozenset[Member]]:
        """The members."""
        if self._presence is None:
            raise Unsupported(
                'only a channel with presence knows who is there: open it with presence="a name", '
                "or with presence=Presence(None) to say nothing itself"
            )
        return self._presence.members

    def latest(self, name: str, type: Any, format: Format | Codec[Any], on_error: OnDecodeError) -> LatestValue[Any]:
        """See :meth:`rx_multicast_ipc.Channel.latest`."""
        from .latest.driver import LatestDriver
        from .latest.value import LatestValue, ValuePort

        check_name(name)
        if self._transport.closed:
            raise ChannelClosed

        def port() -> ValuePort:
            with self._lock:
                driver = self._latest.get(name)
                if driver is None:
                    driver = self._latest[name] = LatestDriver(
                        name,
                        self._transport,
                        self._port,
                        self._session,
                        self._random,
                        self._inbox.refusal,
                        repairs=self._repairs,
                    )
            driver.begin()  # each time, for a signal handler may have raised before
            return ValuePort(driver.held, driver.set)

        return LatestValue(name, type, format, on_error, port)

    def stop(self) -> None:
        """Deliver nothing more than the call under way; from any thread."""
        if self._presence is not None:
            self._presence.members.stop()
        for driver in list(self._latest.values()):
            driver.stop()

    def _end(self, error: Exception) -> None:
        fault = None if isinstance(error, ChannelClosed) else error
        if self._presence is not None:
            self._presence.end(fault)
        for driver in list(self._latest.values()):
            driver.end(fault)

    def _sift_with_packets(self, batch: list[Message]) -> list[Message]:
        """Take packets out, too, where the transport does not."""
        rest: list[Message] = []
        self._port.arrive(batch, rest.extend)
        return self._sift(rest)

    def _sift(self, batch: list[Message]) -> list[Message]:
        for message in batch:
            if message.data.startswith(LATEST_STARTS):  # no call, for all that comes is looked at
                return [message for message in batch if not self._is_value(message)]
        return batch

    def _is_value(self, message: Message) -> bool:
        packet = read_latest(message.data) if message.data.startswith(LATEST_STARTS) else None
        if packet is None:
            return False
        driver = self._latest.get(packet.name)
        if driver is not None:
            driver.on_value(packet, message)
        return True

    def _on_ask(self, packet: ControlPacket, message: Message) -> bool:
        ask = read_ask(packet)
        if ask is None:
            return False
        driver = self._latest.get(ask.name)
        if driver is not None:
            driver.on_ask(ask, message)
        return True

    def _on_writable(self) -> None:
        with self._port.lock:
            self._port.outlet.go_on()


def _is_presence(packet: ControlPacket, _: Message) -> bool:
    return read_presence(packet) is not None
