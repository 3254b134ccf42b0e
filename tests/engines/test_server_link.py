"""A link to a server that is closed while somebody waits for an answer."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from rx_multicast_ipc.option_values.engines import Nats
from rx_multicast_ipc.transport.engine.nats import cluster
from rx_multicast_ipc.transport.engine.nats.login import Login
from rx_multicast_ipc.transport.engine.nats.server_link import ServerLink
from rx_multicast_ipc.transport.engine.nats.wire import Parser
from rx_multicast_ipc.transport.udp.io_thread import IoThread


class Owner:
    def greeting(self) -> bytes:
        return b""

    def take(self, messages: object) -> None: ...

    def hear_violation(self, reason: str, text: bytes) -> None: ...

    def lost(self) -> None: ...

    def back(self) -> None: ...


def test_who_waits_for_an_answer_is_told_as_the_link_is_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = socket.socketpair()
    near.setblocking(False)

    def log_in(*_: object) -> Login:
        return Login(near, {}, Parser(), ("127.0.0.1", 4222))

    monkeypatch.setattr(cluster, "log_in", log_in)
    thread, told = IoThread("link"), list[Any]()
    link = ServerLink(Nats("nats://127.0.0.1"), thread, threading.RLock(), Owner())
    link.begin()
    try:
        link.ask(told.append)
    finally:
        link.shut()
        link.shut()
        thread.call(link.close)
        far.close()
    assert told == [False]
