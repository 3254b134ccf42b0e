"""What arrives at a reliable end: passed on to the endpoint or, where it is just the next message, delivered."""

from __future__ import annotations

from msgspec.structs import replace

from ...message import Message
from ..base import Transport
from .endpoint_driver import EndpointDriver
from .incoming import Incoming
from .packet_codec import START, WHOLE_START
from .packets import HEADER_SIZE


class PacketArrivals:
    """Takes packets, out of their envelopes, on the I/O thread.

    Args:
        driver: of the endpoint.
        transport: the one inside.
    """

    def __init__(self, driver: EndpointDriver, transport: Transport) -> None:
        self._driver = driver
        self._endpoint = driver.endpoint
        self._stream_of = driver.endpoint.stream_of
        self._events = driver.endpoint.events
        self._now = driver.now
        self._queue = driver.queue
        self._transport = transport
        self._port = transport.sender_address[1]
        self._several = transport.group.has_several_interfaces

    def take(self, batch: list[Message]) -> None:
        """Pass them on; what comes of them waits in the driver's queue."""
        now, driver, receive = self._driver.now(), self._driver, self._endpoint.receive
        with driver.lock:
            for message in batch:
                sender = message.address, message.port
                if sender[1] != self._port or sender not in self._transport.own_addresses:
                    key = ("", sender[1]) if self._several else None
                    receive(message.data, sender, message.direct, message, now, key)
            driver.go_on()

    def take_at_once(self, batch: list[Message]) -> int:
        """Deliver the messages that a batch begins with and that are just the next ones of their streams.

        All else that they ask for is done after that. Returns how many there were. Few calls: answers wait for this.
        """
        queue, stream_of, several = self._queue, self._stream_of, self._several
        now = self._now()
        taken: list[Message] = []
        owing: dict[Incoming, None] = {}
        size = 0
        with self._driver.lock:
            if queue.ready or queue.is_draining or queue.is_stopped or self._events:
                return 0
            queue.ready.append((taken, 0))  # before anything is, so that it is delivered also if Ctrl-C comes behind it
            for message in batch:
                data = message.data
                if len(data) < HEADER_SIZE:
                    break
                start, session, number = START.unpack_from(data)
                if start != WHOLE_START:
                    break
                sender = ("", message.port) if several else (message.address, message.port)
                stream = stream_of((sender, session, message.direct))  # none of its own, which nobody opened
                if stream is None:
                    break
                payload = data[HEADER_SIZE:]
                if not stream.take_next(number, replace(message, data=payload), len(payload), now, taken):
                    break
                size += len(payload)
                status = stream.status
                if status.owed >= status.enough:
                    owing[stream] = None
            if not taken:
                queue.ready.pop()
                return 0
        try:
            queue.deliver_first(taken, size)
        finally:
            if owing:
                with self._driver.lock:
                    for stream in owing:
                        self._endpoint.look_for_status(stream, now)
                    self._driver.keep_time(now)
        return len(taken)
