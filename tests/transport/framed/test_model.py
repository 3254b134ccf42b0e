"""Whatever a network does, a reliable channel delivers in order, once, all of it, or says what is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rx_multicast_ipc import Reliable
from rx_multicast_ipc.transport.framed.reassembly import Hole

from ...helpers import THOROUGH
from .simulation import Node, Simulation

OPTIONS = Reliable(window=64, keep=1 << 20, patience=2.0, largest=21_000)
SIZES = st.sampled_from([0, 1, 100, 100, 100, 1300, 1400, 5000, 20_000])


class Program:
    """Ends that come, send, stop, go and come back, each time as another life of the same address."""

    def __init__(self, network: Simulation) -> None:
        self.network = network
        self.lives: list[Life] = []
        self.cut: set[int] = set()
        lost = network.fate
        network.fate = lambda source, target, packet: self.is_cut(source, target) or lost(source, target, packet)

    def is_cut(self, one: Node, other: Node) -> bool:
        return (one.address[1] in self.cut) != (other.address[1] in self.cut)

    def living(self, place: int) -> Life:
        return next(life for life in reversed(self.lives) if life.place == place)

    def start(self, place: int) -> None:
        self.lives.append(Life(self, place, len(self.lives)))

    def restart(self, place: int) -> None:
        life = self.living(place)
        life.node.crash()
        self.start(place)

    def cut_off(self, place: int) -> None:
        self.cut.add(6000 + place)

    def heal(self, _place: int = 0) -> None:
        self.cut.clear()

    def stop(self, place: int) -> None:
        self.living(place).node.stopped = True

    def resume(self, place: int) -> None:
        self.living(place).node.resume()


class Life:
    """One end from its opening to its crash."""

    def __init__(self, program: Program, place: int, number: int) -> None:
        self.place = place
        self.number = number
        self.node = program.network.add(OPTIONS, 6000 + place)
        self.sent: list[bytes] = []
        self.sent_to: dict[int, list[bytes]] = {}

    def send(self, size: int, times: int) -> None:
        new = [b"%d/%d/" % (self.number, len(self.sent) + i) + bytes(size) for i in range(times)]
        self.sent += new
        self.node.send(*new)

    def send_to(self, other: Life, size: int) -> None:
        sent = self.sent_to.setdefault(other.number, [])
        sent.append(b"%d/%d>%d/" % (self.number, len(sent), other.number) + bytes(size))
        self.node.send(sent[-1], to=other.node)


Step = tuple[Any, ...]
PLACES = st.integers(0, 2)
STEPS: st.SearchStrategy[Step] = st.one_of(
    st.tuples(st.just("send"), PLACES, SIZES, st.integers(1, 30)),
    st.tuples(st.just("send"), PLACES, SIZES, st.integers(1, 30)),
    st.tuples(st.just("send to"), PLACES, PLACES, SIZES),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.001, 0.003, 0.05, 1.0])),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.001, 0.003, 0.05, 1.0])),
    st.tuples(st.sampled_from(["restart", "cut off", "heal", "stop", "resume"]), PLACES),
)


def run(program: Program, steps: list[Step]) -> None:
    actions: dict[str, Callable[[int], None]] = {
        "restart": program.restart,
        "cut off": program.cut_off,
        "heal": program.heal,
        "stop": program.stop,
        "resume": program.resume,
    }
    for what, *values in steps:
        if what == "send":
            program.living(values[0]).send(*values[1:])
        elif what == "send to":
            if values[0] != values[1]:
                program.living(values[0]).send_to(program.living(values[1]), values[2])
        elif what == "wait":
            program.network.run(values[0])
        else:
            actions[what](*values)


@settings(max_examples=150 if THOROUGH else 40)
@given(
    st.lists(STEPS, max_size=25),
    st.sampled_from([0.0, 0.01, 0.1, 0.3]),
    st.sampled_from([0.0, 0.1]),
    st.sampled_from([0.0, 0.2]),
    st.integers(0, 1000),
)
def test_every_end_hears_in_order_and_all_or_is_told(
    steps: list[Step], loss: float, duplication: float, reordering: float, seed: int
) -> None:
    network = Simulation(loss=loss, duplication=duplication, reordering=reordering, seed=seed)
    program = Program(network)
    for place in range(3):
        program.start(place)
    network.run(1.0)
    run(program, steps)
    program.heal()
    for place in range(3):
        program.resume(place)
    network.run(60.0)
    disturbed = any(step[0] in ("restart", "cut off", "stop") for step in steps)
    for receiver in program.lives:
        for sender in program.lives:
            if sender is not receiver:
                check(sender, receiver, disturbed, loss)


def check(sender: Life, receiver: Life, disturbed: bool, loss: float) -> None:
    """What ``receiver`` heard of ``sender`` is in order and whole, or has holes that were told."""
    mark = b"%d/" % sender.number
    port = sender.node.address[1]
    heard = [what for from_port, what in receiver.node.heard if from_port == port]
    to_all = [what for what in heard if isinstance(what, Hole) or (what.startswith(mark) and b">" not in what[:12])]
    mine = b">%d/" % receiver.number  # not what was on its way to an earlier life
    to_one = [what for what in heard if not isinstance(what, Hole) and what.startswith(mark) and mine in what[:12]]
    positions = {message: number for number, message in enumerate(sender.sent)}
    before: int | None = None
    told = False
    for what in to_all:
        if isinstance(what, Hole):
            told = True
            continue
        position = positions[what]
        if before is not None:
            assert position > before, "twice, or out of order"
            assert position == before + 1 or told, f"{position - before - 1} missing and not told"
        before, told = position, False
    sent_to = sender.sent_to.get(receiver.number, [])
    assert to_one == [message for message in sent_to if message in to_one], "twice, or out of order"
    if disturbed or (loss >= 0.3 and any(isinstance(what, Hole) for what in heard)):
        return  # so much may get lost that a sender goes on without one whom it does not know yet: who is told
    assert [what for what in to_all if not isinstance(what, Hole)] == sender.sent
    assert not any(isinstance(what, Hole) for what in heard)
    assert to_one == sent_to
