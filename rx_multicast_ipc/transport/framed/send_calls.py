"""Calls that send: at once where nothing is in the way, else as soon as there is space, or not at all."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Sequence
from typing import Final

from ...errors import ChannelClosed, SendFailed
from ...message import Address
from ...option_values.reliable import Reliable
from ..base import Transport, WouldBlock, may_wait
from ..udp.error_advice import send_failed
from .endpoint_driver import EndpointDriver
from .packet_outlet import PacketOutlet

_WAIT: Final = 5.0
"""Seconds that a send waits beyond the patience with slow receivers."""

_LOOK_AGAIN: Final = 0.1
"""Seconds after which a thread that waits for space looks by itself."""


def _nothing() -> None: ...


class SendCalls:
    """What the user of a reliable end sends, on its way to the endpoint.

    Args:
        driver: of the endpoint.
        transport: the one inside.
        outlet: the way out of packets.
        reliable: patience, and the largest message.
        echo: whether own messages to the group are delivered here.

    Attributes:
        sent, sent_bytes, refused: messages, so far.
    """

    def __init__(
        self, driver: EndpointDriver, transport: Transport, outlet: PacketOutlet, reliable: Reliable, *, echo: bool
    ) -> None:
        self.sent = self.sent_bytes = self.refused = 0
        self._driver = driver
        self._now = driver.now
        self._endpoint = driver.endpoint
        self._packet_of = driver.endpoint.packet_of
        self._beats = driver.endpoint.beats
        self._queue = driver.queue
        self._transport = transport
        self._group = transport.group
        self._to_group = self._group.address, self._group.port
        self._outlet = outlet
        self._limit = reliable.largest
        self._patience = reliable.patience + _WAIT
        self._echo = echo

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        """See :meth:`rx_multicast_ipc.transport.Transport.send`."""
        lock, outlet, queue = self._driver.lock, self._outlet, self._queue
        if lock._is_owned():  # pyright: ignore  # see `is_in_use_here`
            self._send_later((payload,), destination)
            return
        if destination is None:  # at once, if nothing is in the way
            with lock:
                now, packet = self._now(), None
                if not (outlet.packets or queue.is_stopped) and (not self._echo or queue.has_room):
                    packet = self._packet_of(payload, now)
                if packet is not None:
                    queue.awaits_own = self._echo
                    outlet.send_now(packet)
                    # The rest is done while it is on its way; no answer is delivered here before an own message is.
                    self.sent += 1
                    self.sent_bytes += len(payload)
                    if self._echo:
                        queue.put_own((payload,), self._transport.sender_address)
                        queue.awaits_own = False
                        queue.post()
                    beat_at, driver, endpoint = self._beats.at, self._driver, self._endpoint
                    if beat_at < driver.timer.due or beat_at < endpoint.due:  # the one alone, if Ctrl-C came amid this
                        endpoint.due = min(endpoint.due, beat_at)
                        driver.keep_time(now, heard=False)
                    return
        self.send_all((payload,), destination)

    def send_many(self, payloads: Sequence[bytes], destination: Address | None = None) -> None:
        """See :meth:`rx_multicast_ipc.transport.Transport.send_many`."""
        if self.is_in_use_here:
            self._send_later(payloads, destination)
        else:
            self.send_all(payloads, destination)

    @property
    def is_in_use_here(self) -> bool:
        """Whether the caller is a signal handler that interrupted a call of its own thread."""
        return self._driver.lock._is_owned()  # pyright: ignore

    def _send_later(self, payloads: Sequence[bytes], destination: Address | None) -> None:
        """Send on the I/O thread, once the call that a signal handler interrupted is over."""
        rest = [*payloads]

        def send() -> None:
            try:
                self.send_many(rest, destination)
                rest.clear()
            except WouldBlock as error:
                del rest[: error.sent]
                with self._driver.lock:
                    self._driver.when_writable(send)
            except ChannelClosed:
                pass  # as it would be for one that was sent a moment later

        # Not `call`, which would send amid the interrupted call where that is on the I/O thread itself: a loop's.
        self._transport.scheduler.schedule(lambda _scheduler, _state: send())

    def send_all(
        self, payloads: Sequence[bytes], destination: Address | None = None, then: Callable[[], None] = _nothing
    ) -> None:
        """As :meth:`send_many`; ``then`` is called once the last was taken, before anything else is."""
        if destination == self._to_group:
            destination = None
        sent, deadline, driver = 0, 0.0, self._driver
        while sent < len(payloads):
            with driver.lock:
                if self._queue.is_stopped or self._transport.closed:
                    raise ChannelClosed
                taken = self._offer([*payloads[sent:]] if sent else payloads, destination)
                sent += taken
                if sent == len(payloads):
                    then()
                    return
                if len(payloads[sent]) > self._limit:
                    self.refused += 1
                    error = OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
                    raise _with_count(send_failed(self._group, destination, error), sent) from error
                if taken:
                    deadline = 0.0
                    continue
                if not may_wait():
                    raise _with_count(WouldBlock("the window is full; receivers are slower than this sender"), sent)
                deadline = deadline or time.monotonic() + self._patience
                if time.monotonic() >= deadline:
                    self.refused += 1
                    raise _with_count(SendFailed(f"nothing can be sent to {self._group}: the window stays full"), sent)
                space = driver.waiters.new_thread()
            try:
                space.wait(min(_LOOK_AGAIN, deadline - time.monotonic()))
            finally:
                if not space.is_set:
                    with driver.lock:
                        driver.waiters.forget_thread(space)

    def _offer(self, payloads: Sequence[bytes], destination: Address | None) -> int:
        """Pass on what there is room for, up to one that is too large; returns how many."""
        limit, queue, transport, virtual = self._limit, self._queue, self._transport, self._driver.is_virtual
        if max(map(len, payloads)) > limit:
            payloads = payloads[: next(number for number, payload in enumerate(payloads) if len(payload) > limit)]
        to_itself = destination is not None and destination in transport.own_addresses
        if not payloads or ((destination is None or to_itself) and not virtual and not queue.has_room):
            return 0
        if to_itself:
            self._count(payloads)
            queue.put_own(payloads, transport.sender_address, direct=True)
            queue.post()
            return len(payloads)
        taken = self._endpoint.send(payloads, destination, self._driver.now(), all_of_them=virtual)
        if taken:
            some = payloads if taken == len(payloads) else payloads[:taken]
            self._count(some)
            if destination is None and self._echo:
                queue.put_own(some, transport.sender_address)
        self._driver.go_on(heard=False)
        queue.post()
        return taken

    def _count(self, payloads: Sequence[bytes]) -> None:
        self.sent += len(payloads)
        self.sent_bytes += sum(map(len, payloads))


def _with_count(error: SendFailed, sent: int) -> SendFailed:
    error.sent = sent
    return error
