"""Beside traffic that fills queues until they overflow, and alone: what a stream gets of a link, in virtual time."""

from __future__ import annotations

import pytest

from .loss_driven_flow import LossDrivenFlow
from .model_driven_flow import ModelDrivenFlow
from .simulation import Node, Simulation

LINK = 10e6 / 8
BODY = bytes(1300)


def feed(network: Simulation, sender: Node) -> None:
    """Keep the sender busy from now on."""
    queued = network.now
    if sender.sent_all:
        sender.send(*[BODY] * 200)
    network.at(queued + 0.02, lambda: feed(network, sender))


def busy(*, queue: int, latency: float, loss: float = 0.0) -> tuple[Simulation, Node, Node]:
    network = Simulation(bandwidth=LINK, queue=queue, latency=latency, loss=loss)
    sender, receiver = network.add(), network.add()
    network.run(1.0)
    return network, sender, receiver


@pytest.mark.parametrize("latency", [0.0005, 0.02])
@pytest.mark.parametrize("queue", [25, 45, 100])
def test_who_comes_beside_it_and_the_stream_both_get_a_share(queue: int, latency: float) -> None:
    network, sender, receiver = busy(queue=queue, latency=latency)
    feed(network, sender)
    network.run(1.0)
    other = LossDrivenFlow(network, sender)
    network.run(10.0)
    before = len(receiver.payloads), other.arrived
    network.run(20.0)
    ours = (len(receiver.payloads) - before[0]) * len(BODY)
    assert 0.3 < ours / (other.arrived - before[1]) < 3.0
    assert ours + other.arrived - before[1] > 0.9 * 20.0 * LINK


def test_who_comes_late_to_a_full_queue_repeats_little() -> None:
    network, sender, receiver = busy(queue=100, latency=0.0005)
    LossDrivenFlow(network, sender)
    network.run(5.0)
    feed(network, sender)
    network.run(20.0)
    assert len(receiver.payloads) > 1000
    assert sender.endpoint.counts.repeated < 0.2 * len(receiver.payloads)


@pytest.mark.parametrize("latency", [0.0005, 0.02])
def test_who_begins_in_a_queue_that_is_just_filling_repeats_little_and_gets_a_share(latency: float) -> None:
    network, sender, receiver = busy(queue=100, latency=latency)
    other = LossDrivenFlow(network, sender)
    network.run(1.1)
    feed(network, sender)
    network.run(10.0)
    before = len(receiver.payloads), other.arrived
    network.run(20.0)
    ours = (len(receiver.payloads) - before[0]) * len(BODY)
    assert 0.3 < ours / (other.arrived - before[1]) < 3.0
    assert sender.endpoint.counts.repeated < 0.3 * len(receiver.payloads)


@pytest.mark.parametrize("queue", [25, 100, 1000])
def test_alone_it_fills_the_link_and_not_its_queue(queue: int) -> None:
    network, sender, receiver = busy(queue=queue, latency=0.001)
    feed(network, sender)
    network.run(5.0)
    before, repeated = len(receiver.payloads), sender.endpoint.counts.repeated
    network.run(5.0)
    assert (len(receiver.payloads) - before) * len(BODY) > 0.9 * 5.0 * LINK
    assert sender.endpoint.counts.repeated - repeated < 0.01 * (len(receiver.payloads) - before)
    assert (sender.link_free - network.now) < 0.05


def test_a_link_that_loses_a_tenth_is_filled_with_what_it_leaves() -> None:
    network, sender, receiver = busy(queue=100, latency=0.02, loss=0.1)
    feed(network, sender)
    network.run(5.0)
    before = len(receiver.payloads)
    network.run(10.0)
    assert (len(receiver.payloads) - before) * len(BODY) > 0.75 * 0.9 * 10.0 * LINK


def shares(
    network: Simulation, receiver: Node, other: ModelDrivenFlow | LossDrivenFlow | None, seconds: float
) -> tuple[float, float]:
    """Parts of the link from now on, ours and the other's."""
    before = len(receiver.payloads), other.arrived if other else 0
    network.run(seconds)
    ours = (len(receiver.payloads) - before[0]) * (len(BODY) + 58)  # headers: UDP's, IP's, Ethernet's and our own
    its = other.arrived - before[1] if other else 0
    return ours / seconds / network.bandwidth, its / seconds / network.bandwidth


def stand_still(network: Simulation, receiver: Node) -> None:
    """Let the receiver read nothing for a while, and catch up at once."""
    receiver.stopped = True
    network.run(0.5)
    receiver.resume(1000)


def share_and_fill(network: Simulation, sender: Node, receiver: Node) -> None:
    """Traffic that fills no queue comes, gets its share, and goes; then all is ours again."""
    other = ModelDrivenFlow(network, sender)
    network.run(10.0)
    stand_still(network, receiver)
    network.run(10.0)
    ours, its = shares(network, receiver, other, 40.0)
    assert 0.2 < ours / its < 4.0
    assert ours + its > 0.9
    other.stop()
    network.run(15.0)
    ours, _ = shares(network, receiver, None, 10.0)
    assert ours > 0.9


@pytest.mark.parametrize("queue", [100, 1000])
def test_traffic_that_fills_no_queue_gets_a_share_beside_it(queue: int) -> None:
    network, sender, receiver = busy(queue=queue, latency=0.0005)
    feed(network, sender)
    network.run(0.3)
    share_and_fill(network, sender, receiver)


@pytest.mark.parametrize("latency", [0.0005, 0.05])
def test_so_it_does_after_a_receiver_stood_still_and_caught_up(latency: float) -> None:
    network, sender, receiver = busy(queue=1000, latency=latency)
    feed(network, sender)
    network.run(5.0)
    stand_still(network, receiver)
    network.run(1.0)
    share_and_fill(network, sender, receiver)


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_so_it_does_after_the_link_became_slower_or_faster(factor: float) -> None:
    network, sender, receiver = busy(queue=300, latency=0.0005)
    feed(network, sender)
    network.run(5.0)
    network.bandwidth *= factor
    network.run(5.0)
    ours, _ = shares(network, receiver, None, 5.0)
    assert ours > 0.9
    share_and_fill(network, sender, receiver)


def test_who_sends_a_packet_at_a_time_sees_that_the_way_is_short_again() -> None:
    network = Simulation(latency=1.0)
    sender, receiver = network.add(), network.add()
    network.run(3.0)

    def trickle() -> None:
        sender.send(BODY)
        network.at(network.now + 0.05, trickle)

    trickle()
    network.run(10.0)
    network.latency = 0.001
    network.run(20.0)
    before = len(receiver.payloads)
    sender.send(*[BODY] * 200)
    assert network.run(0.5, lambda: len(receiver.payloads) >= before + 200)
