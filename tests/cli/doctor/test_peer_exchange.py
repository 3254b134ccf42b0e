"""What machines find out about each other by pings to the group, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from reactivex import operators as ops
from reactivex.testing import TestScheduler

from rx_multicast_ipc.cli.doctor.finding import Finding, Severity
from rx_multicast_ipc.cli.doctor.peer import Peer
from rx_multicast_ipc.cli.doctor.peer_exchange import PATIENCE, Exchange, Silence
from rx_multicast_ipc.cli.doctor.peer_findings import findings_of
from rx_multicast_ipc.cli.ping_protocol import is_ping
from rx_multicast_ipc.testing import VirtualNetwork

from ...helpers import THOROUGH, ipc

A, B = "10.0.0.1", "10.0.0.2"


class Machine:
    """A machine that takes part."""

    def __init__(self, network: VirtualNetwork, host: str, interval: float = 0.5) -> None:
        self.silences: list[Silence] = []
        self.channel = network.open_channel(host=host, echo=False)
        self.exchange = Exchange(self.channel, interval, self.silences.append)
        self.running = self.exchange.begin()

    @property
    def peer(self) -> Peer:
        """The only other one."""
        (peer,) = self.exchange.peers.values()
        return peer

    @property
    def findings(self) -> dict[str, Finding]:
        return {finding.name: finding for finding in findings_of(self.exchange, self.silences, "eth0")}


@pytest.fixture
def network() -> VirtualNetwork:
    return VirtualNetwork(TestScheduler(), latency=0.001)


def test_two_machines_count_the_same(network: VirtualNetwork) -> None:
    a, b = Machine(network, A), Machine(network, B)
    network.scheduler.advance_by(10.1)
    for machine in (a, b):
        assert set(machine.findings) == {"peer"}
        figures = machine.findings["peer"].figures
        assert figures["heard"] == figures["sent_there"] == 20
        assert figures["heard_there"] == figures["sent"] >= 19


@settings(max_examples=20 if THOROUGH else 5)
@example(66415, 0.59375)  # so much that it asks whether the other one is alive
@given(st.integers(0, 2**32), st.floats(0.05, 0.6))
def test_what_is_lost_is_counted_to_the_message_in_the_direction_it_was_lost(seed: int, loss: float) -> None:
    network = VirtualNetwork(TestScheduler(), latency=0.001, seed=seed)
    network.add_host(A)
    network.add_host(B)
    network.set_link(A, B, one_way=True, loss=loss)
    a, b = Machine(network, A, 0.1), Machine(network, B, 0.1)
    arrived: list[ipc.Message] = []
    pings = b.channel.messages.pipe(ops.filter(lambda m: is_ping(m.data)))
    pings.pipe(ops.filter(lambda m: not m.direct)).subscribe(arrived.append)  # not what asks whether it is alive
    network.scheduler.advance_by(10.05)
    figures = a.findings["peer"].figures
    assert figures["heard"] == figures["sent_there"]
    report = a.peer.report
    assert report is not None
    assert len(arrived) - 1 <= report.heard <= len(arrived)
    assert figures["heard_there"] == report.heard


def test_a_direction_that_is_dead_is_known_on_the_side_that_hears(network: VirtualNetwork) -> None:
    network.add_host(A)
    network.add_host(B)
    network.set_link(A, B, one_way=True, loss=1)
    a, b = Machine(network, A), Machine(network, B)
    network.scheduler.advance_by(10)
    assert a.findings["one-way"].severity is Severity.FAULT
    assert "from here to there" in a.findings["one-way"].seen
    assert b.exchange.peers == {}


def test_a_switch_that_drops_the_group_after_260_seconds_is_told_with_its_time(network: VirtualNetwork) -> None:
    a = Machine(network, A, interval=2)
    listener = network.open_channel(host=B)

    def answer(message: ipc.Message) -> None:
        now = network.scheduler.to_seconds(network.scheduler.now)
        if message.direct or now < 260:  # what a switch that snoops lets through
            listener.reply(message, message.data.replace(b"ping", b"pong", 1)).subscribe()

    listener.messages.pipe(ops.filter(lambda m: is_ping(m.data))).subscribe(answer)
    network.scheduler.advance_by(258 + 2 * PATIENCE)
    assert a.silences == []
    network.scheduler.advance_by(10)
    (silence,) = a.silences
    assert (silence.outgoing, silence.again, silence.alive) == (True, False, True)
    assert silence.after == pytest.approx(258, abs=0.1)
    assert a.findings["group-silent"].severity is Severity.FAULT
    assert any("querier" in step for step in a.findings["group-silent"].fix)


def test_a_machine_that_is_gone_is_told_apart_from_a_group_that_is(network: VirtualNetwork) -> None:
    a, b = Machine(network, A), Machine(network, B)
    network.scheduler.advance_by(10)
    b.running.dispose()
    b.channel.close()
    network.scheduler.advance_by(30)
    assert [silence.alive for silence in a.silences] == [False, False]
    assert {f.severity for f in a.findings.values() if f.name == "peer-gone"} == {Severity.NOTE}
    assert "group-silent" not in a.findings


def test_what_is_heard_again_is_told_too(network: VirtualNetwork) -> None:
    a, _ = Machine(network, A), Machine(network, B)
    network.scheduler.advance_by(10)
    network.partition(A, B)
    network.scheduler.advance_by(20)
    network.heal()
    network.scheduler.advance_by(20)
    assert [silence.again for silence in a.silences] == [False, False, True, True]
    assert "heard-again" in a.findings


def test_a_loss_now_and_then_is_no_silence() -> None:
    network = VirtualNetwork(TestScheduler(), latency=0.001, loss=0.2, seed=1)
    a, _ = Machine(network, A, interval=2), Machine(network, B, interval=2)
    network.scheduler.advance_by(600)
    assert a.silences == []
    assert a.findings["loss"].severity is Severity.WARNING


def test_a_listener_that_only_answers_is_a_peer(network: VirtualNetwork) -> None:
    from rx_multicast_ipc.cli.ping_protocol import answer_pings

    answer_pings(network.open_channel(host=B))
    a = Machine(network, A)
    network.scheduler.advance_by(10)
    assert "it answered 19 of 19 pings" in a.findings["peer"].seen


def test_nobody_is_a_fault_that_says_what_to_run_there(network: VirtualNetwork) -> None:
    a = Machine(network, A)
    network.scheduler.advance_by(10)
    assert a.findings["no-peer"].severity is Severity.FAULT
    assert "doctor --peer" in a.findings["no-peer"].fix[0]


@settings(max_examples=30)
@given(st.binary() | st.binary().map(lambda tail: b'{"rx-multicast-ipc":"report",' + tail))
def test_no_datagram_breaks_an_exchange(data: bytes) -> None:
    network = VirtualNetwork(TestScheduler(), latency=0.001)
    a = Machine(network, A)
    other = network.open_channel(host=B)
    network.scheduler.advance_by(1)
    address, port = a.channel.sender_address
    for send in (other.broadcast(data), other.send(data, port, address)):
        send.subscribe()
    network.scheduler.advance_by(5)
    assert a.exchange.sent == 12
