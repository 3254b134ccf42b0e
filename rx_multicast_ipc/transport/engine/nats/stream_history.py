"""What a stream of a NATS server (JetStream) kept, and then what comes: in order and whole, also if the server dies."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from reactivex.disposable import SerialDisposable

from ....errors import CannotOpen, ChannelClosed, MulticastError, SendFailed
from ....group import Group
from ....message import Address, Family, Message
from ....option_values.engines import Nats, Since
from ...latch import Latch
from ...udp.error_advice import cannot_open
from ...udp.io_thread import IoThread
from .. import connections
from . import subjects, wire
from .connection import NatsConnection
from .stream_arrivals import Kept, StreamArrivals, Taken
from .stream_requests import API, ask
from .wire import Delivered

_AGAIN: Final = 0.25
"""Seconds between two attempts to go on."""

_HEARTBEAT: Final = 1.0
"""Seconds after which a silent server says that it is there."""

_SILENT: Final = 3.5
"""Seconds of silence after which the consumer is taken for gone."""

_AT_ONCE: Final = 1024
"""Messages that are delivered in one go."""


class NatsHistory:
    """One ordered consumer. It delivers on a thread of its own, and begins with :meth:`start`.

    How this works. What the consumer sends is numbered (``stream_arrivals.py``). A number that is missing, silence, or
    a connection that was lost make it begin another consumer, behind the last message that arrived. The server waits
    for an answer to its flow control, which is given once what came before was delivered, so that no queue runs over.

    Args:
        engine: where.
        group: whose messages, unless the engine names a subject.
        since: where it begins.
        until_now: whether it ends with what the stream holds when it begins.
        deliver: takes messages; returns when they are dealt with.
        ended: called once, last, on the same thread: with what made it end, or None.
    """

    def __init__(
        self,
        engine: Nats,
        group: Group,
        since: Since,
        until_now: bool,
        deliver: Callable[[list[Message]], None],
        ended: Callable[[Exception | None], None],
    ) -> None:
        self._engine = msgspec.structs.replace(engine, subject=None)
        self._group = group
        self._foreign = engine.subject
        self._filter = engine.subject or f"{subjects.of_group(group)}.>"
        self._family: Family = group.family
        self._to_group: Address = group.address, group.port
        self._since = since
        self._until_now = until_now
        self._deliver = deliver
        self._ended = ended
        self._thread = IoThread(f"rx_multicast_ipc history of {self._filter}")
        self._over = False
        self._stream = ""
        self._consumer = ""
        self._sid = 0
        self._connection: NatsConnection | None = None
        self._arrivals = StreamArrivals(self._message)
        self._woken = False
        self._left: int | None = None
        self._timer = SerialDisposable()

    def start(self) -> None:
        """Begin, on its own thread; from any thread."""
        try:
            self._thread.post(self._begin)
        except (OSError, MemoryError, RuntimeError) as error:  # no thread can be started
            raise cannot_open(self._group, error) from error

    def dispose(self) -> None:
        """End without a word; idempotent, from any thread."""
        if not self._over:
            self._over = True
            self._thread.post(self._let_go)

    def wait(self, latch: Latch) -> None:
        """Wait on its thread, unless it is disposed of meanwhile."""
        while not self._over and not latch.wait(0.1):
            pass

    # On its own thread.

    def _begin(self) -> None:
        if self._over:
            return
        try:
            self._connection = connection = connections.connected(self._engine, lambda: NatsConnection(self._engine))
            connection.listen(self._heed)
            found = ask(connection, "STREAM.NAMES", {"subject": self._filter})
            if not found.get("streams"):
                raise CannotOpen(
                    f"no stream of {connection.url} keeps {self._filter}; make one, such as: nats stream add HISTORY "
                    f"--subjects '{self._filter}' --defaults"
                )
            self._stream = found["streams"][0]
            self._consume()
        except Exception as error:
            self._end(error)
            return
        self._look_alive()

    def _consume(self) -> None:
        """Begin a consumer, behind the last message that arrived."""
        assert self._connection is not None
        self._drop_consumer()
        number = self._arrivals.begin()  # first: the one before is to bring nothing more behind the place
        waiting = self._arrivals.messages
        config: dict[str, Any] = {
            "filter_subject": self._filter,
            "ack_policy": "none",
            "max_deliver": 1,
            "mem_storage": True,
            "num_replicas": 1,
            "flow_control": True,
            "idle_heartbeat": int(_HEARTBEAT * 1e9),
            "inactive_threshold": int(60e9),
            **self._place(),
        }
        config["deliver_subject"], self._sid = self._connection.bring(lambda arrived: self._take(number, arrived))
        question = {"stream_name": self._stream, "config": config}
        made = ask(self._connection, f"CONSUMER.CREATE.{self._stream}", question)
        self._consumer = made["name"]
        pending = int(made.get("num_pending", 0))
        if self._left is None:
            self._left = pending
        if pending == 0:  # there is no more than what waits
            self._left = min(self._left, waiting)
        if self._until_now and self._left == 0:
            self._end(None)

    def _place(self) -> dict[str, Any]:
        since = self._since
        if self._arrivals.last:
            return {"deliver_policy": "by_start_sequence", "opt_start_seq": self._arrivals.last + 1}
        if since in ("all", "last"):
            return {"deliver_policy": since}
        try:
            if not isinstance(since, datetime):
                since = datetime.fromtimestamp(time.time() - float(since), UTC)
            return {"deliver_policy": "by_start_time", "opt_start_time": since.astimezone(UTC).isoformat()}
        except (ValueError, OverflowError, OSError):  # before there were clocks
            return {"deliver_policy": "all"}

    def _deliver_waiting(self) -> None:
        self._woken = False
        while not self._over:
            some = self._arrivals.take_out(_AT_ONCE)
            if some:
                self._deliver_some(some)
                continue
            question = self._arrivals.take_out_question()
            if not question:
                return
            self._answer(question)

    def _deliver_some(self, some: list[Kept]) -> None:
        batch: list[Message] = []
        done = False
        for message, pending in some:
            batch.append(message)
            if self._left is not None:
                self._left -= 1
            done = self._until_now and (pending == 0 or self._left == 0)
            if done:
                break
        self._deliver(batch)
        if done:
            self._end(None)

    def _answer(self, reply: bytes) -> None:
        assert self._connection is not None
        try:
            self._connection.write(wire.request(reply, b"", b""))
        except SendFailed:
            self._thread.scheduler.schedule_relative(_AGAIN, lambda _scheduler, _state: self._answer_again(reply))

    def _answer_again(self, reply: bytes) -> None:
        if not self._over:
            self._answer(reply)

    def _look_alive(self, *_: object) -> None:
        if self._over:
            return
        if time.monotonic() - self._arrivals.heard_at > _SILENT and not self._arrivals:
            self._go_on()
        self._timer.disposable = self._thread.scheduler.schedule_relative(_HEARTBEAT, self._look_alive)

    def _go_on(self) -> None:
        """Begin another consumer, as soon as the server lets us."""
        if self._over:
            return
        try:
            self._consume()
        except ChannelClosed as error:
            self._end(error)
        except MulticastError:
            self._arrivals.heard_at = time.monotonic() - _SILENT + _AGAIN
            self._thread.scheduler.schedule_relative(_AGAIN, lambda _scheduler, _state: self._go_on_if_silent())

    def _go_on_if_silent(self) -> None:
        if time.monotonic() - self._arrivals.heard_at > _SILENT - 2 * _AGAIN:
            self._go_on()

    def _end(self, fault: Exception | None) -> None:
        if not self._over:
            self._over = True
            self._let_go()
            self._ended(fault)

    def _let_go(self) -> None:
        self._timer.dispose()
        self._drop_consumer()
        self._arrivals.clear()
        if self._connection is not None:
            self._connection.unlisten(self._heed)

    def _drop_consumer(self) -> None:
        if self._connection is not None and self._sid:
            self._connection.bring_no_more(self._sid)
            if self._consumer:
                subject = f"{API}CONSUMER.DELETE.{self._stream}.{self._consumer}"
                with suppress(MulticastError):  # the server drops it by itself after a while
                    self._connection.write(wire.request(subject.encode(), b"", b""))
                self._consumer = ""

    # On the connection's thread.

    def _heed(self, back: bool) -> None:
        if back:
            self._thread.post(self._go_on)

    def _take(self, consumer: int, arrived: Delivered) -> None:
        if self._over:
            return
        taken = self._arrivals.take(consumer, arrived)
        if taken is Taken.MISSING:
            self._thread.post(self._go_on)
        elif taken is Taken.WAITS and not self._woken:
            self._woken = True
            self._thread.post(self._deliver_waiting)

    def _message(self, arrived: Delivered, at: float) -> Message:
        subject = arrived.subject.decode("utf-8", "replace")
        if self._foreign is not None:
            return Message(arrived.payload, "", 0, self._family, at, topic=subject)
        sender = subjects.sender_to_group(subject) or ("", 0)
        return Message(arrived.payload, *sender, self._family, at, destination=self._to_group)
