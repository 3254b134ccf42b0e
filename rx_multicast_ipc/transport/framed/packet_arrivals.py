"""What arrives at a reliable end: passed on to the endpoint or, where it is just the next message, delivered."""

from __future__ import annotations

from msgspec.structs import replace

from ...message import Address, Message
from ..base import Transport
from .endpoint_driver import EndpointDriver
from .incoming import Incoming
from .packets import HEADER_SIZE


class PacketArrivals:
    """Takes packets, out of their envelopes, on the I/O thread. What comes of them waits in the driver's queue.

    Args:
        driver: of the endpoint.
        transport: the one inside.
    """

    def __init__(self, driver: EndpointDriver, transport: Transport) -> None:
        self._driver = driver
        self._endpoint = driver.endpoint
        self._queue = driver.queue
        self._transport = transport
        self._port = transport.sender_address[1]
        self._several = transport.group.has_several_interfaces

    def take(self, batch: list[Message]) -> None:
        """Pass them on."""
        now, driver, receive = self._driver.now(), self._driver, self._endpoint.receive
        with driver.lock:
            for message in batch:
                sender = message.address, message.port
                if not self._is_own(sender):
                    key = ("", sender[1]) if self._several else None
                    receive(message.data, sender, message.direct, message, now, key)
            driver.go_on()

    def take_at_once(self, batch: list[Message]) -> int:
        """Deliver the messages that a batch begins with and that are just the next ones of their streams.

        All else that they ask for is done after that. Returns how many there were.
        """
        driver, endpoint, queue = self._driver, self._endpoint, self._queue
        several, take_next, now = self._several, self._endpoint.take_next, self._driver.now()
        taken: list[Message] = []
        owing: list[Incoming] = []
        with driver.lock:
            if queue.is_stopped or queue.is_busy:
                return 0
            for message in batch:
                data = message.data
                sender = message.address, message.port
                if sender[1] == self._port and self._is_own(sender):
                    break
                stream = take_next(data, ("", sender[1]) if several else sender, message.direct, now)
                if stream is None:
                    break
                taken.append(replace(message, data=data[HEADER_SIZE:]))
                if stream.status.owes_a_look and stream not in owing:
                    owing.append(stream)
        if taken:
            queue.deliver(taken)
        if owing:
            with driver.lock:
                for stream in owing:
                    endpoint.look_for_status(stream, now)
                driver.keep_time(now)
        return len(taken)

    def _is_own(self, sender: Address) -> bool:
        return sender[1] == self._port and sender in self._transport.own_addresses
