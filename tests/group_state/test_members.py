"""Who is in the group, on channels of every kind, in virtual time and live."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc import Joined, Left, Member, Presence
from rx_multicast_ipc.testing import VirtualClock, VirtualNetwork

from ..helpers import PATIENCE

Names = list[list[str]]


def names_of(channel: ipc.Channel) -> Names:
    seen: Names = []
    channel.members.subscribe(lambda members: seen.append(sorted(member.name for member in members)))
    return seen


@pytest.mark.parametrize("sealed_reliable", [False, True])
def test_a_sealed_group_knows_its_own_and_nobody_else(
    network: VirtualNetwork, clock: VirtualClock, sealed_reliable: bool
) -> None:
    pytest.importorskip("cryptography")
    key, other = ipc.Key.new(), ipc.Key.new()
    ann, bob = (network.open_channel(presence=name, key=key, reliable=sealed_reliable) for name in ("Ann", "Bob"))
    stranger = network.open_channel(presence="Stranger", key=other, reliable=sealed_reliable)
    plain = network.open_channel(presence="Plain", reliable=sealed_reliable)
    clock.advance_by(5)
    seen = [names_of(channel) for channel in (ann, bob, stranger, plain)]
    assert seen == [[["Ann", "Bob"]], [["Ann", "Bob"]], [["Stranger"]], [["Plain"]]]
    stranger.latest("price", int).set(666).subscribe()
    plain.latest("price", int).set(667).subscribe()
    ann.latest("price", int).set(42).subscribe()
    clock.advance_by(1)
    values: list[int] = []
    bob.latest("price", int).subscribe(values.append)
    clock.advance_by(20)
    assert values == [42]
    bob.close()
    clock.advance_by(0.1)
    assert names_of(ann) == [["Ann"]]


@pytest.fixture(params=[False, True], ids=["raw", "reliable"])
def reliable(request: pytest.FixtureRequest) -> bool:
    return request.param


def has(count: int) -> Callable[[frozenset[Member]], bool]:
    return lambda members: len(members) == count


def test_all_see_who_is_there_then_who_comes_and_who_leaves(
    network: VirtualNetwork, clock: VirtualClock, reliable: bool
) -> None:
    ann = network.open_channel(presence="Ann", reliable=reliable)
    seen = names_of(ann)
    assert seen == [["Ann"]]
    clock.advance_by(2)
    bob = network.open_channel(presence=Presence("Bob", b"likes tea"), reliable=reliable)
    clock.advance_by(2)
    assert names_of(bob) == [["Ann", "Bob"]]
    bob.close()
    clock.advance_by(0.1)
    assert seen == [["Ann"], ["Ann", "Bob"], ["Ann"]]


def test_events_tell_who_came_and_why_who_is_gone_is_gone(
    network: VirtualNetwork, clock: VirtualClock, reliable: bool
) -> None:
    ann = network.open_channel(presence="Ann", reliable=reliable)
    told: list[Any] = []
    ann.events.pipe(ops.filter(lambda event: isinstance(event, Joined | Left))).subscribe(told.append)
    bob = network.open_channel(presence=Presence("Bob", b"likes tea"), reliable=reliable)
    cid = network.open_channel(presence="Cid", host="10.0.0.9", reliable=reliable)
    clock.advance_by(2)
    who = {event.member.name: event.member for event in told}
    assert who["Bob"].sender == bob.sender_address
    assert who["Bob"].about == b"likes tea"
    assert {type(event) for event in told} == {Joined}
    told.clear()
    bob.close()
    network.take_down("10.0.0.9")
    clock.advance_by(0.1)
    assert [(event.member.name, event.reason) for event in told] == [("Bob", "said goodbye")]
    clock.advance_by(4.9)
    assert [(event.member.name, event.reason) for event in told[1:]] == [("Cid", "silent")]
    network.bring_up("10.0.0.9")
    clock.advance_by(1.1)
    assert told[2:] == [Joined(who["Cid"], told[2].at)]
    assert cid.closed is False


def test_a_member_is_spoken_to_by_its_record(network: VirtualNetwork, clock: VirtualClock) -> None:
    ann, bob = (network.open_channel(presence=name) for name in ("Ann", "Bob"))
    heard: list[tuple[bytes, bool]] = []
    bob.messages.subscribe(lambda message: heard.append((message.data, message.direct)))
    ann.members.pipe(
        ops.flat_map(lambda members: [member for member in members if member.name == "Bob"]),
        ops.first(),
        ops.flat_map(lambda member: ann.send("psst", member.sender)),
    ).subscribe()
    clock.advance_by(2)
    assert heard == [(b"psst", True)]


def test_data_stay_raw_datagrams_and_packets_are_no_messages(network: VirtualNetwork, clock: VirtualClock) -> None:
    ann, bob = (network.open_channel(presence=name) for name in ("Ann", "Bob"))
    peer = network.open_channel()
    heard: dict[str, list[bytes]] = {"Ann": [], "Bob": [], "peer": []}
    for name, channel in zip(heard, (ann, bob, peer), strict=True):
        channel.messages.subscribe(lambda message, name=name: heard[name].append(message.data))
    for channel in (ann, bob, peer):
        channel.broadcast(b"hello").subscribe()
    clock.advance_by(5)
    assert heard["Ann"] == heard["Bob"] == [b"hello"] * 3
    raw = [data for data in heard["peer"] if data != b"hello"]
    assert len(heard["peer"]) - len(raw) == 3
    assert raw
    assert all(data[0] == 0xF5 for data in raw)  # no text begins with it
    assert (ann.statistics.sent, ann.statistics.received) == (1, 3)


def test_what_only_looks_like_a_packet_is_a_message(network: VirtualNetwork, clock: VirtualClock) -> None:
    ann = network.open_channel(presence="Ann")
    peer = network.open_channel()
    heard: list[bytes] = []
    ann.messages.subscribe(lambda message: heard.append(message.data))
    payload = b"\xf5\x60" + bytes(30)
    peer.broadcast(payload).subscribe()
    clock.advance_by(1)
    assert heard == [payload]


def test_who_only_listens_sends_nothing(network: VirtualNetwork, clock: VirtualClock) -> None:
    watcher = network.open_channel(presence=Presence(None))
    sent: list[object] = []
    network.sends(watcher).subscribe(sent.append)
    network.open_channel(presence="Ann")
    clock.advance_by(3)
    assert names_of(watcher) == [["Ann"]]
    watcher.close()
    clock.advance_by(3)
    assert sent == []


def test_without_presence_there_are_no_members(network: VirtualNetwork) -> None:
    channel = network.open_channel()
    with pytest.raises(ipc.Unsupported, match="presence="):
        _ = channel.members
    reliable = network.open_channel(reliable=True)
    with pytest.raises(ipc.Unsupported, match="presence="):
        _ = reliable.members


def test_a_subscriber_that_raises_costs_the_others_nothing(
    network: VirtualNetwork, clock: VirtualClock, unhandled: list[BaseException]
) -> None:
    ann = network.open_channel(presence="Ann")

    def fail(_: object) -> None:
        raise ZeroDivisionError

    ann.members.subscribe(fail)
    seen = names_of(ann)
    ann.members.pipe(ops.skip(1)).subscribe(fail)
    network.open_channel(presence="Bob")
    clock.advance_by(1)
    assert seen == [["Ann"], ["Ann", "Bob"]]
    assert [type(error) for error in unhandled] == [ZeroDivisionError] * 2
    unhandled.clear()


def test_members_complete_on_close_and_err_afterwards(network: VirtualNetwork, clock: VirtualClock) -> None:
    ann = network.open_channel(presence="Ann")
    told: list[object] = []
    ann.members.subscribe(lambda _: None, told.append, lambda: told.append("completed"))
    members = ann.members
    ann.close()
    clock.advance_by(1)
    members.subscribe(on_error=told.append)
    assert told[0] == "completed"
    assert [type(what) for what in told[1:]] == [ipc.ChannelClosed]


def test_closing_in_a_subscriber_ends_the_set_at_once(network: VirtualNetwork, clock: VirtualClock) -> None:
    ann = network.open_channel(presence="Ann")
    seen: list[object] = []

    def close(members: frozenset[Member]) -> None:
        seen.append(members)
        if len(members) == 2:
            ann.close()

    ann.members.subscribe(close)
    network.open_channel(presence="Bob")
    network.open_channel(presence="Cid")
    clock.advance_by(3)
    assert len(seen) == 2


def test_an_hour_of_two_members_is_cheap(network: VirtualNetwork, clock: VirtualClock) -> None:
    network.open_channel(presence="Ann")
    network.open_channel(presence="Bob")
    clock.advance_by(3600)
    assert network.traffic.sent <= 7400


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Presence(""), "name"),
        (lambda: Presence("a" * 65), "64 bytes"),
        (lambda: Presence("a\nb"), "printable"),
        (lambda: Presence("\ud800"), "printable"),
        (lambda: Presence(7), "printable"),  # pyright: ignore[reportArgumentType]
        (lambda: Presence("a", "text"), "bytes"),  # pyright: ignore[reportArgumentType]
        (lambda: Presence("a", bytes(513)), "latest"),
        (lambda: Presence("a", interval=0.01), "0.1 to 3600"),
        (lambda: Presence("a", interval=float("nan")), "interval"),
        (lambda: Presence("a", interval=True), "interval"),
        (lambda: ipc.open_channel(presence=True), 'presence="arena-bot"'),  # pyright: ignore[reportArgumentType]
        (lambda: ipc.open_channel(presence="bot", send_from="group"), "port of its own"),
    ],
)
def test_a_mistake_is_told_at_once(make: Callable[[], object], says: str) -> None:
    with pytest.raises(ipc.InvalidOption, match=says):
        make()


def test_records_survive_pickling() -> None:
    member = Member("Ann", "10.0.0.1", 5000, b"about", 7)
    for record in (member, Joined(member, 1.0), Left(member, "silent", 2.0), Presence("Ann")):
        assert pickle.loads(pickle.dumps(record)) == record


def test_live_members_see_each_other_come_and_go(port: int, reliable: bool) -> None:
    with ipc.open_channel(port, presence=Presence("Ann", interval=0.2), reliable=reliable) as ann:
        with ipc.open_channel(port, presence=Presence("Bob", interval=0.2), reliable=reliable) as bob:
            for channel in (ann, bob):
                ipc.run(channel.members.pipe(ops.filter(has(2)), ops.first()), timeout=PATIENCE)
        ipc.run(ann.members.pipe(ops.filter(has(1)), ops.first()), timeout=PATIENCE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.skipif(sys.version_info >= (3, 15), reason="not tried")
def test_a_forked_child_is_not_the_member_and_its_end_is_no_goodbye(port: int) -> None:
    with (
        ipc.open_channel(port, presence="Ann") as ann,
        ipc.open_channel(port, presence="Bob") as bob,
    ):
        told: list[object] = []
        ipc.run(ann.members.pipe(ops.filter(has(2)), ops.first()), timeout=PATIENCE)
        ann.events.subscribe(told.append)
        child = multiprocessing.get_context("fork").Process(target=_in_child, args=(bob,))
        with pytest.warns(DeprecationWarning, match="fork") if sys.version_info >= (3, 12) else nullcontext():
            child.start()
        child.join(PATIENCE)
        assert child.exitcode == 0
        ipc.run(bob.broadcast("still here"))
        ipc.run(ann.wait_for_message(lambda m: m.text == "still here", timeout=PATIENCE))
        assert [event for event in told if not isinstance(event, Joined)] == []  # which is told after the first set
        assert len(ipc.run(ann.members.pipe(ops.first()), timeout=PATIENCE)) == 2  # pyright: ignore[reportArgumentType]


def _in_child(bob: ipc.Channel) -> None:
    for use in (lambda: bob.members.subscribe(on_error=_raise), lambda: bob.latest("x"), lambda: bob.broadcast("x")):
        try:
            use()
        except ipc.ChannelClosed:
            continue
        os._exit(1)
    bob.close()


def _raise(error: Exception) -> None:
    raise error
