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


@pytest.mark.parametrize("queue", [100, 1000])
def test_traffic_that_fills_no_queue_gets_a_share_beside_it(queue: int) -> None:
    network, sender, receiver = busy(queue=queue, latency=0.0005)
    feed(network, sender)
    network.run(0.3)
    other = ModelDrivenFlow(network, sender)
    network.run(5.0)
    before = len(receiver.payloads), other.arrived
    network.run(30.0)
    ours = (len(receiver.payloads) - before[0]) * len(BODY)
    assert 0.3 < ours / (other.arrived - before[1]) < 4.0
    assert ours + other.arrived - before[1] > 0.9 * 30.0 * LINK
