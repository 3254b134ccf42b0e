"""Who is there: the state machine alone, in virtual time."""

from __future__ import annotations

import os

import pytest

from rx_multicast_ipc import Presence
from rx_multicast_ipc.group_state.presence.machine import GOODBYE, MOST_MEMBERS, SILENT
from rx_multicast_ipc.group_state.presence.packet import HELLO, LEAVE, PROBE, PresencePacket

from .presence_simulation import Node, Simulation

LONG = "RX_MULTICAST_IPC_SOAK" in os.environ


def group(simulation: Simulation, count: int, interval: float = 1.0) -> list[Node]:
    return [simulation.add(Presence(f"member {number}", interval=interval)) for number in range(count)]


def beat(session: int, number: int = 1, flags: int = 0, interval: float = 1.0) -> PresencePacket:
    return PresencePacket(session, number, flags, interval, f"stranger {session}", b"")


STRANGER = ("10.9.9.9", 6000)


@pytest.mark.parametrize("seconds", [3600.0 if LONG else 30.0])
def test_a_hundred_members_at_ten_percent_loss_are_hardly_ever_called_gone_at_little_traffic(seconds: float) -> None:
    simulation = Simulation(loss=0.1, seed=1)
    nodes = group(simulation, 100)
    simulation.run(until=seconds)
    crashing = nodes[:5]
    wrong = sum(len(node.gone) for node in nodes)
    rate = simulation.sent / seconds
    crashed_at = simulation.now
    for node in crashing:
        node.crashed = True
    simulation.run(until=crashed_at + 5)
    print(f"{seconds:g} s: {wrong} wrongly called gone, {rate:.1f} packets/s")
    assert wrong <= 5
    assert rate <= 110
    for node in nodes[5:]:
        told = {name for _, name, why in node.gone if why == SILENT}
        assert {each.name for each in crashing} <= told
        assert len(node.names) >= 94


@pytest.mark.parametrize("seed", range(3))
def test_all_know_all_within_five_intervals_however_much_is_lost(seed: int) -> None:
    simulation = Simulation(loss=0.1, seed=seed)
    nodes = group(simulation, 30)
    simulation.run(until=5.1)
    assert all(len(node.names) == 30 for node in nodes)


def test_who_comes_knows_a_few_who_are_there_at_once() -> None:
    simulation = Simulation()
    group(simulation, 3)
    simulation.run(until=10)
    late = simulation.add(Presence("late"))
    simulation.run(until=10.3)
    assert late.names == ["late", "member 0", "member 1", "member 2"]


def test_a_hundred_who_say_hello_together_make_no_more_than_four_beats_of_each_in_an_interval() -> None:
    simulation = Simulation()
    group(simulation, 100)
    simulation.run(until=1.0)
    assert simulation.sent <= 500


def test_a_goodbye_is_told_at_once_and_is_no_silence() -> None:
    simulation = Simulation()
    one, other = group(simulation, 2)
    simulation.run(until=5)
    simulation.leave(other)
    simulation.run(until=5.1)
    assert one.gone == [(pytest.approx(5.001), "member 1", GOODBYE)]  # pyright: ignore[reportUnknownMemberType]
    assert one.names == ["member 0"]


@pytest.mark.parametrize("interval", [0.1, 1.0, 60.0])
def test_a_crash_is_told_within_five_intervals(interval: float) -> None:
    simulation = Simulation(latency=0.0001)
    one, other = group(simulation, 2, interval)
    simulation.run(until=20 * interval)
    other.crashed = True
    simulation.run(until=25 * interval)
    assert [(name, why) for _, name, why in one.gone] == [("member 1", SILENT)]


def test_nobody_is_called_gone_before_four_beats_are_missing_and_three_probes_went_unanswered() -> None:
    simulation = Simulation()
    one, other = group(simulation, 2)
    simulation.run(until=10)
    other.crashed = True
    before = simulation.sent
    simulation.run(until=13.1)
    assert (one.gone, one.names) == ([], ["member 0", "member 1"])
    simulation.run(until=15)
    ((when, _, _),) = one.gone
    assert when >= 13.9
    assert simulation.sent - before >= 3 + 4  # probes, and beats of its own


def test_one_whose_beats_are_lost_stays_as_long_as_it_answers_probes() -> None:
    simulation = Simulation()
    one, other = group(simulation, 2)
    simulation.run(until=5)
    carry = simulation._carry  # pyright: ignore[reportPrivateUsage]
    simulation._carry = lambda sender, packets: carry(  # pyright: ignore[reportPrivateUsage]
        sender, [(packet, to) for packet, to in packets if to is not None or sender is not other]
    )
    simulation.run(until=60)
    assert one.gone == []


@pytest.mark.parametrize("interval", [1.0, 3600.0])
def test_one_that_an_engine_says_is_gone_is_asked_and_gone_at_once_if_it_is(interval: float) -> None:
    simulation = Simulation()
    one, other, third = group(simulation, 3, interval)
    simulation.run(until=2.5)
    for times in range(3):  # somebody says so who does not know
        simulation.lose(one, other)
        simulation.run(until=3.5 + times)
    assert one.gone == []
    other.crashed = True
    simulation.lose(one, other)
    simulation.run(until=5.76)
    assert [(name, why) for _, name, why in one.gone] == [("member 1", SILENT)]
    assert third.gone == []
    simulation.run(until=5.5 + 5 * interval)
    assert [name for _, name, _ in third.gone] == ["member 1"]  # who was not told finds out
    simulation.run(until=20 * interval)
    assert [name for _, name, _ in one.gone] == ["member 1"]


def test_who_is_cut_off_itself_goes_by_the_beats() -> None:
    simulation = Simulation()
    one, other = group(simulation, 2, 10.0)
    simulation.run(until=5)
    other.crashed = True  # as one that has no way to the engine either, for a while
    simulation.lose(one, other)
    simulation.run(until=5.1)
    one.machine.forgive(simulation.now)
    simulation.run(until=20)
    other.crashed = False
    simulation._wake(other, simulation.now)  # pyright: ignore[reportPrivateUsage]
    simulation.run(until=100)
    assert one.gone == []
    other.crashed = True
    simulation.run(until=160)
    assert [name for _, name, _ in one.gone] == ["member 1"]


def test_one_that_was_only_silent_is_back_with_its_next_beat() -> None:
    simulation = Simulation()
    one, other = group(simulation, 2)
    simulation.run(until=5)
    other.crashed = True  # as a stopped process
    simulation.run(until=12)
    other.crashed = False
    simulation._wake(other, simulation.now)  # pyright: ignore[reportPrivateUsage]
    simulation.run(until=13)
    assert [name for _, name in one.came] == ["member 1", "member 1"]
    assert one.names == ["member 0", "member 1"]


def test_a_late_packet_does_not_bring_back_who_said_goodbye() -> None:
    simulation = Simulation()
    (one,) = group(simulation, 1)
    simulation.receive(one, beat(77, 1), STRANGER)
    simulation.receive(one, beat(77, 3, LEAVE), STRANGER)
    simulation.receive(one, beat(77, 2), STRANGER)
    simulation.receive(one, beat(77, 4), STRANGER)
    assert one.names == ["member 0"]


def test_a_forged_goodbye_shuts_nobody_out_for_long() -> None:
    simulation = Simulation()
    one, other = group(simulation, 2)
    simulation.run(until=5)
    simulation.receive(one, beat(2, 2**63 - 2, LEAVE), other.address)
    assert one.names == ["member 0"]
    simulation.run(until=60)
    assert one.names == ["member 0", "member 1"]


def test_strangers_fill_a_bounded_roster_and_it_empties_again() -> None:
    simulation = Simulation()
    (one,) = group(simulation, 1)
    for session in range(2 * MOST_MEMBERS):
        simulation.receive(one, beat(1000 + session), STRANGER)
    assert len(one.names) == MOST_MEMBERS + 1
    assert one.machine.refused == MOST_MEMBERS
    simulation.run(until=20)
    assert one.names == ["member 0"]


def test_strangers_that_beat_once_an_hour_do_not_keep_others_out() -> None:
    simulation = Simulation()
    (one,) = group(simulation, 1)
    for session in range(MOST_MEMBERS):
        simulation.receive(one, beat(1000 + session, interval=3600.0), STRANGER)
    simulation.run(until=10)
    group(simulation, 5)
    simulation.run(until=15)
    assert sum(name.startswith("member") for name in one.names) == 6
    assert len(one.names) == MOST_MEMBERS + 1


def test_strangers_that_come_and_leave_again_and_again_leave_nothing_behind() -> None:
    simulation = Simulation()
    (one,) = group(simulation, 1)
    for session in range(20_000):
        simulation.receive(one, beat(1000 + session, 1, interval=3600.0), STRANGER)
        simulation.receive(one, beat(1000 + session, 2, LEAVE, interval=3600.0), STRANGER)
    assert one.names == ["member 0"]
    assert len(one.machine._deadlines) < 200  # pyright: ignore[reportPrivateUsage]


def test_a_session_on_another_port_is_an_impostor_and_changes_nothing() -> None:
    simulation = Simulation()
    (one,) = group(simulation, 1)
    simulation.receive(one, beat(77, 1), STRANGER)
    simulation.receive(one, beat(77, 2, LEAVE), ("10.9.9.9", 6001))
    assert one.names == ["member 0", "stranger 77"]


def test_a_member_that_speaks_over_two_interfaces_is_one_and_keeps_its_address() -> None:
    simulation = Simulation()
    (one,) = group(simulation, 1)
    for number in range(1, 20):
        simulation.run(until=number)
        for address in ("10.1.1.1", "10.2.2.2"):
            simulation.receive(one, beat(77, number), (address, 6000))
    assert [member.address for member in one.machine.members if member.session == 77] == ["10.1.1.1"]
    assert len(one.came) == 1
    for number in range(20, 24):  # the first address is gone
        simulation.run(until=number)
        simulation.receive(one, beat(77, number), ("10.2.2.2", 6000))
    assert [member.address for member in one.machine.members if member.session == 77] == ["10.2.2.2"]
    assert (len(one.came), one.gone) == (1, [])


def test_probes_from_forged_addresses_are_answered_within_a_limit() -> None:
    simulation = Simulation()
    (one,) = group(simulation, 1)
    simulation.run(until=0.5)
    before = simulation.sent
    for number in range(1, 2000):
        simulation.receive(one, beat(77, number, PROBE), STRANGER)
    simulation.run(until=0.6)
    assert simulation.sent - before <= 120


def test_hellos_of_strangers_make_no_more_beats_than_four_in_an_interval() -> None:
    simulation = Simulation()
    (one,) = group(simulation, 1)
    for tick in range(1000):
        simulation.run(until=tick / 100)
        simulation.receive(one, beat(77, tick + 1, HELLO), STRANGER)
    assert simulation.sent <= 45


def test_who_only_listens_is_no_member_sends_nothing_and_knows_who_is_there() -> None:
    simulation = Simulation()
    one, other = group(simulation, 2)
    simulation.run(until=5)
    before = simulation.sent
    watcher = simulation.add(Presence(None))
    simulation.run(until=6.1)
    assert watcher.names == ["member 0", "member 1"]
    assert simulation.sent - before <= 4
    assert one.names == ["member 0", "member 1"]
    other.crashed = True
    simulation.run(until=16)
    assert watcher.names == ["member 0"]


def test_members_may_have_the_same_name() -> None:
    simulation = Simulation()
    nodes = [simulation.add(Presence("twin")) for _ in range(3)]
    simulation.run(until=2)
    assert nodes[0].names == ["twin"] * 3
