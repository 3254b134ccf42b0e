"""What arrives at a reliable end: passed on to the endpoint or, where it is just the next message, delivered."""

from __future__ import annotations

import struct
from typing import Final

from msgspec.structs import replace

from ...message import Message
from ...subscribing.subscriber_errors import report
from ..base import Transport
from .endpoint_driver import EndpointDriver
from .incoming import Incoming
from .packet_codec import START, WHOLE_START
from .packets import HEADER_SIZE

_read_start: Final = START.unpack_from


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

        All else that they ask for is done after that. Returns how many there were. Few calls, and no lock: answers wait
        for this, and what is heard is looked at on this thread alone.
        """
        queue = self._queue
        # In this order: another thread moves an own message from the one to the other meanwhile.
        if self._events or queue.awaits_own or queue.ready or queue.is_draining or queue.is_stopped:
            return 0
        if len(batch) > 1:
            return self._take_several(batch)
        message, now = batch[0], self._now()
        data = message.data
        try:
            start, session, number = _read_start(data)
        except struct.error:
            return 0
        sender = ("", message.port) if self._several else (message.address, message.port)
        stream = self._stream_of((sender, session, message.direct))  # none of its own, which nobody opened
        deliver = queue.deliver
        if stream is None or start != WHOLE_START or deliver is None:
            return 0
        payload = data[HEADER_SIZE:]
        size, taken = len(payload), [replace(message, data=payload)]
        queue.is_draining = True
        try:
            if not stream.take_next(number, size, now):
                return 0
            # No call in between.
            if queue.is_stopped:
                return 1
            queue.received += 1
            queue.received_bytes += size
            deliver(taken)
        except Exception as error:
            report(error)
        finally:
            queue.is_draining = False
            if queue.ready:  # what was added meanwhile
                queue.drain()
            if stream.status.owed >= stream.status.enough:
                self._look_for_status(stream, now)
        return 1

    def _take_several(self, batch: list[Message]) -> int:
        """The same for more than one."""
        queue, now, size = self._queue, self._now(), 0
        taken: list[Message] = []
        streams: dict[Incoming, None] = {}
        with self._driver.lock:  # nothing else is added meanwhile
            if queue.ready:
                return 0
            queue.ready.append((taken, 0))  # before anything is, so that it is delivered also if Ctrl-C comes behind it
            for message in batch:
                data = message.data
                if len(data) < HEADER_SIZE:
                    break
                start, session, number = _read_start(data)
                sender = ("", message.port) if self._several else (message.address, message.port)
                stream = self._stream_of((sender, session, message.direct))
                if stream is None or start != WHOLE_START:
                    break
                payload = data[HEADER_SIZE:]
                arrived = (replace(message, data=payload),)
                if not stream.take_next(number, len(payload), now):
                    break
                taken += arrived  # no call in between
                size += len(payload)
                streams[stream] = None
            if not taken:
                queue.ready.pop()
                return 0
        try:
            queue.deliver_first(taken, size)
        finally:
            for stream in streams:
                if stream.status.owed >= stream.status.enough:
                    self._look_for_status(stream, now)
        return len(taken)

    def _look_for_status(self, stream: Incoming, now: float) -> None:
        with self._driver.lock:
            self._endpoint.look_for_status(stream, now)
            self._driver.keep_time(now, heard=True)
