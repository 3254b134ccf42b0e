"""Bridges between virtual networks, in virtual time."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc import Bridge, BridgeRole, Channel, Message
from rx_multicast_ipc.bridging.machine import BridgeMachine
from rx_multicast_ipc.testing import VirtualNetwork
from rx_multicast_ipc.testing.virtual_clock import VirtualClock

SETTLED = 1.0
"""Virtual seconds after which bridges know their places."""


class World:
    """Networks with bridges between them, each bridge on a host of its own."""

    def __init__(self, networks: int, edges: list[tuple[int, int]], **options: float) -> None:
        self.clock = VirtualClock()
        self.networks = [
            VirtualNetwork(self.clock, latency=0.001 * (number + 1), seed=number) for number in range(networks)
        ]
        self.bridges = [self.bridge(number, edge, **options) for number, edge in enumerate(edges)]
        self._edges = edges
        self.heard: dict[Channel, list[Message]] = {}

    def bridge(self, number: int, edge: tuple[int, int], **options: float) -> Bridge:
        sides = [self.networks[network].open_channel(host=self.host(number)) for network in edge]
        return ipc.bridge(*sides, **options)  # pyright: ignore[reportArgumentType]

    def host(self, number: int) -> str:
        return f"10.9.0.{number + 1}"

    def member(self, network: int, **options: object) -> Channel:
        channel = self.networks[network].open_channel(**options)  # pyright: ignore[reportArgumentType]
        self.heard[channel] = []
        channel.messages.subscribe(self.heard[channel].append)
        return channel

    def texts(self, channel: Channel) -> list[str]:
        return [message.text for message in self.heard[channel]]

    def run(self, seconds: float) -> None:
        self.clock.advance_by(seconds)

    def kill(self, number: int) -> None:
        """It is heard no more, and hears nothing."""
        for network in self._edges[number]:
            self.networks[network].take_down(self.host(number))

    def carrying(self) -> list[int]:
        return [number for number, bridge in enumerate(self.bridges) if bridge.role is BridgeRole.CARRYING]

    def send_every(self, pause: float, channel: Channel, count: int) -> None:
        """Numbered messages, one after the other."""

        def send(_scheduler: object, number: int | None) -> None:
            assert number is not None
            channel.broadcast(f"{number}").subscribe()
            if number + 1 < count:
                self.clock.schedule_relative(pause, send, number + 1)

        self.clock.schedule(send, 0)


STAR = [(0, 3), (0, 3), (1, 3), (1, 3), (2, 3), (2, 3)]
"""Three sites, 0 to 2, with two bridges each to the network 3."""


def test_who_is_on_one_side_hears_who_is_on_the_other_in_order() -> None:
    world = World(2, [(0, 1)])
    here, there = world.member(0), world.member(1)
    world.run(SETTLED)
    for number in range(50):
        here.broadcast(f"{number}").subscribe()
        there.broadcast(f"-{number}").subscribe()
    world.run(SETTLED)
    for channel in (here, there):
        for sign in ("", "-"):
            texts = [text for text in world.texts(channel) if text.startswith("-") == bool(sign)]
            assert texts == [f"{sign}{number}" for number in range(50)]


def test_each_sender_has_an_address_of_its_own_on_the_other_side_and_keeps_it() -> None:
    world = World(2, [(0, 1)])
    one, other, listener = world.member(0), world.member(0), world.member(1)
    world.run(SETTLED)
    for channel in (one, other, one):
        channel.broadcast("hello").subscribe()
        world.run(0.1)
    senders = [message.sender for message in world.heard[listener]]
    assert senders[0] == senders[2] != senders[1]


def test_a_reply_reaches_the_one_who_asked_and_so_does_the_answer_to_it() -> None:
    world = World(4, STAR)
    asker, neighbour, elsewhere, responder = (world.member(network) for network in (0, 0, 1, 2))
    world.run(SETTLED)
    asker.broadcast("who?").subscribe()
    world.run(0.1)
    (question,) = world.heard[responder]
    responder.reply(question, "me").subscribe()
    world.run(0.1)
    answer = world.heard[asker][-1]
    assert (answer.text, answer.direct) == ("me", True)
    asker.reply(answer, "thanks").subscribe()
    world.run(0.1)
    assert (world.texts(responder)[-1], world.heard[responder][-1].direct) == ("thanks", True)
    assert world.texts(neighbour) == world.texts(elsewhere) == ["who?"]


def test_request_and_respond_cross_as_they_are() -> None:
    world = World(4, STAR)
    asker, responder = world.member(0), world.member(2)
    world.run(SETTLED)
    responder.respond(lambda m: m.text == "who?", lambda _: "me").subscribe()
    answers: list[Message] = []
    asker.request("who?", lambda m: m.text == "me", timeout=1).subscribe(answers.append)
    world.run(0.5)
    assert [answer.text for answer in answers] == ["me"]


@pytest.mark.parametrize("moment", [1.0, 1.123, 1.5])
def test_one_of_several_carries_and_a_killed_one_is_replaced_within_a_second_and_what_was_missed_is_counted(
    moment: float,
) -> None:
    world = World(4, STAR)
    sender, *others = (world.member(network) for network in (0, 1, 2))
    world.run(SETTLED)
    assert [sum(number in pair for number in world.carrying()) for pair in ((0, 1), (2, 3), (4, 5))] == [1, 1, 1]
    world.send_every(0.01, sender, 400)
    world.run(moment)
    killed = world.carrying()[0]
    world.kill(killed)
    world.run(6.0)
    for channel in others:
        texts = world.texts(channel)
        assert texts == sorted(set(texts), key=int)
        assert 0 < 400 - len(texts) <= 100
        assert world.bridges[1 - killed].statistics.missed == 400 - len(texts)
    assert world.texts(sender) == [str(number) for number in range(400)]
    assert [world.bridges[number].statistics.missed for number in (2, 3, 4, 5)] == [0, 0, 0, 0]


def test_what_is_missed_of_both_directions_is_counted() -> None:
    world = World(2, [(0, 1), (0, 1)])
    here, there = world.member(0), world.member(1)
    world.run(SETTLED)
    world.send_every(0.01, here, 300)
    world.send_every(0.03, there, 100)  # of the same payloads
    world.run(0.5)
    (killed,) = world.carrying()
    world.kill(killed)
    world.run(6.0)
    heard = len(world.heard[here]) + len(world.heard[there])
    assert world.bridges[1 - killed].statistics.missed == 2 * 400 - heard


def test_a_bridge_that_is_closed_is_replaced_too() -> None:
    world = World(2, [(0, 1), (0, 1)])
    here, there = world.member(0), world.member(1)
    world.run(SETTLED)
    world.send_every(0.01, here, 200)
    world.run(0.5)
    (first,) = world.carrying()
    world.bridges[first].close()
    world.run(3.0)
    assert world.carrying() == [1 - first] or world.bridges[first].closed
    missing = 200 - len(set(world.texts(there)))
    assert len(world.texts(there)) == 200 - missing
    assert world.bridges[1 - first].statistics.missed == missing <= 60


def test_a_bridge_that_did_not_run_for_a_while_carries_nothing_twice() -> None:
    world = World(2, [(0, 1), (0, 1)])
    here, there = world.member(0), world.member(1)
    world.run(SETTLED)
    world.send_every(0.01, here, 600)
    world.run(0.5)
    (stopped,) = world.carrying()
    for network in world.networks:
        network.take_down(world.host(stopped))  # nobody hears it, and what it would have sent is refused
    world.run(2.0)
    for network in world.networks:
        network.bring_up(world.host(stopped))
    world.run(6.0)
    texts = world.texts(there)
    assert len(texts) - len(set(texts)) <= 20  # two that parted for good carry both until they hear of each other
    assert len(world.carrying()) == 1


def test_what_waited_for_a_bridge_that_was_stopped_and_that_nobody_carried_is_counted() -> None:
    now, machine = 0.0, BridgeMachine((5000, 5000), 0.8, Random(1), 0.0)

    def run_until_it_carries() -> None:
        nonlocal now
        for _ in range(1000):
            now += machine.timing.tick
            machine.tick(now)
            if machine.may_carry(now):
                return
        raise AssertionError("it does not carry")

    run_until_it_carries()
    now += 3.0
    for sender in (("10.0.0.1", 1), ("10.0.0.2", 1)):
        assert machine.path_across(0, sender, [b"1", b"2"], now) is None
    run_until_it_carries()
    machine.tick(now)
    assert (machine.role, machine.missed) == (BridgeRole.CARRYING, 4)


@settings(max_examples=15)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)).filter(lambda e: e[0] != e[1]), min_size=1, max_size=6),
    st.integers(0, 99),
)
def test_in_any_graph_of_networks_everybody_hears_everything_once(edges: list[tuple[int, int]], seed: int) -> None:
    world = World(4, edges)
    members = [world.member(network) for network in range(4)]
    world.run(1.5)
    speaker = Random(seed).choice(range(4))
    for number in range(20):
        members[speaker].broadcast(f"{number}").subscribe()
    world.run(1.0)
    reached = {speaker}
    for _ in range(4):
        reached |= {network for edge in edges if reached & set(edge) for network in edge}
    for network, member in enumerate(members):
        assert world.texts(member) == ([str(number) for number in range(20)] if network in reached else [])


def test_reliable_traffic_crosses_unopened_and_whole() -> None:
    world = World(2, [(0, 1)])
    world.networks[1].set_link(loss=0.1)
    sender, receiver = (world.member(network, reliable=True) for network in (0, 1))
    world.run(2 * SETTLED)
    large = Random(1).randbytes(300_000)
    sender.broadcast(large).subscribe()
    told: list[ipc.Acknowledged] = []
    sender.broadcast("small", acknowledged=True, timeout=20).subscribe(told.append)
    world.run(20.0)
    assert [message.data for message in world.heard[receiver]] == [large, b"small"]
    assert [(len(one.by), one.missing) for one in told] == [(1, ())]


def test_reliable_traffic_loses_nothing_and_repeats_nothing_when_another_bridge_takes_over() -> None:
    world = World(2, [(0, 1), (0, 1)])
    sender, receiver = (world.member(network, reliable=True) for network in (0, 1))
    events: list[object] = []
    receiver.events.subscribe(events.append)
    world.run(2 * SETTLED)
    world.send_every(0.01, sender, 600)
    world.run(1.0)
    (killed,) = world.carrying()
    world.kill(killed)
    world.run(20.0)
    assert world.texts(receiver) == [str(number) for number in range(600)]
    assert len({message.sender for message in world.heard[receiver]}) == 2
    assert events == []


def test_sealed_datagrams_cross_byte_for_byte() -> None:
    pytest.importorskip("cryptography")
    world = World(2, [(0, 1)])
    sender = world.member(0, key=ipc.Key.new())
    beside, beyond = world.member(0), world.member(1)
    world.run(SETTLED)
    for number in range(10):
        sender.broadcast(f"secret {number}").subscribe()
        world.run(0.1)
    crossed = {message.data for message in world.heard[beyond]}
    assert {message.data for message in world.heard[beside][-10:]} <= crossed
    assert not any(b"secret" in data for data in crossed)


@pytest.mark.parametrize("reliable", [False, True])
def test_sealed_channels_answer_each_other_across_a_bridge(reliable: bool) -> None:
    pytest.importorskip("cryptography")
    world = World(2, [(0, 1), (0, 1)])
    key = ipc.Key.new()
    asker, responder = (world.member(network, key=key, reliable=reliable) for network in (0, 1))
    stranger = world.member(1)
    world.run(2 * SETTLED)
    responder.respond(lambda m: m.text == "secret?", lambda _: "secret!").subscribe()
    answers: list[Message] = []
    asker.request("secret?", lambda m: m.text == "secret!", timeout=5).subscribe(answers.append)
    world.run(2.0)
    assert [answer.text for answer in answers] == ["secret!"]
    assert not [message for message in world.heard[stranger] if b"secret" in message.data]


@pytest.mark.parametrize("reliable", [False, True])
def test_sealed_channels_hear_each_other_across_several_bridges_in_order_from_the_first_message_on(
    reliable: bool,
) -> None:
    pytest.importorskip("cryptography")
    world = World(4, STAR)
    key = ipc.Key.new()
    members = [world.member(network, key=key, reliable=reliable, echo=False) for network in (0, 0, 1, 2)]
    world.run(2 * SETTLED)
    for number in range(20):
        for member in members:
            member.broadcast(f"{members.index(member)} {number}").subscribe()
        world.run(0.01)
    world.run(2.0)
    for member in members:
        for other in set(range(4)) - {members.index(member)}:
            texts = [text for text in world.texts(member) if text.startswith(f"{other} ")]
            assert texts == [f"{other} {number}" for number in range(20)]
    assert [member.statistics.rejected for member in members] == [0] * 4


@pytest.mark.parametrize("reliable", [False, True])
def test_sealed_channels_go_on_within_a_second_after_another_bridge_took_over(reliable: bool) -> None:
    pytest.importorskip("cryptography")
    world = World(2, [(0, 1), (0, 1)])
    key = ipc.Key.new()
    sender, receiver = (world.member(network, key=key, reliable=reliable) for network in (0, 1))
    world.run(2 * SETTLED)
    sent = 600
    world.send_every(0.01, sender, sent)
    world.run(1.0)
    (killed,) = world.carrying()
    world.kill(killed)
    world.run(20.0)
    texts = world.texts(receiver)
    assert texts == sorted(set(texts), key=int)
    missed = world.bridges[1 - killed].statistics.missed
    if reliable:
        assert len(texts) == sent
    else:  # what nobody carried is missing, and nothing else
        assert 0 < sent - len(texts) <= 100
        assert sent - len(texts) == missed
    first, last = world.heard[receiver][0].sender, world.heard[receiver][-1].sender
    assert first != last
    receiver.reply(world.heard[receiver][-1], "heard").subscribe()
    world.run(1.0)
    assert world.texts(sender)[-1] == "heard"


@pytest.mark.parametrize("sealed", [False, True])
def test_members_stay_when_another_bridge_takes_over(sealed: bool) -> None:
    if sealed:
        pytest.importorskip("cryptography")
    world = World(2, [(0, 1), (0, 1)])
    for network in world.networks:
        network.open_channel(host=world.host(1))  # so that its ends have other ports than those of the other bridge
    options: dict[str, object] = {"key": ipc.Key.new()} if sealed else {}
    here, there = (
        world.member(network, host=f"10.1.{network}.1", presence=f"{network}", **options) for network in (0, 1)
    )
    left: list[object] = []
    for channel in (here, there):
        channel.events.subscribe(lambda event: left.append(event) if isinstance(event, ipc.Left) else None)
    members: list[frozenset[ipc.Member]] = []
    there.members.subscribe(members.append)
    world.run(5.0)
    before = {member.name: member.sender for member in members[-1]}
    assert set(before) == {"0", "1"}
    (killed,) = world.carrying()
    world.kill(killed)
    world.run(20.0)
    after = {member.name: member.sender for member in members[-1]}
    assert left == []
    assert after["0"][1] != before["0"][1]
    assert after["1"] == before["1"]


@pytest.mark.parametrize("payload", [b"", b"\xf5" + bytes(30), b"\xf6" + bytes(40), b"name\0value", bytes(65_507)])
def test_payloads_cross_as_they_are(payload: bytes) -> None:
    world = World(2, [(0, 1)])
    sender, receiver = world.member(0), world.member(1)
    world.run(SETTLED)
    sender.broadcast(payload).subscribe()
    world.run(1.0)
    assert [message.data for message in world.heard[receiver]] == [payload]


def test_members_hear_nothing_of_what_bridges_tell_each_other() -> None:
    world = World(4, STAR)
    members = [world.member(network) for network in range(4)]
    world.run(5.0)
    assert [world.heard[member] for member in members] == [[]] * 4


def test_beyond_its_ends_new_senders_are_heard_but_cannot_be_answered() -> None:
    world = World(2, [(0, 1)], ends=2)
    senders, listener = [world.member(0) for _ in range(4)], world.member(1)
    world.run(SETTLED)
    for sender in senders:
        sender.broadcast("hello").subscribe()
    world.run(0.5)
    assert world.texts(listener) == ["hello"] * 4
    assert world.bridges[0].statistics.unanswerable == 2
    for message in world.heard[listener]:
        listener.reply(message, "yes").subscribe()
    world.run(0.5)
    assert [world.texts(sender).count("yes") for sender in senders] == [1, 1, 0, 0]


def test_ends_that_nobody_uses_are_given_back() -> None:
    world = World(2, [(0, 1)], idle=120.0)
    sender = world.member(0)
    world.run(SETTLED)
    sender.broadcast("hello").subscribe()
    world.run(100.0)
    assert world.bridges[0].statistics.ends == 1
    world.run(30.0)
    assert world.bridges[0].statistics.ends == 0


def test_it_says_what_it_does_and_completes_when_it_is_closed() -> None:
    world = World(2, [(0, 1)])
    (bridge,) = world.bridges
    roles: list[object] = []
    bridge.roles.subscribe(roles.append, on_completed=lambda: roles.append("end"))
    world.run(SETTLED)
    late: list[object] = []
    bridge.roles.pipe(ops.take(1)).subscribe(late.append)
    bridge.close()
    bridge.close()
    assert roles == [BridgeRole.LISTENING, BridgeRole.CARRYING, "end"]
    assert late == [BridgeRole.CARRYING]
    assert "closed" in repr(bridge)


def test_statistics_count_both_ways() -> None:
    world = World(2, [(0, 1)])
    here, there = world.member(0), world.member(1)
    world.run(SETTLED)
    here.broadcast("12345").subscribe()
    there.broadcast("123").subscribe()
    world.run(0.5)
    found = world.bridges[0].statistics
    assert (found.to_wide, found.to_wide_bytes, found.to_local, found.to_local_bytes) == (1, 5, 1, 3)
    assert (found.ends, found.takeovers, found.missed, found.looped) == (2, 1, 0, 0)


def test_two_sides_that_are_one_segment_carry_nothing_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    world = World(1, [])
    hosts = [world.networks[0].open_channel(host=f"10.9.0.{number}") for number in (1, 2)]
    bridge = ipc.bridge(*hosts)
    member = world.member(0)
    world.run(SETTLED)
    member.broadcast("hello").subscribe()
    world.run(SETTLED)
    assert bridge.role is BridgeRole.LOOP
    assert world.texts(member) == ["hello"]
    assert "one and the same segment" in caplog.text


class TestMistakes:
    def test_one_segment_twice(self) -> None:
        with pytest.raises(ipc.InvalidOption, match="joins two segments"):
            ipc.bridge("loopback", "loopback")

    @pytest.mark.parametrize("several", ["all", ["eth0", "eth1"], ("eth0",)])
    def test_several_segments_in_one(self, several: object) -> None:
        with pytest.raises(ipc.InvalidOption, match="name one interface"):
            ipc.bridge("loopback", several)  # pyright: ignore[reportArgumentType]

    def test_the_port_where_bridges_talk(self) -> None:
        with pytest.raises(ipc.InvalidOption, match="61087"):
            ipc.bridge("loopback", "default", port=61087)

    @pytest.mark.parametrize("wrong", [{"ends": 0}, {"ends": 1.5}, {"idle": -1}, {"takeover": 0.01}, {"takeover": "1"}])
    def test_numbers(self, wrong: dict[str, object]) -> None:
        with pytest.raises(ipc.InvalidOption):
            ipc.bridge("loopback", "default", **wrong)  # pyright: ignore[reportArgumentType]

    def test_two_clocks(self) -> None:
        networks = [VirtualNetwork(VirtualClock()) for _ in range(2)]
        with pytest.raises(ipc.InvalidOption, match="same time"):
            ipc.bridge(*(network.open_channel() for network in networks))

    def test_an_interface_that_is_not_there(self) -> None:
        with pytest.raises(ipc.InvalidInterface):
            ipc.bridge("loopback", "nonexistent0")

    def test_what_is_no_segment(self) -> None:
        with pytest.raises(ipc.InvalidArgument):
            ipc.bridge("loopback", 7)  # pyright: ignore[reportArgumentType]
