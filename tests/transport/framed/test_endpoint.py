"""Reliable channels in virtual time: repair, order, size, slow receivers, late ones, goodbyes."""

from __future__ import annotations

import pytest

from rx_multicast_ipc import Reliable
from rx_multicast_ipc.transport.framed.packets import Beat

from ...helpers import thorough
from .simulation import Node, Simulation


def numbered(count: int, size: int = 100) -> list[bytes]:
    return [b"%08d" % number + bytes(size - 8) for number in range(count)]


def settled(network: Simulation, receivers: int = 1, options: Reliable | None = None) -> tuple[Node, list[Node]]:
    """A sender and receivers that know each other."""
    sender = network.add(options)
    ends = [network.add(options) for _ in range(receivers)]
    network.run(1.0)
    return sender, ends


@pytest.mark.parametrize("loss", [0.0, 0.01, 0.1, 0.3])
def test_whatever_is_lost_arrives_in_order(loss: float) -> None:
    network = Simulation(loss=loss, seed=1)
    sender, ends = settled(network, 3)
    messages = numbered(5000)
    sender.send(*messages)
    assert network.run(10.0, lambda: all(len(end.payloads) >= 5000 for end in ends))
    for end in ends:
        assert end.payloads == messages
        assert end.holes == []


def test_single_messages_at_a_steady_rate_wait_for_their_repair_only() -> None:
    network = Simulation(loss=0.1, seed=2, latency=0.0005)
    sender, (end,) = settled(network)
    sent_at: dict[bytes, float] = {}
    delays: list[float] = []
    for message in numbered(2000):
        sent_at[message] = network.now
        heard = len(end.payloads)
        sender.send(message)
        network.run(0.002)
        delays += [network.now - sent_at[late] for late in end.payloads[heard:]]
    network.run(1.0)
    assert len(end.payloads) == 2000
    assert sorted(delays)[len(delays) * 99 // 100] < 0.06


def test_a_lost_last_message_is_missed_by_the_beats() -> None:
    network = Simulation(seed=3)
    sender, (end,) = settled(network)
    sender.send(b"one")
    network.run(1.0)
    network.cut_off(end)
    sender.send(b"last")
    network.heal()
    assert network.run(0.05, lambda: end.payloads == [b"one", b"last"])


@pytest.mark.parametrize("size", [0, 1, 1383, 1384, 1385, 65_535, 65_536, 1_000_000])
def test_messages_of_any_size_arrive_whole(size: int) -> None:
    network = Simulation(loss=0.1, seed=4)
    sender, (end,) = settled(network)
    message = network.random.randbytes(size)
    sender.send(b"before", message, b"after")
    assert network.run(10.0, lambda: len(end.payloads) == 3)
    assert end.payloads == [b"before", message, b"after"]


def test_a_message_larger_than_is_taken_is_a_hole() -> None:
    network = Simulation(seed=5)
    sender = network.add(Reliable(largest=1 << 20))
    end = network.add(Reliable(largest=10_000))
    network.run(1.0)
    sender.send(b"before", bytes(10_001), b"after")
    network.run(2.0)
    assert end.payloads == [b"before", b"after"]
    assert [hole.reason for hole in end.holes] == ["a message of 10001 bytes is more than is taken"]


def test_messages_sent_together_share_packets() -> None:
    network = Simulation(seed=6)
    sender, _ = settled(network)
    network.keeps_packets = True
    sender.send(*numbered(1300))
    network.run(1.0)
    assert len(network.data()) <= 110


def test_a_partition_is_repaired_after_it() -> None:
    network = Simulation(seed=7)
    sender, ends = settled(network, 2)
    cut = ends[0]
    network.cut_off(cut)
    for message in numbered(60):
        sender.send(message)
        network.run(0.1)
    assert len(ends[1].payloads) == 60
    network.heal()
    sender.send(b"healed")
    network.run(3.0)
    for end in ends:
        assert end.payloads == [*numbered(60), b"healed"]
        assert end.holes == []


def test_a_partition_longer_than_what_is_kept_is_told() -> None:
    network = Simulation(seed=8)
    sender, (end, other) = settled(network, 2, Reliable(window=16, patience=0.5))
    sender.send(b"first")
    network.run(0.1)
    network.cut_off(end)
    messages = numbered(100, 1300)
    sender.send(*messages)
    network.run(10.0)
    network.heal()
    network.run(5.0)
    assert other.payloads == [b"first", *messages]
    assert [hole.reason for hole in end.holes] == ["the sender keeps it no more"]
    assert end.holes[0].packets + len(end.payloads) == 101
    assert end.payloads[1:] == messages[101 - len(end.payloads) :]


def test_a_sender_that_restarts_begins_anew() -> None:
    network = Simulation(loss=0.1, seed=9)
    sender, (end,) = settled(network)
    sender.send(*numbered(10))
    network.run(2.0)
    sender.crash()
    successor = network.add(port=sender.address[1])
    successor.send(b"again 1", b"again 2")
    network.run(2.0)
    assert end.payloads == [*numbered(10), b"again 1", b"again 2"]
    assert end.holes == []


def test_what_a_sender_that_died_never_repaired_is_told() -> None:
    network = Simulation(seed=10)
    sender, (end,) = settled(network)
    sender.send(b"one")
    network.run(0.1)
    network.cut_off(end)
    sender.send(b"lost")
    network.heal()
    sender.send(b"three")
    network.run(0.0011)
    sender.crash()
    network.run(40.0)
    assert end.payloads == [b"one", b"three"]
    assert [hole.reason for hole in end.holes] == ["the sender fell silent"]
    assert [what if isinstance(what, bytes) else "hole" for _, what in end.heard] == [b"one", "hole", b"three"]


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_who_comes_late_begins_there_and_misses_nothing(loss: float) -> None:
    network = Simulation(loss=loss, seed=11)
    sender, (end,) = settled(network)
    sender.send(*numbered(50))
    network.run(1.0)
    late = network.add()
    network.run(1.0)
    later = [b"later %d" % number for number in range(50)]
    for message in later:
        sender.send(message)
        network.run(0.01)
    network.run(2.0)
    assert end.payloads == [*numbered(50), *later]
    assert late.payloads == later[50 - len(late.payloads) :]
    assert len(late.payloads) >= (50 if not loss else 40)
    assert late.holes == []


def test_who_comes_amid_a_large_message_begins_behind_it() -> None:
    network = Simulation(seed=12, bandwidth=1e6)
    sender, _ = settled(network)
    sender.send(bytes(1_000_000), b"after")
    network.run(0.5)
    late = network.add()
    network.run(5.0)
    assert late.payloads == [b"after"]
    assert late.holes == []


def test_the_sender_waits_for_a_slow_receiver() -> None:
    network = Simulation(seed=13)
    sender, (slow, quick) = settled(network, 2, Reliable(window=32, patience=5.0))
    messages = numbered(200, 1300)
    sender.send(*messages)
    slow.stopped = True
    network.run(2.0)
    assert not sender.sent_all
    slow.resume()
    assert network.run(2.0, lambda: len(quick.payloads) == len(slow.payloads) == 200)
    assert slow.payloads == messages


def test_a_receiver_that_stays_slow_is_left_behind_and_told() -> None:
    network = Simulation(seed=14)
    sender, (slow, quick) = settled(network, 2, Reliable(window=32, patience=1.0))
    messages = numbered(200, 1300)
    sender.send(b"first")
    network.run(0.1)
    slow.stopped = True
    sender.send(*messages)
    started = network.now
    assert network.run(5.0, lambda: len(quick.payloads) == 201)
    assert network.now - started >= 1.0
    slow.resume(keep=4)
    network.run(2.0)
    assert len(slow.holes) == 1
    assert slow.holes[0].packets + len(slow.payloads) == 201
    sender.send(b"caught up")
    network.run(1.0)
    assert slow.payloads[-1] == b"caught up"


def test_direct_messages_reach_one_end_in_order() -> None:
    network = Simulation(loss=0.3, seed=15)
    sender, (one, other) = settled(network, 2)
    for message in numbered(100):
        sender.send(message, to=one)
    sender.send(b"to all")
    network.run(5.0)
    assert [payload for payload in one.payloads if payload != b"to all"] == numbered(100)
    assert other.payloads == [b"to all"]


@pytest.mark.parametrize("seed", range(20))
def test_a_stream_that_ends_lingers_until_it_was_heard(seed: int) -> None:
    network = Simulation(loss=0.1, seed=seed)
    end = network.add()
    network.run(1.0)
    sender = network.add()
    sender.send(b"one", b"two")
    sender.endpoint.end(network.now)
    sender.poll()
    assert network.run(1.1, lambda: sender.endpoint.ended)
    sender.crash()
    network.run(2.0)
    assert end.payloads == [b"one", b"two"]
    assert sender.endpoint.counts.unacknowledged == 0


def test_a_stream_that_nobody_acknowledges_ends_after_a_second_and_counts_it() -> None:
    network = Simulation(seed=16)
    sender, _ = settled(network)
    sender.send(b"heard")
    network.run(1.0)
    network.cut_off(sender)
    sender.send(b"lost")
    sender.endpoint.end(network.now)
    sender.poll()
    begun = network.now
    assert network.run(2.0, lambda: sender.endpoint.ended)
    assert 0.9 < network.now - begun < 1.1
    assert sender.endpoint.counts.unacknowledged == 1


def test_a_stream_to_nobody_ends_soon() -> None:
    network = Simulation(seed=17)
    sender = network.add()
    sender.send(b"one")
    sender.endpoint.end(network.now)
    sender.poll()
    assert network.run(0.4, lambda: sender.endpoint.ended)


def test_a_stream_to_nobody_ends_at_once_where_somebody_would_have_answered() -> None:
    network = Simulation(seed=25)
    sender = network.add()
    network.run(1.0)
    sender.send(b"one")
    sender.endpoint.end(network.now)
    sender.poll()
    assert network.run(0.05, lambda: sender.endpoint.ended)


def test_who_leaves_acknowledges_what_it_has() -> None:
    network = Simulation(seed=18)
    sender, (end,) = settled(network)
    sender.send(b"last")
    mark = sender.endpoint.to_group.mark()
    network.run(0.01, lambda: bool(end.payloads))
    end.endpoint.end(network.now)
    end.poll()
    network.run(0.1)
    acknowledged = sender.endpoint.to_group.marks.outcome(mark, network.now)
    assert acknowledged is not None
    assert (acknowledged.by, acknowledged.missing) == ((end.address,), ())


def test_who_leaves_is_not_waited_for() -> None:
    network = Simulation(seed=26)
    sender, (stays, leaves) = settled(network, 2, Reliable(window=16, patience=60.0))
    leaves.send(b"goodbye")
    leaves.endpoint.end(network.now)
    leaves.poll()
    sender.send(*numbered(200, 1300))
    assert network.run(2.0, lambda: len(stays.payloads) == 201)


def test_what_was_left_behind_by_a_goodbye_is_told() -> None:
    network = Simulation(seed=18)
    sender, (end,) = settled(network)
    sender.send(b"one")
    network.run(0.1)
    network.fate = only_goodbyes
    sender.send(b"two")
    sender.endpoint.end(network.now)
    sender.poll()
    network.run(2.0, lambda: sender.endpoint.ended)
    network.run(0.01)
    sender.crash()
    network.run(3.0)
    assert end.payloads == [b"one"]
    assert [hole.reason for hole in end.holes] == ["the sender left"]


def test_a_quiet_network_comes_to_rest() -> None:
    """Nothing is sent and no timer is set for ever, so that virtual time can run out."""
    network = Simulation(loss=0.1, seed=19)
    sender, _ = settled(network, 2)
    sender.send(*numbered(10))
    sender.send(b"to nobody", to=network.add())
    network.run(120.0)
    network.keeps_packets = True
    network.run(1000.0)
    assert network.packets == []
    assert all(node.endpoint.timer() == float("inf") for node in network.nodes.values())


def only_goodbyes(_source: Node, _target: Node, packet: bytes) -> bool:
    return packet[1] >> 4 != 4


@pytest.mark.parametrize(
    ("receivers", "packets"), [(1, 1000), (10, 1000), (100, 100), pytest.param(1000, 40, marks=thorough)]
)
def test_one_loss_is_asked_for_by_few(receivers: int, packets: int) -> None:
    """A loss that all share: by a link near the sender."""
    network = Simulation(seed=20, latency=0.005)
    sender, ends = network.add(), [network.add(announces=receivers < 100) for _ in range(receivers)]
    fates: dict[bytes, bool] = {}
    sent = 0

    def fate(source: Node, _target: Node, packet: bytes) -> bool:
        """Every twentieth packet is lost for all, when it goes out first."""
        nonlocal sent
        if source is not sender or packet[1] >> 4 != 1:
            return False
        if packet not in fates:
            sent += 1
            fates[packet] = sent % 20 == 10
            network.at(network.now + 1e-6, lambda: fates.__setitem__(packet, False))
        return fates[packet]

    network.fate = fate
    sender.send(b"hello")
    network.run(2.0)
    network.keeps_packets = True
    messages = numbered(packets)
    for message in messages:
        sender.send(message)
        network.run(0.005)
    network.run(5.0)
    naks = len(network.requests())
    assert 1 <= naks <= 10 * (sent // 20)
    assert all(end.payloads == [b"hello", *messages] for end in ends)


@pytest.mark.parametrize("queue", [25, 100, 1000])
def test_a_slow_link_is_filled_and_not_flooded(queue: int) -> None:
    network = Simulation(seed=21, bandwidth=1.25e6, queue=queue, latency=0.0005)
    sender, (end,) = settled(network)
    messages = numbered(2000, 1300)
    sender.send(*messages)
    begun = network.now
    assert network.run(20.0, lambda: len(end.payloads) == 2000)
    assert 2000 * (1300 + 16 + 42) / (network.now - begun) > 0.9 * 1.25e6
    assert sender.endpoint.counts.repeated <= 0.1 * 2000


def test_a_long_way_is_filled() -> None:
    network = Simulation(seed=22, bandwidth=12.5e6, latency=0.05)
    sender, (end,) = settled(network)
    messages = numbered(10_000, 1300)
    sender.send(*messages)
    begun = network.now
    assert network.run(20.0, lambda: len(end.payloads) == 10_000)
    assert 10_000 * 1300 / (network.now - begun) > 0.5 * 12.5e6


def test_the_rate_is_kept() -> None:
    network = Simulation(seed=23)
    sender, (end,) = settled(network, 1, Reliable(rate=100_000))
    sender.send(*numbered(200, 1300))
    begun = network.now
    assert network.run(10.0, lambda: len(end.payloads) == 200)
    assert 0.8 < 200 * 1300 / 100_000 / (network.now - begun) < 1.2


def test_beats_grow_rare() -> None:
    network = Simulation(seed=24)
    sender, _ = settled(network)
    network.keeps_packets = True
    sender.send(b"one")
    begun = network.now
    network.run(1.5)
    at = [round(when - begun, 3) for when, _, packet in network.packets if isinstance(packet, Beat)]
    assert [moment for moment in at if moment < 1.1][:8] == [0.004, 0.012, 0.028, 0.06, 0.124, 0.252, 0.508, 1.02]


def test_many_short_lives_at_once_are_all_heard() -> None:
    network = Simulation(loss=0.1, seed=19)
    end = network.add()
    network.run(1.0)
    senders: list[Node] = []

    def live(number: int) -> None:
        sender = network.add(port=6000 + number)
        senders.append(sender)
        sender.send(b"%d" % number)
        sender.endpoint.end(network.now)
        sender.poll()
        network.at(network.now + 1.1, sender.crash)  # the process is gone

    for number in range(150):  # more than there is place for at once
        network.at(network.now + number * 0.01, lambda number=number: live(number))
    network.run(10.0)
    assert sorted(map(int, end.payloads)) == [*range(150)]
    assert all(sender.endpoint.ended for sender in senders)


def test_an_answer_that_is_lost_is_given_again() -> None:
    network = Simulation(seed=20)
    first = network.add()
    network.run(2.0)
    answers = 0

    def fate(source: Node, target: Node, packet: bytes) -> bool:
        nonlocal answers
        answers += source is first
        return source is first and answers == 1

    network.fate = fate
    second = network.add()
    network.run(1.0)
    assert second.endpoint.peers == {first.address}
