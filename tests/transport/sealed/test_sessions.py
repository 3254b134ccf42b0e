"""Who is heard on a sealed channel, whatever an outsider does who sees and sends everything, but has no key."""

from __future__ import annotations

import os
import random
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from rx_multicast_ipc import Key, Message
from rx_multicast_ipc.message import Address
from rx_multicast_ipc.transport.sealed import packet_cipher
from rx_multicast_ipc.transport.sealed.challenge_packet import Challenge, pack
from rx_multicast_ipc.transport.sealed.packet_cipher import Sealer
from rx_multicast_ipc.transport.sealed.sessions import Sessions

GROUP = ("224.0.2.1", 61088)
KEY, OTHER = Key(bytes(range(32))), Key(bytes(range(1, 33)))
OUTSIDER = ("10.0.0.99", 6666)

Sent = tuple[bytes, Address, Address | None]
"""A datagram, where it comes from, and where it goes: to one end, or to all."""


class Net:
    """Ends and the wire between them. Time stands still but in :meth:`advance`."""

    def __init__(self) -> None:
        self.ends: dict[Address, Sessions] = {}
        self.heard: dict[Address, list[bytes]] = {}
        self.heard_from: dict[Address, list[Address]] = {}
        self.seen: list[Sent] = []
        self.now = 0.0
        self.loses: Callable[[], bool] = lambda: False
        self.interferes: Callable[[Sent], None] = lambda sent: None
        self._under_way: deque[Sent] = deque()
        self._apart: set[frozenset[Address]] = set()
        self._asleep: dict[Address, list[Message]] = {}

    def sleep(self, end: Address) -> None:
        """From now on an end reads nothing, and does nothing by itself."""
        self._asleep[end] = []

    def wake(self, end: Address) -> None:
        """It reads what came meanwhile, and goes on."""
        for message in self._asleep.pop(end):
            self.hear(end, message)
        self.settle()

    def separate(self, *ends: Address) -> None:
        """Two ends hear each other no more."""
        self._apart.add(frozenset(ends))

    def together(self, *ends: Address) -> None:
        """They hear each other again."""
        self._apart.discard(frozenset(ends))

    def open(self, host: int, *keys: Key) -> Address:
        address = (f"10.0.0.{host}", 50_000 + host)
        self.ends[address] = Sessions(keys or (KEY,), GROUP, lambda: frozenset([address]), os.urandom, self.now)
        self.heard[address], self.heard_from[address] = [], []
        return address

    def say(self, end: Address, packet: bytes, to: Address | None = None) -> None:
        """Send a packet from an end, and let everything happen that follows."""
        self.inject((self.ends[end].seal(packet, to, self.now), end, to))

    def inject(self, sent: Sent) -> None:
        """Send a datagram, whoever made it and wherever it seems to come from, and let what follows happen."""
        self._under_way.append(sent)
        self.settle()

    def settle(self) -> None:
        while self._under_way:
            sent = self._under_way.popleft()
            datagram, source, to = sent
            self.seen.append(sent)
            self.interferes(sent)
            for address in [to] if to is not None else list(self.ends):
                if address in self.ends and (to is not None or address != source) and not self.loses():
                    if frozenset((address, source)) in self._apart:
                        continue
                    message = Message(datagram, *source, "IPv4", self.now, to is not None)
                    if address in self._asleep:
                        self._asleep[address].append(message)
                    else:
                        self.hear(address, message)

    def hear(self, address: Address, message: Message) -> None:
        end = self.ends[address]
        self._take(address, end.open([message], self.now))

    def _take(self, address: Address, packets: list[Message]) -> None:
        end = self.ends[address]
        self.heard[address] += [packet.data for packet in packets]
        self.heard_from[address] += [packet.sender for packet in packets]
        self._under_way += [(datagram, address, to) for datagram, to in end.outgoing]
        end.outgoing.clear()

    def advance(self, seconds: float) -> None:
        until = self.now + seconds
        while True:
            self.settle()
            awake = {address: end for address, end in self.ends.items() if address not in self._asleep}
            due = min([end.timer() for end in awake.values()], default=until)
            if due > until:
                break
            self.now = max(self.now, due)
            for address, end in awake.items():
                end.tick(self.now)
                self._take(address, end.open([], self.now))
        self.now = until

    def rejected(self, end: Address) -> int:
        return self.ends[end].rejections.total

    def reasons(self, end: Address) -> set[str]:
        return {report.why.name for report in self.ends[end].rejections.take(self.now + 10)}


@pytest.fixture
def net() -> Net:
    return Net()


def test_the_first_message_of_a_new_end_is_heard_once_it_proved_to_be_there(net: Net) -> None:
    one, two, three = net.open(1), net.open(2), net.open(3)
    net.say(one, b"hello")
    assert (net.heard[two], net.heard[three]) == ([b"hello"], [b"hello"])
    net.say(two, b"direct", one)
    assert net.heard[one] == [b"direct"]
    assert [net.rejected(end) for end in (one, two, three)] == [0, 0, 0]


@pytest.mark.parametrize("asleep", [0.1, 0.3, 1.0, 1.4, 2.9])
@pytest.mark.parametrize("later", [0.0, 0.1])
def test_an_end_that_is_too_busy_to_answer_for_a_while_is_heard_from_where_the_other_joined(
    net: Net, asleep: float, later: float
) -> None:
    one = net.open(1)
    net.say(one, b"before")
    net.advance(1.0)
    two = net.open(2)
    net.advance(later)
    said = [b"%d" % number for number in range(30)]
    net.sleep(one)
    for packet in said:
        net.say(one, packet)
    net.advance(asleep)
    net.wake(one)
    net.advance(3.0)
    if asleep < 1.5:
        assert (net.heard[two], net.rejected(two)) == (said, 0)
    else:  # nobody knows any more what of it was said before
        assert (net.heard[two], net.reasons(two)) == ([], {"REPLAYED"})
    net.say(one, b"after")
    assert net.heard[two][-1] == b"after"


def test_an_end_that_always_takes_long_to_answer_is_heard_all_the_same(net: Net) -> None:
    one, two = net.open(1), net.open(2)
    net.say(one, b"before")
    net.advance(1.0)
    three = net.open(3)
    for number in range(8):
        net.sleep(one)
        net.say(one, b"%d" % number)
        net.advance(0.4)
        net.wake(one)
    net.say(one, b"after")
    assert net.heard[two][-1] == net.heard[three][-1] == b"after"
    assert b"before" not in net.heard[three]


def test_who_delays_an_answer_lets_nothing_in_that_was_said_before(net: Net) -> None:
    one = net.open(1)
    net.advance(1.0)
    early = (net.ends[one].seal(b"before", None, net.now), one, None)
    net.advance(0.3)
    two = net.open(2)
    net.sleep(one)
    net.inject(early)
    for _ in range(4):
        net.advance(0.4)
        net.wake(one)
        net.sleep(one)
    net.wake(one)
    net.advance(3.0)
    assert net.heard[two] == []


def test_those_who_know_each_other_exchange_nothing_else(net: Net) -> None:
    one, two = net.open(1), net.open(2)
    net.say(one, b"1")
    before = len(net.seen)
    for number in range(10):
        net.say(one, b"%d" % number)
        net.say(two, b"%d" % number, one)
    assert len(net.seen) - before == 20


def test_a_bystander_of_a_handshake_learns_nothing_that_it_could_use(net: Net) -> None:
    one, two = net.open(1), net.open(2)
    net.say(one, b"hello")
    net.advance(1.0)
    late = net.open(3)
    for sent in list(net.seen):
        for source in (sent[1], OUTSIDER):
            net.inject((sent[0], source, late))
            net.inject((sent[0], source, None))
    net.advance(10.0)
    assert net.heard[late] == []
    assert net.heard[two] == [b"hello"]


@pytest.mark.parametrize("source", ["its own", "the outsider's"])
def test_what_was_heard_is_not_heard_again(net: Net, source: str) -> None:
    one, two = net.open(1), net.open(2)
    for number in range(20):
        net.say(one, b"%d" % number)
    recorded = [sent for sent in net.seen if sent[1] == one and sent[2] is None]
    before = list(net.heard[two])
    for datagram, sender, _ in recorded:
        net.inject((datagram, sender if source == "its own" else OUTSIDER, None))
    net.advance(10.0)
    assert net.heard[two] == before
    assert net.rejected(two) == len(recorded)
    assert net.reasons(two) == {"REPLAYED"}


def test_a_recorded_session_is_refused_by_who_comes_later_and_told(net: Net) -> None:
    one = net.open(1)
    net.open(2)
    for number in range(20):
        net.say(one, b"%d" % number)
    del net.ends[one]
    late = net.open(3)
    recorded = [sent for sent in net.seen if sent[1] == one]
    for datagram, sender, to in recorded:
        net.inject((datagram, sender, late if to is not None else None))
    net.advance(10.0)
    assert net.heard[late] == []
    assert net.rejected(late) == len(recorded)
    assert net.reasons(late) == {"UNANSWERED", "FORGED"}  # what was sealed for another end opens here no more


def test_a_recording_of_a_session_that_lives_on_is_refused_by_who_comes_later(net: Net) -> None:
    """The session answers, from where it is; what was said before is no part of what a late end is to hear."""
    one = net.open(1)
    net.open(2)
    net.say(one, b"before")
    net.advance(1.0)
    late = net.open(3)
    recording = [sent for sent in net.seen if sent[1] == one and sent[2] is None]
    for datagram, _, _ in recording:
        net.inject((datagram, OUTSIDER, None))
    net.advance(10.0)
    assert net.heard[late] == []
    net.say(one, b"after")
    assert net.heard[late] == [b"after"]


def test_who_passes_on_what_an_end_says_is_not_taken_for_it(net: Net) -> None:
    """The outsider's copy comes first, from its own address."""
    one, two = net.open(1), net.open(2)
    for number in range(5):
        datagram = net.ends[one].seal(b"%d" % number, None, 0.0)
        net.inject((datagram, OUTSIDER, None))
        net.inject((datagram, one, None))
    net.advance(10.0)
    assert net.heard[two] == [b"%d" % number for number in range(5)]
    assert net.rejected(two) >= 5


class PassesOn:
    """An outsider who passes on what each end says, and what comes of it, and is always first.

    Args:
        net: where.
        at: its address; what comes there it hands to every end.
    """

    def __init__(self, net: Net, at: Address = OUTSIDER) -> None:
        self._net = net
        self.at = at
        net.interferes = self

    def __call__(self, sent: Sent) -> None:
        datagram, source, to = sent
        if source == self.at or to not in (None, self.at):
            return
        for end in self._net.ends:
            if end != source:
                message = Message(datagram, *self.at, "IPv4", self._net.now, to is not None)
                self._net.hear(end, message)


def test_who_passes_on_everything_is_not_where_replies_go_while_an_end_is_heard_itself(net: Net) -> None:
    one, two = net.open(1), net.open(2)
    PassesOn(net)
    for number in range(50):
        net.say(one, b"%d" % number)
        net.say(two, b"-%d" % number)
        net.advance(0.1)
    net.advance(2.0)
    assert net.heard[two] == [b"%d" % number for number in range(50)]
    assert net.heard[one] == [b"-%d" % number for number in range(50)]
    assert set(net.heard_from[two]) == {one}
    assert set(net.heard_from[one]) == {two}


def test_whom_one_hears_through_another_only_is_heard_and_answered(net: Net) -> None:
    one, two = net.open(1), net.open(2)
    bridge = PassesOn(net)
    net.separate(one, two)
    for number in range(20):
        net.say(one, b"%d" % number)
        net.say(two, b"reply", bridge.at)
        net.advance(0.1)
    assert net.heard[two] == [b"%d" % number for number in range(20)]
    assert net.heard[one] == [b"reply"] * 20
    assert set(net.heard_from[two]) == {bridge.at}
    assert net.rejected(two) == net.rejected(one) == 0


def test_who_is_heard_itself_at_last_is_there_and_who_passed_it_on_is_not_any_more(net: Net) -> None:
    one, two = net.open(1), net.open(2)
    bridge = PassesOn(net)
    net.separate(one, two)
    net.say(one, b"behind it")
    net.together(one, two)
    net.say(one, b"itself")
    net.say(two, b"reply", one)
    net.say(one, b"still itself")
    net.advance(2.0)
    assert net.heard[two] == [b"behind it", b"itself", b"still itself"]
    assert net.heard_from[two][0] == bridge.at
    assert net.heard_from[two][2] == one
    assert net.heard[one] == [b"reply"]


def test_another_one_who_passes_on_is_believed_within_a_second_once_the_first_is_gone(net: Net) -> None:
    one, two = net.open(1), net.open(2)
    bridge = PassesOn(net)
    net.separate(one, two)
    net.say(one, b"by the first")
    net.advance(5.0)
    bridge.at = ("10.0.0.98", 7777)
    net.say(one, b"by the second")  # held, and delivered though nothing else comes
    net.advance(1.0)
    net.say(one, b"more")
    assert net.heard[two] == [b"by the first", b"by the second", b"more"]
    assert net.heard_from[two] == [OUTSIDER, bridge.at, bridge.at]


def test_another_one_who_passes_on_is_not_believed_while_the_first_one_works(net: Net) -> None:
    one, two = net.open(1), net.open(2)
    bridge = PassesOn(net)
    net.separate(one, two)
    net.say(one, b"0")
    other = PassesOn(net, ("10.0.0.98", 7777))

    def both(sent: Sent) -> None:
        other(sent)  # the first to know
        bridge(sent)

    net.interferes = both
    for number in range(1, 30):
        net.say(one, b"%d" % number)
        net.advance(0.1)
    net.advance(2.0)
    assert net.heard[two] == [b"%d" % number for number in range(30)]
    assert set(net.heard_from[two]) == {bridge.at}
    assert net.reasons(two) <= {"RELAYED", "REPLAYED"}


def test_who_says_what_another_end_says_from_an_address_where_a_third_one_is_does_not_get_what_is_for_that_one(
    net: Net,
) -> None:
    one, two, three = net.open(1), net.open(2), net.open(3)
    net.say(three, b"here")
    net.separate(one, two)
    PassesOn(net, three)  # a forged source; and it can even answer
    for number in range(10):
        net.say(one, b"%d" % number)
        net.advance(0.3)
        net.say(two, b"for three", three)
    assert net.heard[three].count(b"for three") == 10


def test_what_is_asked_before_a_change_of_the_key_is_answered_after_it(net: Net) -> None:
    """A message that is held meanwhile is not lost."""
    one, two = net.open(1, OTHER, KEY), net.open(2, KEY, OTHER)

    def change(sent: Sent) -> None:
        if sent[1:] == (two, one):  # the challenge is under way
            net.interferes = lambda _: None
            net.ends[one].change_keys((KEY,))

    net.interferes = change
    net.say(one, b"said with the old one")
    net.advance(5.0)
    assert net.heard[two] == [b"said with the old one"]
    assert net.rejected(two) == 0


def test_what_was_sent_to_one_end_opens_nowhere_else(net: Net) -> None:
    one, two, three = net.open(1), net.open(2), net.open(3)
    net.say(one, b"hello")
    net.say(one, b"for two", two)
    (direct,) = [sent for sent in net.seen if sent[1:] == (one, two)][-1:]
    net.inject((direct[0], one, three))
    net.inject((direct[0], one, None))
    to_all = next(sent for sent in net.seen if sent[1] == one and sent[2] is None)
    late = net.open(4)
    net.inject((to_all[0], one, late))  # as if it had been for it alone
    net.advance(10.0)
    assert net.heard[three] == [b"hello"]
    assert net.heard[two] == [b"hello", b"for two"]
    assert net.heard[late] == []
    assert "FORGED" in net.reasons(three)


def test_an_end_that_moves_proves_itself_anew_and_nothing_is_lost(net: Net) -> None:
    one, two = net.open(1), net.open(2)
    net.say(one, b"before")
    moved = ("10.0.0.77", 50_001)
    net.ends[moved] = net.ends.pop(one)
    end: Any = net.ends[moved]
    end._own_addresses = end._targets._own_addresses = lambda: frozenset([moved])
    net.heard[moved], net.heard_from[moved] = [], []
    net.say(moved, b"after")
    assert net.heard[two] == [b"before", b"after"]
    assert net.rejected(two) == 0


@pytest.mark.parametrize("seed", range(5))
def test_where_much_gets_lost_everything_that_arrives_is_heard_once_and_in_order(net: Net, seed: int) -> None:
    chance = random.Random(seed)
    one, two = net.open(1), net.open(2)
    net.loses = lambda: chance.random() < 0.3
    for number in range(100):
        net.say(one, b"%03d" % number)
        net.advance(0.001)
    net.advance(2.0)
    heard = net.heard[two]
    assert heard == sorted(set(heard))
    assert len(heard) >= 50
    assert net.rejected(two) == 0


@pytest.mark.parametrize("seed", range(8))
def test_whatever_an_outsider_sends_of_what_it_saw_changes_nothing(net: Net, seed: int) -> None:
    """It knows every datagram, and sends any, whole or changed, from any address to any end, at any time.

    And it passes on what it likes, what comes of that as well.
    """
    chance = random.Random(seed)
    ends = [net.open(host) for host in range(1, 4)]
    speakers: dict[bytes, Address] = {}
    pass_on = PassesOn(net)
    net.interferes = lambda sent: pass_on(sent) if chance.random() < 0.5 else None
    expected = {end: list[bytes]() for end in ends}

    def mutated(datagram: bytes) -> bytes:
        changed = bytearray(datagram)
        for _ in range(chance.randrange(3) if changed else 0):
            changed[chance.randrange(len(changed))] ^= chance.randrange(256)
        return bytes(changed[: chance.choice([len(changed), chance.randrange(len(changed) + 1)])])

    for number in range(150):
        end = chance.choice(ends)
        to = chance.choice([None, None, *[other for other in ends if other != end]])
        packet = b"%04d" % number
        speakers[packet] = end
        for hearer in ends if to is None else [to]:
            if hearer != end:
                expected[hearer].append(packet)
        net.say(end, packet, to)
        for _ in range(chance.randrange(8)):
            datagram, source, to = chance.choice(net.seen[-200:])
            net.inject(
                (
                    mutated(datagram) if chance.random() < 0.3 else datagram,
                    chance.choice([source, OUTSIDER, ("10.0.0.98", chance.randrange(1, 99)), *ends]),
                    chance.choice([to, None, *ends]),
                )
            )
        net.advance(chance.choice([0.0, 0.001, 0.1]))
    net.advance(10.0)
    assert net.heard == expected
    for end in ends:
        assert net.heard_from[end] == [speakers[packet] for packet in net.heard[end]]


def test_a_flood_of_old_recordings_neither_fills_the_memory_nor_keeps_a_new_end_out(net: Net) -> None:
    two = net.open(2)
    for host in range(600):
        old = Sealer(KEY, GROUP, os.urandom(12))
        for number in range(3):
            net.inject((old.seal(bytes(1000)), ("10.9.0.1", 1 + host), None))
            net.inject((old.seal(b"%d" % number), ("10.9.0.2", 1 + host), None))
    end: Any = net.ends[two]
    assert len(end._admission.newcomers) <= 256
    one = net.open(1)
    net.say(one, b"hello")
    assert net.heard[two] == [b"hello"]
    net.advance(10.0)
    assert (len(end._admission.newcomers), end._admission.newcomers.size) == (0, 0)
    assert net.rejected(two) == 3600


def test_copies_that_come_over_several_interfaces_are_no_replays() -> None:
    one = Sessions((KEY,), GROUP, frozenset, os.urandom, 0.0)
    message = Message(one.seal(b"packet", None, 0.0), "10.0.0.1", 5)
    for several, replayed in ((True, 0), (False, 1)):
        two = Sessions((KEY,), GROUP, frozenset, os.urandom, 0.0, several=several)
        two.open([message, message], 0.0)
        assert two.rejections.total == replayed


def test_what_waits_for_an_answer_is_bounded_and_what_is_over_is_told(net: Net) -> None:
    two = net.open(2)
    old = Sealer(KEY, GROUP, os.urandom(12))
    for _ in range(2000):
        net.inject((old.seal(b"x" * 5000), OUTSIDER, None))
    end: Any = net.ends[two]
    assert end._admission.newcomers.size <= 2 << 20
    assert "TOO_MUCH" in net.reasons(two)


class TestKeys:
    def test_of_others_are_refused_and_told_with_both_hints(self, net: Net) -> None:
        one, two = net.open(1, KEY), net.open(2, OTHER)
        net.say(one, b"x")
        (report,) = net.ends[two].rejections.take(0.0)
        assert KEY.hint in report.detail
        assert OTHER.hint in report.detail
        assert report.sender == one
        assert net.heard[two] == []

    def test_in_a_ring_all_open_and_the_first_seals(self, net: Net) -> None:
        old, both, new = net.open(1, OTHER, KEY), net.open(2, KEY, OTHER), net.open(3, KEY)
        net.say(old, b"old")
        net.say(both, b"new")
        assert (net.heard[old], net.heard[both], net.heard[new]) == ([b"new"], [b"old"], [b"new"])

    def test_change_without_a_message_lost_and_the_old_one_is_refused_at_the_end(self, net: Net) -> None:
        ends = [net.open(host, OTHER) for host in (1, 2, 3)]
        said: list[bytes] = []

        def all_say() -> None:
            for end in ends:
                said.append(b"%s %d" % (end[0].encode(), len(said)))
                net.say(end, said[-1])

        all_say()
        for ring in [(OTHER, KEY), (KEY, OTHER), (KEY,)]:
            for end in ends:
                net.ends[end].change_keys(ring)
                all_say()
        for end in ends:
            assert net.heard[end] == [packet for packet in said if not packet.startswith(end[0].encode() + b" ")]
            assert net.rejected(end) == 0
        stranger = net.open(4, OTHER)
        net.say(stranger, b"with the old one")
        recorded = [sent for sent in net.seen if sent[0][1:4] == OTHER.hint_bytes]
        for sent in recorded:
            net.inject(sent)
        assert b"with the old one" not in net.heard[ends[0]]
        assert net.reasons(ends[0]) == {"OTHER_KEY"}

    def test_that_share_a_hint_are_told_apart(self, net: Net, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Key, "hint_bytes", property(lambda _: b"abc"))
        one, two, three = net.open(1, OTHER, KEY), net.open(2, KEY, OTHER), net.open(3, KEY)
        net.say(one, b"x")
        net.say(two, b"y")
        assert (net.heard[one], net.heard[two], net.heard[three]) == ([b"y"], [b"x"], [b"y"])
        assert net.reasons(three) == {"FORGED"}

    def test_that_are_gone_open_nothing_that_waited(self, net: Net) -> None:
        two = net.open(2, KEY, OTHER)
        net.inject((Sealer(OTHER, GROUP, os.urandom(12)).seal(b"x"), OUTSIDER, None))
        net.ends[two].change_keys((KEY,))
        net.advance(5.0)
        assert net.reasons(two) == {"OTHER_KEY"}


def test_of_100_000_changed_datagrams_none_is_accepted_and_nothing_is_raised() -> None:
    chance = random.Random(1)
    net = Net()
    one, two = net.open(1), net.open(2)
    net.say(one, b"hello")
    end = net.ends[two]
    good = [net.ends[one].seal(bytes(chance.randrange(60)), None, 0.0) for _ in range(50)]
    good += [
        net.ends[one].seal(pack(Challenge(os.urandom(16))), two, 0.0),
        Sealer(KEY, GROUP, os.urandom(12)).seal(b"new"),
    ]
    accepted = 0
    for number in range(100_000):
        datagram = bytearray(chance.choice(good))
        way = number % 4
        if way == 0:
            datagram[chance.randrange(len(datagram))] ^= 1 << chance.randrange(8)
        elif way == 1:
            del datagram[chance.randrange(len(datagram)) :]
        elif way == 2:
            datagram.insert(chance.randrange(len(datagram) + 1), chance.randrange(256))
        else:
            start = chance.randrange(len(datagram))
            datagram[start : start + 9] = chance.randbytes(chance.randrange(12))
        if bytes(datagram) in good:
            continue
        message = Message(bytes(datagram), *one, "IPv4", 0.0, bool(chance.randrange(2)))
        accepted += len(end.open([message], 0.0))
        end.outgoing.clear()
    assert accepted == 0
    assert end.rejections.total > 90_000


class Recording:
    """An AES-GCM that notes the key and nonce of everything that it seals."""

    used: ClassVar[list[tuple[bytes, bytes]]] = []

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encrypt(self, nonce: bytes, data: bytes, associated: bytes) -> bytes:
        Recording.used.append((self._key, nonce))
        return data + bytes(16)

    def decrypt(self, nonce: bytes, data: bytes, associated: bytes) -> bytes:
        return data[:-16]


def test_no_nonce_is_used_twice_by_10_000_openings_and_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_cipher, "AESGCM", Recording)
    Recording.used = []
    shared = Sessions((KEY, OTHER), GROUP, frozenset, os.urandom, 0.0)

    def work() -> None:
        for number in range(1250):
            own = Sessions((KEY,), GROUP, frozenset, os.urandom, 0.0)
            for each in (own, own, shared):
                each.seal(b"x", None, 0.0)
            own.seal(b"y", OUTSIDER, 0.0)
            if number % 100 == 0:
                for keys in ((OTHER, KEY), (KEY, OTHER)):
                    shared.change_keys(keys)
                own.change_keys((OTHER, KEY))
                own.seal(b"z", None, 0.0)
                own.change_keys((KEY,))
                own.seal(b"z", None, 0.0)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(Recording.used) >= 40_000
    assert len(set(Recording.used)) == len(Recording.used)


def test_a_change_of_keys_tells_of_those_who_wait_with_the_new_one(net: Net) -> None:
    one, two = net.open(1, KEY), net.open(2, KEY)
    net.separate(one, two)
    packet = net.ends[one].seal(b"x", None, net.now)
    net.ends[two].open([Message(packet, *one)], net.now)
    net.ends[two].change_keys((OTHER,))
    (report,) = net.ends[two].rejections.take(net.now + 10)
    assert report.detail == f"its key is {KEY.hint}, this channel's {OTHER.hint}"
