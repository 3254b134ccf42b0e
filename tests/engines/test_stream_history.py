"""How what a stream kept goes on with another consumer, and where it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc.transport.engine.nats import stream_history
from rx_multicast_ipc.transport.engine.nats.stream_history import NatsHistory
from rx_multicast_ipc.transport.engine.nats.wire import Delivered


class Server:
    """A connection, and the stream behind it, whose consumers have so many messages to come."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, pending: Sequence[int]) -> None:
        self.consumers: list[Callable[[Delivered], None]] = []
        self.configs: list[dict[str, Any]] = []
        self._pending = list(pending)
        monkeypatch.setattr(stream_history, "ask", self._ask)

    def bring(self, handler: Callable[[Delivered], None]) -> tuple[str, int]:
        self.consumers.append(handler)
        return "here", len(self.consumers)

    def bring_no_more(self, sid: int) -> None: ...

    def write(self, data: bytes) -> None: ...

    def unlisten(self, listener: object) -> None: ...

    def send(self, consumer: int, of_stream: int, of_consumer: int, pending: int) -> None:
        place = f"$JS.ACK.HISTORY.c.1.{of_stream}.{of_consumer}.1000000000.{pending}"
        self.consumers[consumer](Delivered(b"9", b"a.subject", place.encode(), b"", b"%d" % of_stream))

    def _ask(self, _connection: object, _subject: str, question: dict[str, Any]) -> dict[str, Any]:
        self.configs.append(question["config"])
        return {"name": "c", "num_pending": self._pending.pop(0)}


class Reader:
    """A history whose own thread is the test, which runs what is posted there."""

    def __init__(self, server: Server) -> None:
        self.heard: list[bytes] = []
        self.ends: list[Exception | None] = []
        self.history = NatsHistory(
            ipc.Nats("nats://127.0.0.1", subject="a.subject"), ipc.Group.of(), "all", True, self._hear, self.ends.append
        )
        self.internals: Any = self.history
        self.posted: list[Callable[[], None]] = []
        self.internals._connection = server
        self.internals._thread = self

    def post(self, action: Callable[[], None]) -> None:
        self.posted.append(action)

    def run(self) -> None:
        while self.posted:
            self.posted.pop(0)()

    def _hear(self, batch: list[ipc.Message]) -> None:
        self.heard += [message.data for message in batch]


def test_what_a_consumer_brings_while_another_one_begins_does_not_come_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, (3, 2))
    reader = Reader(server)
    reader.internals._consume()
    server.send(0, of_stream=1, of_consumer=1, pending=2)
    place = reader.internals._place

    def look_and_be_overtaken() -> dict[str, Any]:
        found = place()
        server.send(0, of_stream=2, of_consumer=2, pending=1)
        return found

    monkeypatch.setattr(reader.history, "_place", look_and_be_overtaken)
    reader.internals._consume()
    assert server.configs[1]["opt_start_seq"] == 2
    server.send(1, of_stream=2, of_consumer=1, pending=1)
    server.send(1, of_stream=3, of_consumer=2, pending=0)
    reader.run()
    assert (reader.heard, reader.ends) == ([b"1", b"2", b"3"], [None])


def test_it_ends_with_what_waits_where_another_consumer_finds_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(monkeypatch, (3, 0))
    reader = Reader(server)
    reader.internals._consume()
    server.send(0, of_stream=1, of_consumer=1, pending=2)
    server.send(0, of_stream=2, of_consumer=2, pending=1)
    reader.internals._consume()  # the third one is gone meanwhile
    assert reader.ends == []
    reader.run()
    assert (reader.heard, reader.ends) == ([b"1", b"2"], [None])
