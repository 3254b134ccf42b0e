from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from reactivex.testing import TestScheduler

from rx_multicast_ipc.group import Group
from rx_multicast_ipc.message import Message
from rx_multicast_ipc.transport import OpenTransport, Transport, _batch, _thread
from rx_multicast_ipc.transport.link import Link
from rx_multicast_ipc.transport.memory import VirtualHost
from rx_multicast_ipc.transport.udp import UdpTransport
from rx_multicast_ipc.transport.wire import Wire


class Rig:
    """A kind of transport under test: opens ends of one group, and lets time pass until something happened."""

    def __init__(self, open_transport: OpenTransport, group: Group, pass_time: Callable[[], None]) -> None:
        self._open = open_transport
        self._pass_time = pass_time
        self._opened: list[Transport] = []
        self.group = group

    def open(self, *, listen: bool = True) -> Transport:
        transport = self._open(self.group, receive_buffer=1 << 20, listen=listen)
        self._opened.append(transport)
        return transport

    def start(self, on_message: Callable[[Message], object] = lambda message: None) -> End:
        return End(self.open(), on_message)

    def until(self, condition: Callable[[], object]) -> None:
        for _ in range(4000):
            if condition():
                return
            self._pass_time()
        pytest.fail("it did not happen")

    def close(self) -> None:
        for transport in self._opened:
            transport.close()


class End:
    """A started transport, and what it delivered."""

    def __init__(self, transport: Transport, on_message: Callable[[Message], object]) -> None:
        self.transport = transport
        self.messages: list[Message] = []
        self.batches: list[int] = []
        self.ends: list[Exception | None] = []
        self.threads: set[int] = set()
        self.overlaps = 0
        self._delivering = False
        self._on_message = on_message
        transport.start(self._deliver, self._ended)

    def _deliver(self, batch: list[Message]) -> None:
        self.overlaps += self._delivering
        self._delivering = True
        self.threads.add(threading.get_ident())
        self.batches.append(len(batch))
        for message in batch:
            self.messages.append(message)
            self._on_message(message)
        self._delivering = False

    def _ended(self, fault: Exception | None) -> None:
        self.threads.add(threading.get_ident())
        self.ends.append(fault)


def udp(port: int) -> Rig:
    pause = threading.Event()

    def pass_time() -> None:
        pause.wait(0.005)

    return Rig(UdpTransport, Group.of(port), pass_time)


def virtual(port: int) -> Rig:
    scheduler = TestScheduler()
    wire = Wire(scheduler, Link(latency=0.01))
    return Rig(VirtualHost(wire, "10.0.0.1"), Group.of(port, interface="default"), lambda: scheduler.advance_by(0.005))


def udp_one_by_one(port: int) -> Rig:
    """Live UDP as on a machine without batch system calls and epoll."""
    return udp(port)


@pytest.fixture(params=[udp, udp_one_by_one, virtual], ids=lambda kind: kind.__name__)
def rig(request: pytest.FixtureRequest, port: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    if request.param is udp_one_by_one:
        monkeypatch.setattr(_batch, "HAS_BATCHES", False)
        monkeypatch.setattr(_thread, "_new_poller", _thread._Selector)  # pyright: ignore[reportPrivateUsage]
    made: Rig = request.param(port)
    yield made
    made.close()
