"""A bridge's machine, without a network."""

from __future__ import annotations

from random import Random

from rx_multicast_ipc.bridging.control_packets import Ask, Ends, pack, parse_or_none
from rx_multicast_ipc.bridging.machine import BridgeMachine, ControlPackets

ENDS = 100
PORT = 7


def announced(packets: ControlPackets) -> int:
    """Ends that are announced."""
    told = [parse_or_none(packet, PORT) for _, packet in packets]
    return sum(len(packet.ends) for packet in told if isinstance(packet, Ends))


def test_strangers_that_ask_make_no_flood_of_announcements_and_newcomers_are_answered() -> None:
    now = 0.0
    machine = BridgeMachine((PORT, PORT), 0.8, Random(1), now)
    ask, tick = pack(Ask(PORT)), machine.timing.tick
    for number in range(ENDS):
        machine.has_end(0, object(), frozenset({(f"192.0.2.{number}", 40_000)}), (number + 1,))
    while now < 10:  # new ends are announced by themselves, and so is what begins
        now += tick
        machine.tick(now)

    for _ in range(3):  # a newcomer asks three times, for what is answered may get lost
        machine.hear_control(0, ask, now)
        now += tick
        assert announced(machine.tick(now)) == ENDS

    flooded, told = now + 40, 0
    while now < flooded:
        for _ in range(10):
            assert machine.hear_control(0, ask, now) == []
        now += tick
        told += announced(machine.tick(now))
    assert 40 * ENDS <= told <= 45 * ENDS

    while now < flooded + 4:
        now += tick
        machine.tick(now)
    machine.hear_control(0, ask, now)
    assert announced(machine.tick(now + tick)) == ENDS
