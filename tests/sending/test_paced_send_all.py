from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import reactivex as rx
from reactivex.subject import Subject
from reactivex.testing import TestScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc.message import Address
from rx_multicast_ipc.sending import paced_send_all
from rx_multicast_ipc.sending.paced_send_all import send_all
from rx_multicast_ipc.transport import WouldBlock

from ..helpers import Seen

PAYLOADS = [number.to_bytes(4) for number in range(500)]


class Narrow:
    """A transport that has no room for every seventh datagram at first, and tells of room on another thread."""

    group = ipc.Group.of()
    closed = False

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self._asked = 0

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        self.send_many([payload])

    def send_many(self, payloads: Sequence[bytes]) -> None:
        for number, payload in enumerate(payloads):
            self._asked += 1
            if self._asked % 7 == 0:
                error = WouldBlock("no room")
                error.sent = number
                raise error
            self.sent.append(payload)

    def when_room(self, action: Callable[[], None]) -> None:
        threading.Thread(target=action).start()


class Stuck(Narrow):
    """A transport that has no room, until told."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Callable[[], None]] = []

    def send_many(self, payloads: Sequence[bytes]) -> None:
        if self.waiting:
            self.sent += payloads
        else:
            raise WouldBlock("no room")

    def when_room(self, action: Callable[[], None]) -> None:
        self.waiting.append(action)


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_threads")
@pytest.mark.parametrize("source", [list, iter, rx.from_iterable], ids=["sequence", "iterator", "observable"])
def test_what_is_sent_on_one_thread_and_goes_on_from_another_is_whole_and_in_order(
    source: Callable[[list[bytes]], Any],
) -> None:
    for _ in range(20):
        transport: Any = Narrow()
        sending = Seen(send_all(transport, source(PAYLOADS), None, TestScheduler()))
        assert sending.wait_for_end().values == [len(PAYLOADS)]
        assert transport.sent == PAYLOADS


def test_a_source_that_is_faster_than_the_link_for_long_is_told_instead_of_filling_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(paced_send_all, "_MOST_WAITING", 10)
    transport: Any = Stuck()
    source: Subject[bytes] = Subject()
    sending = Seen(send_all(transport, source, None, TestScheduler()))
    for payload in PAYLOADS:
        source.on_next(payload)
    assert isinstance(sending.error, ipc.SendFailed)
    assert "slower than their source" in str(sending.error)
    assert not source.observers
