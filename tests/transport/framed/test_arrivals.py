"""What arrives at a reliable end while another thread sends."""

from __future__ import annotations

from collections import deque
from threading import Thread, current_thread
from typing import Any, cast

import pytest

from rx_multicast_ipc import Message, Reliable
from rx_multicast_ipc.subscribing.subscriber_errors import delivering_here
from rx_multicast_ipc.transport.framed.packet_codec import parse
from rx_multicast_ipc.transport.framed.packets import Beat, Data, Status
from rx_multicast_ipc.transport.latch import Latch

from ...helpers import PATIENCE
from .held_ends import HeldEnd, HeldNetwork


def packet_of(network: HeldNetwork, end: HeldEnd, payload: bytes) -> Message:
    """What an end sends for a message, which does not arrive by itself."""
    packets: list[bytes] = []
    network.lose = lambda packet: packets.append(packet) is None
    end.transport.send(payload)
    network.lose = lambda _: False
    return Message(packets[0], *end.link.sender_address)


@pytest.mark.parametrize("echo", [True, False])
def test_an_answer_that_is_read_before_its_question_is_sent_overtakes_nothing(
    monkeypatch: pytest.MonkeyPatch, echo: bool
) -> None:
    """The call that sends has yet to return; where the question is heard here, too, the answer comes behind it."""
    network = HeldNetwork(monkeypatch)
    first, second = HeldEnd(network, Reliable(), echo=echo), HeldEnd(network, Reliable(), echo=False)
    network.run(3.0)
    first.link.deliver([packet_of(network, second, b"known")])  # so that the next one asks for no acknowledgement
    answer, end = packet_of(network, second, b"answer"), cast("Any", first.transport)
    taken: list[int] = []

    def send_and_read(_packet: bytes) -> None:
        reading = Thread(target=lambda: taken.append(end._arrivals.take_at_once([answer])), daemon=True)
        reading.start()
        reading.join(30.0)

    with monkeypatch.context() as patch:
        patch.setattr(first.link, "send", send_and_read)
        first.transport.send(b"question")
    if taken == [0]:
        first.link.deliver([answer])
    network.run(1.0)
    assert taken == [0 if echo else 1]
    assert first.heard == [b"known", *([b"question"] if echo else []), b"answer"]


def test_an_answer_that_is_read_while_its_question_is_put_behind_it_overtakes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Threads run at the same time, so the send ends between two looks at what is before the answer."""
    network = HeldNetwork(monkeypatch)
    first, second = HeldEnd(network, Reliable()), HeldEnd(network, Reliable(), echo=False)
    network.run(3.0)
    first.link.deliver([packet_of(network, second, b"known")])
    answer, end = packet_of(network, second, b"answer"), cast("Any", first.transport)
    sends, go_on = Latch(), Latch()
    reads = current_thread()

    def send(_packet: bytes) -> None:
        sends.set()
        assert go_on.wait(PATIENCE)

    class Ready(deque[Any]):
        def __len__(self) -> int:
            size = super().__len__()
            if current_thread() is reads and not go_on.is_set:
                go_on.set()
                sending.join(PATIENCE)
            return size

    end._queue.ready = Ready()
    with monkeypatch.context() as patch:
        patch.setattr(first.link, "send", send)
        sending = Thread(target=lambda: end.send(b"question"), daemon=True)
        sending.start()
        assert sends.wait(PATIENCE)
        taken = end._arrivals.take_at_once([answer])
        go_on.set()
        sending.join(PATIENCE)
    if not taken:
        first.link.deliver([answer])
    network.run(1.0)
    assert first.heard == [b"known", b"question", b"answer"]


@pytest.mark.parametrize("whose", ["its own", "another's"])
def test_a_subscriber_that_forks_amid_a_delivery_waits_in_the_child_for_no_thread_of_its_parent(
    monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    network = HeldNetwork(monkeypatch)
    first, second = HeldEnd(network, Reliable()), HeldEnd(network, Reliable(), echo=False)
    network.run(3.0)
    second.transport.send(b"known")
    network.run(1.0)
    end, link = cast("Any", first.transport), cast("Any", first.link)
    link.forget = lambda: None
    held, done = Latch(), Latch()

    def hold() -> None:
        for lock in (end._lock, end._driver.timer._lock, end._queue._timer._lock):
            lock.acquire()
        held.set()

    def fork(_batch: list[Message]) -> None:
        Thread(target=hold, daemon=True).start()  # which a fork would leave behind
        assert held.wait(PATIENCE)
        end.forget()

    def read() -> None:
        with delivering_here():
            if whose == "its own":
                end._queue.drain()
            else:
                link.deliver([packet])
        done.set()

    packet = packet_of(network, second, b"message")
    end._queue.deliver = fork
    if whose == "its own":
        end.send(b"message")
    Thread(target=read, daemon=True).start()
    assert done.wait(PATIENCE)
    assert held.is_set


def test_what_is_heard_is_acknowledged_by_the_thread_that_reads_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    network = HeldNetwork(monkeypatch)
    first, second = HeldEnd(network, Reliable()), HeldEnd(network, Reliable())
    network.run(3.0)
    second.transport.send(b"known")
    network.run(1.0)
    first.link.deliver([packet_of(network, second, b"message")])
    sent: list[bytes] = []
    network.lose = lambda packet: sent.append(packet) is not None
    network.now += 1.0  # the acknowledgement is overdue
    first.transport.send_many([b"one", b"two"])
    assert {type(parse(packet)) for packet in sent} <= {Data, Beat}
    network.run(1.0)
    assert Status in {type(parse(packet)) for packet in sent}
