"""What a stream of a NATS server (JetStream) kept, and then what comes: in order and whole, also if the server dies."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from typing import Any, Final, NamedTuple, cast

import msgspec
from reactivex.disposable import SerialDisposable

from ....errors import CannotOpen, ChannelClosed, MulticastError, SendFailed
from ....group import Group
from ....message import Address, Family, Message
from ....option_values.engines import Nats, Since
from ....strangers.decoding import json_object_or_none, whole_or_none
from ....strangers.printable_text import printable
from ...latch import Latch
from ...udp.io_thread import IoThread
from .. import connections
from . import subjects, wire
from .connection import NatsConnection
from .wire import Delivered

_PATIENCE: Final = 3.0
"""Seconds for the server to answer a request."""

_AGAIN: Final = 0.25
"""Seconds between two attempts to go on."""

_HEARTBEAT: Final = 1.0
"""Seconds after which a silent server says that it is there."""

_SILENT: Final = 3.5
"""Seconds of silence after which the consumer is taken for gone."""

_AT_ONCE: Final = 1024
"""Messages that are delivered in one go."""

_RECORD: Final = 256
"""Bytes that a message counts beside its payload."""

_MOST_WAITING: Final = 128 << 20
"""Bytes that wait to be delivered: four times what a server sends before it waits for flow control."""

_FLOW_CONTROL: Final = b"$JS.FC."
_MOST_CONTROLS: Final = 1024
"""Answers to flow control that wait for their turn; a server asks for one at a time."""

_names = count(1)


class _Item(NamedTuple):
    """One thing that a consumer sent, in its order: a message, or a question whether what came before is dealt with."""

    message: Message | None
    pending: int
    reply: bytes


class NatsHistory:
    """One ordered consumer. It delivers on a thread of its own, and begins with :meth:`start`.

    How this works. The server numbers what it sends to a consumer. A number that is missing, silence, or a connection
    that was lost make it begin another consumer, behind the last message that arrived. The server waits for an answer
    to its flow control, which is given once what came before was delivered, so that no queue runs over.

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
        self._taking = 0
        self._connection: NatsConnection | None = None
        self._lock = threading.RLock()
        self._items: deque[_Item] = deque()
        self._waiting = self._controls = 0
        self._woken = False
        self._last = 0
        self._next_of_consumer = 1
        self._heard_at = 0.0
        self._left: int | None = None
        self._timer = SerialDisposable()

    def start(self) -> None:
        """Begin, on its own thread; from any thread."""
        self._thread.post(self._begin)

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
            found = self._ask("STREAM.NAMES", {"subject": self._filter})
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
        with self._lock:
            generation = self._taking = next(_names)
            self._next_of_consumer = 1
            self._heard_at = time.monotonic()
            subject, self._sid = self._connection.bring(lambda arrived: self._take(generation, arrived))
        config["deliver_subject"] = subject
        made = self._ask(f"CONSUMER.CREATE.{self._stream}", {"stream_name": self._stream, "config": config})
        self._consumer = made["name"]
        pending = int(made.get("num_pending", 0))
        if self._left is None:
            self._left = pending
        if self._until_now and (pending == 0 or self._left == 0) and not self._items:
            self._end(None)

    def _place(self) -> dict[str, Any]:
        since = self._since
        if self._last:
            return {"deliver_policy": "by_start_sequence", "opt_start_seq": self._last + 1}
        if since in ("all", "last"):
            return {"deliver_policy": since}
        try:
            if not isinstance(since, datetime):
                since = datetime.fromtimestamp(time.time() - float(since), UTC)
            return {"deliver_policy": "by_start_time", "opt_start_time": since.astimezone(UTC).isoformat()}
        except (ValueError, OverflowError, OSError):  # before there were clocks
            return {"deliver_policy": "all"}

    def _ask(self, what: str, question: dict[str, Any]) -> dict[str, Any]:
        """What JetStream answers; raises ``CannotOpen``."""
        assert self._connection is not None
        connection = self._connection
        answered, answers = Latch(), list[Delivered]()

        def take(answer: Delivered) -> None:
            answers.append(answer)
            answered.set()

        name = f"ask{next(_names)}"
        reply = connection.handle(name, take)
        try:
            connection.write(wire.request(f"$JS.API.{what}".encode(), reply.encode(), json.dumps(question).encode()))
            answered.wait(_PATIENCE)
        except SendFailed as error:
            raise CannotOpen(str(error)) from error
        finally:
            connection.unhandle(name)
        if not answers:
            raise CannotOpen(f"{connection.url} did not answer; does it let us use JetStream ($JS.API.>)?")
        if wire.status(answers[0].headers) == 503:
            raise CannotOpen(f"{connection.url} keeps no streams; set up JetStream there: nats-server -js")
        answer = json_object_or_none(answers[0].payload)
        if answer is None:
            raise CannotOpen(f"{connection.url}: what answers $JS.API.{what} is no JetStream")
        error: Any = answer.get("error")
        if error is not None:
            reason: Any = cast("dict[str, Any]", error).get("description") if isinstance(error, dict) else error
            raise CannotOpen(f"{connection.url}: {printable(str(reason), limit=200)}")
        return answer

    def _deliver_waiting(self) -> None:
        self._woken = False
        while self._items and not self._over:
            batch: list[Message] = []
            done, size = False, 0
            while self._items and len(batch) < _AT_ONCE and not done:
                item = self._items.popleft()
                if item.message is not None:
                    batch.append(item.message)
                    size += len(item.message.data) + _RECORD
                    if self._left is not None:
                        self._left -= 1
                    done = self._until_now and (item.pending == 0 or self._left == 0)
                elif batch:
                    self._items.appendleft(item)
                    break
                else:
                    with self._lock:
                        self._controls -= 1
                    self._answer(item.reply)
            with self._lock:
                self._waiting -= size
            if batch:
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
        if time.monotonic() - self._heard_at > _SILENT and not self._items:
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
            with self._lock:
                self._heard_at = time.monotonic() - _SILENT + _AGAIN
            self._thread.scheduler.schedule_relative(_AGAIN, lambda _scheduler, _state: self._go_on_if_silent())

    def _go_on_if_silent(self) -> None:
        if time.monotonic() - self._heard_at > _SILENT - 2 * _AGAIN:
            self._go_on()

    def _end(self, fault: Exception | None) -> None:
        if not self._over:
            self._over = True
            self._let_go()
            self._ended(fault)

    def _let_go(self) -> None:
        self._timer.dispose()
        self._drop_consumer()
        self._items.clear()
        if self._connection is not None:
            self._connection.unlisten(self._heed)

    def _drop_consumer(self) -> None:
        if self._connection is not None and self._sid:
            self._connection.bring_no_more(self._sid)
            if self._consumer:
                subject = f"$JS.API.CONSUMER.DELETE.{self._stream}.{self._consumer}"
                with suppress(MulticastError):  # the server drops it by itself after a while
                    self._connection.write(wire.request(subject.encode(), b"", b""))
                self._consumer = ""

    # On the connection's thread.

    def _heed(self, back: bool) -> None:
        if back:
            self._thread.post(self._go_on)

    def _take(self, generation: int, arrived: Delivered) -> None:
        with self._lock:
            if generation != self._taking or self._over:
                return
            self._heard_at = time.monotonic()
            if wire.status(arrived.headers) == 100:
                self._take_control(arrived)
                return
            place = wire.place_in_stream(arrived.reply)
            if place is None:
                return
            cost = len(arrived.payload) + _RECORD
            full = self._items and self._waiting + cost > _MOST_WAITING
            if place.of_consumer != self._next_of_consumer or full:
                self._begin_anew()
                return
            self._waiting += cost
            self._next_of_consumer += 1
            self._last = place.of_stream
            self._items.append(_Item(self._message(arrived, place.at), place.pending, b""))
            self._wake()

    def _take_control(self, arrived: Delivered) -> None:
        if arrived.reply:  # flow control
            self._let_flow(arrived.reply)
            return
        last = whole_or_none(wire.header(arrived.headers, b"Nats-Last-Consumer"))
        if last is not None and last >= self._next_of_consumer:
            self._begin_anew()
        stalled = wire.header(arrived.headers, b"Nats-Consumer-Stalled")
        if stalled:
            self._let_flow(stalled)

    def _let_flow(self, reply: bytes) -> None:
        """Answer once what came before is dealt with. Anybody may send here, so it goes nowhere but to flow control."""
        if _FLOW_CONTROL in reply and len(reply.split()) == 1 and self._controls < _MOST_CONTROLS:
            self._controls += 1
            self._items.append(_Item(None, 0, reply))
            self._wake()

    def _begin_anew(self) -> None:
        """A message is missing: take nothing more of this consumer."""
        self._taking = 0
        self._thread.post(self._go_on)

    def _wake(self) -> None:
        if not self._woken:
            self._woken = True
            self._thread.post(self._deliver_waiting)

    def _message(self, arrived: Delivered, at: float) -> Message:
        subject = arrived.subject.decode("utf-8", "replace")
        if self._foreign is not None:
            return Message(arrived.payload, "", 0, self._family, at, topic=subject)
        sender = subjects.sender_to_group(subject) or ("", 0)
        return Message(arrived.payload, *sender, self._family, at, destination=self._to_group)
