"""Who waits for space to send is told, whatever took it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from typing import Any

import pytest

from rx_multicast_ipc import Reliable, SendFailed
from rx_multicast_ipc.subscribing.subscriber_errors import delivering_here
from rx_multicast_ipc.transport import WouldBlock
from rx_multicast_ipc.transport.framed.packets import ControlPacket
from rx_multicast_ipc.transport.framed.space_waiters import SpaceWaiters
from rx_multicast_ipc.transport.latch import Latch

from ...interrupts import interrupted_at
from .held_ends import HeldEnd, HeldNetwork

MESSAGE = bytes(200_000)


def test_what_an_end_sends_to_itself_alone_is_bounded_and_who_waits_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    network = HeldNetwork(monkeypatch)
    end = HeldEnd(network, Reliable())
    network.run(3.0)
    sent = 0
    with delivering_here(), suppress(WouldBlock):
        while sent < 100:
            end.transport.send(MESSAGE, end.transport.sender_address)
            sent += 1
    assert 20 <= sent <= 22
    told: list[int] = []
    end.transport.when_writable(lambda: told.append(len(end.heard)))
    network.run(1.0)
    assert len(end.heard) == sent
    assert len(told) == 1


def test_a_sender_that_gives_up_waiting_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    network = HeldNetwork(monkeypatch)
    end: Any = HeldEnd(network, Reliable()).transport
    network.run(3.0)
    monkeypatch.setattr(end._sends, "_offer", no_space)
    waits: list[float] = []

    def wait(_: Latch, seconds: float) -> bool:
        waits.append(seconds)
        network.now += seconds
        return False

    monkeypatch.setattr(Latch, "wait", wait)
    with pytest.raises(SendFailed, match="stays full"):
        end.send(MESSAGE)
    assert len(waits) > 10
    assert end._driver.waiters.threads == []


def test_a_thread_that_sends_to_another_end_alone_is_woken_while_own_messages_have_no_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = HeldNetwork(monkeypatch)
    end: Any = HeldEnd(network, Reliable()).transport
    network.run(3.0)
    with delivering_here(), suppress(WouldBlock):
        while True:
            end.send(MESSAGE, end.sender_address)
    told: list[int] = []
    end.when_writable(lambda: told.append(1))
    with end._lock:
        latch = end._driver.waiters.new_thread()
        end._driver.go_on()
    assert latch.is_set
    assert told == []
    network.run(1.0)
    assert told == [1]


def test_an_end_whose_send_buffer_stays_full_waits_for_it_and_not_for_its_timer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = HeldNetwork(monkeypatch)
    first, second = (HeldEnd(network, Reliable()) for _ in range(2))
    network.run(3.0)
    driver: Any = first.transport
    driver = driver._driver
    first.transport.send(b"before it")
    first.link.space = False
    for _ in range(300):
        first.transport.packets.send(ControlPacket(15, 0, 0, 0, 0, b""))
    calls: list[float] = []
    go_on = driver.go_on

    def counted(*, heard: bool = True) -> None:
        calls.append(network.now)
        assert len(calls) < 100
        go_on()

    monkeypatch.setattr(driver, "go_on", counted)
    first.transport.send(b"behind it")
    network.run(10.0)
    first.link.space = True
    network.run(5.0)
    assert second.heard == [b"before it", b"behind it"]


def test_each_action_that_waits_runs_although_ctrl_c_comes() -> None:
    for place in count(1):
        waiters, ran = waiting_actions()
        reached = interrupted_at(place, lambda waiters=waiters: waiters.pass_on(call))
        waiters.pass_on(call)
        assert {*ran} == {0, 1, 2}
        if not reached:
            break


def test_each_action_that_waits_runs_once_although_another_thread_looks_too() -> None:
    for place in count(1):
        lock = threading.RLock()
        waiters, ran = waiting_actions(lock)
        other = threading.Thread(target=waiters.pass_on, args=(call,))

        def look(lock: Any = lock, other: threading.Thread = other) -> None:
            other.start()
            if not lock._is_owned():
                other.join()

        reached = interrupted_at(place, lambda waiters=waiters: waiters.pass_on(call), look)
        if not reached:
            break
        other.join()
        assert sorted(ran) == [0, 1, 2]


def no_space(_payloads: Any, _destination: Any) -> int:
    return 0


def waiting_actions(lock: threading.RLock | None = None) -> tuple[SpaceWaiters, list[int]]:
    waiters, ran = SpaceWaiters(lock or threading.RLock()), list[int]()
    waiters.actions += [partial(ran.append, number) for number in range(3)]
    return waiters, ran


def call(action: Callable[[], None]) -> None:
    action()
