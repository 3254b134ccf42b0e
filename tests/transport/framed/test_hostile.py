"""What strangers send to a reliable channel skips nothing, takes bounded memory, and makes bounded work."""

from __future__ import annotations

from random import Random

import pytest

from rx_multicast_ipc import Reliable
from rx_multicast_ipc.transport.framed.bundles_and_fragments import first_fragment
from rx_multicast_ipc.transport.framed.endpoint import Endpoint
from rx_multicast_ipc.transport.framed.packet_codec import pack
from rx_multicast_ipc.transport.framed.packets import (
    BEGIN,
    WHOLE,
    WINDOW_LIMIT,
    Beat,
    Bye,
    Data,
    Packet,
    Status,
)
from rx_multicast_ipc.transport.framed.reassembly import Hole
from rx_multicast_ipc.transport.framed.stream_receivers import MOST_MEMBERS

from .simulation import Node, Simulation

FAR = 1 << 60


def conversation() -> tuple[Simulation, Node, Node, int]:
    """A sender and a receiver that are in the middle of a stream, and the stream's session."""
    network = Simulation(seed=1)
    sender, end = network.add(), network.add()
    network.run(1.0)
    network.keeps_packets = True
    sender.send(b"one", b"two")
    network.run(0.5)
    return network, sender, end, network.data()[0].session


def forge(network: Simulation, victim: Node, as_from: Node, packet: Packet, *, direct: bool = False) -> None:
    victim.endpoint.receive(pack(packet), as_from.address, direct, None, network.now)
    victim.poll()


def goes_on(network: Simulation, sender: Node, end: Node) -> None:
    sender.send(b"three")
    network.run(5.0)
    assert end.payloads == [b"one", b"two", b"three"]
    assert end.holes == []


def test_a_forged_beat_skips_nothing() -> None:
    network, sender, end, session = conversation()
    for number in (3, 100, FAR):
        forge(network, end, sender, Beat(session, number, number))
        forge(network, end, sender, Beat(session, number, number, answer=12345))
        network.run(0.1)
    goes_on(network, sender, end)


def test_a_forged_beat_is_not_asked_for_ever() -> None:
    network, sender, end, session = conversation()
    forge(network, end, sender, Beat(session, 500, 1))
    network.run(20.0)
    asked = end.endpoint.counts.asked
    assert asked < 50
    network.run(20.0)
    assert end.endpoint.counts.asked == asked
    goes_on(network, sender, end)


def test_a_forged_goodbye_ends_nothing() -> None:
    network, sender, end, session = conversation()
    forge(network, end, sender, Bye(session, 2))
    forge(network, end, sender, Bye(session, FAR))
    network.run(3.0)
    goes_on(network, sender, end)


def test_data_far_ahead_take_no_memory_and_skip_nothing() -> None:
    network, sender, end, session = conversation()
    for number in range(10_000):
        forge(network, end, sender, Data(session, 3 + WINDOW_LIMIT + number * 10**9, WHOLE, 1, bytes(1000)))
    assert end.endpoint.buffered == 0
    goes_on(network, sender, end)


def test_data_within_the_window_are_bounded() -> None:
    options = Reliable(keep=1 << 20)
    end = Endpoint(options, 1400, 0, Random(1), 0.0)
    end.receive(pack(Data(7, 1, WHOLE, 1, b"one")), ("10.0.0.9", 9), False, None, 2.0)
    for number in range(3, WINDOW_LIMIT):
        end.receive(pack(Data(7, number, WHOLE, 1, bytes(1000))), ("10.0.0.9", 9), False, None, 2.0)
    assert end.buffered <= options.keep


def test_a_forged_request_is_answered_by_a_window_of_repairs_a_round_trip() -> None:
    network, sender, _, session = conversation()
    sender.send(*[bytes(1300) for _ in range(2000)])
    network.run(1.0)
    network.packets.clear()
    for number in range(1000):
        status = Status(session, 1, 1, missing=(1 << 2000) - 1, end=number)
        forge(network, sender, network.add(announces=False), status, direct=True)
    assert len(network.data()) <= 2002  # once each, not a thousand times


def test_a_forged_acknowledgement_of_what_was_never_sent_counts_nothing() -> None:
    network, sender, end, session = conversation()
    forge(network, sender, end, Status(session, FAR, FAR), direct=True)
    forge(network, sender, end, Status(session, 3, FAR), direct=True)
    goes_on(network, sender, end)


def test_fragments_that_never_end_are_bounded_and_told() -> None:
    options = Reliable(largest=1 << 20, keep=1 << 20)
    end = Endpoint(options, 1400, 0, Random(1), 0.0)
    for sender in range(60):
        source = f"10.0.1.{sender}", 9
        end.receive(pack(Data(7, 1, BEGIN, 0, first_fragment(1 << 20, bytes(1000)))), source, False, None, 2.0)
        for number in range(2, 1040):
            end.receive(pack(Data(7, number, 0, 0, bytes(1000))), source, False, None, 2.0)
        assert end.buffered <= 2 * options.largest + 2 * options.keep
    end.datagrams(2.0)
    assert end.counts.gaps > 50
    end.datagrams(60.0)
    assert end.buffered == 0


def test_a_length_that_is_claimed_takes_no_memory() -> None:
    end = Endpoint(Reliable(), 1400, 0, Random(1), 0.0)
    source = "10.0.0.9", 9
    end.receive(pack(Data(7, 1, BEGIN, 0, first_fragment(60 << 20, b"x"))), source, False, None, 2.0)
    assert end.buffered == 1
    end.receive(pack(Data(8, 1, BEGIN, 0, first_fragment(FAR, b"x"))), source, False, None, 2.0)
    assert [event.what.reason for event in end.events if isinstance(event.what, Hole)] == [
        f"a message of {FAR} bytes is more than is taken"
    ]


def test_twenty_thousand_sessions_cost_the_others_nothing() -> None:
    network, sender, end, _ = conversation()
    random = Random(2)
    for number in range(20_000):
        source = (f"10.1.{number >> 8}.{number & 255}", 9) if number % 2 else ("10.1.0.1", 9)
        packet = Data(random.getrandbits(32) or 1, random.randrange(1, FAR), WHOLE, 1, b"spam" * 100)
        end.endpoint.receive(pack(packet), source, False, None, network.now)
        if not number % 100:
            end.poll()
    assert end.endpoint.streams <= 64
    assert end.endpoint.buffered < 1 << 20
    sender.send(b"three")
    network.run(5.0)
    assert [payload for port, payload in end.heard if port == sender.address[1]] == [b"one", b"two", b"three"]


def test_announcements_of_strangers_are_bounded() -> None:
    end = Endpoint(Reliable(), 1400, 0, Random(1), 0.0)
    for number in range(20_000):
        hello = pack(Status(0, hello=True, end=number))
        end.receive(hello, (f"10.1.{number >> 8}.{number & 255}", 9), False, None, 1.0)
    assert len(end.peers) <= 4096


@pytest.mark.parametrize("ends", [1, 3, 20_000], ids=lambda ends: f"of {ends}")
@pytest.mark.parametrize("leave", [False, True], ids=["who stay", "who leave"])
def test_hellos_of_strangers_are_answered_at_a_limit_and_newcomers_after_them(ends: int, leave: bool) -> None:
    """Each comes to the whole group, so that all of it answers the one address that it gives, which may be forged."""
    end = Endpoint(Reliable(), 1400, 0, Random(1), 0.0)
    now, answers = 1.0, 0
    for number in range(12_000):
        now += 1 / 1200
        end.receive(pack(Status(0, hello=True, end=1 + number % ends)), ("10.0.0.9", 9), False, None, now)
        if leave:
            end.receive(pack(Status(0, leave=True, end=1 + number % ends)), ("10.0.0.9", 9), False, None, now)
        answers += len(end.datagrams(now))
    assert answers <= MOST_MEMBERS + 10 * 400
    for number in range(1, ends + 1):
        end.receive(pack(Status(0, leave=True, end=number)), ("10.0.0.9", 9), False, None, now)
    now += 20
    end.datagrams(now)
    end.receive(pack(Status(0, hello=True, end=99_999)), ("10.0.0.7", 7), False, None, now)
    assert ("10.0.0.7", 7) in [destination for _, destination in end.datagrams(now + 1)]


@pytest.mark.parametrize("kind", ["data", "beats"])
def test_new_streams_of_one_address_are_asked_for_at_a_limit_and_others_are_heard(kind: str) -> None:
    """Whose address a packet gives may be forged: what is sent there is bounded, from each of the group."""
    network, sender, end, _ = conversation()
    victim = "10.9.9.9", 9
    asked = 0
    for number in range(1, 4_001):
        stream = Data(number, 50, WHOLE, 1, b"x") if kind == "data" else Beat(number, 50, 1, ask=True)
        end.endpoint.receive(pack(stream), victim, False, None, network.now + number / 2_000)
        packets = end.endpoint.datagrams(network.now + number / 2_000)
        asked += sum(destination == victim for _, destination in packets)
    assert asked <= 2 * 220
    network.now += 2
    goes_on(network, sender, end)


def test_new_streams_in_the_name_of_a_sender_take_the_place_of_none_that_it_has() -> None:
    network, sender, end, _ = conversation()
    for number in range(1, 901):
        forge(network, end, sender, Data(number, 50, WHOLE, 1, b"x"))
        network.run(0.0005)
    sender.send(b"three")
    assert network.run(0.05, lambda: b"three" in end.payloads)
    assert end.holes == []


def test_foreign_datagrams_are_counted() -> None:
    end = Endpoint(Reliable(), 1400, 0, Random(1), 0.0)
    for noise in (b"", b"plain text", b"\xf5", b"\xf5" + bytes(30)):
        end.receive(noise, ("10.0.0.9", 9), False, None, 1.0)
    assert end.counts.foreign == 4
    assert end.events == []
