"""Protocols under 30 % loss, 200 ms of latency with jitter and a partition that heals, as users of the kit test theirs.

What is tested are the very functions of the examples.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial

import pytest
import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from examples.announcer import announcer
from examples.election import election
from examples.logger import logger
from examples.ping_pong import ping, pong
from examples.player import player
from examples.welcome import welcome
from rx_multicast_ipc.testing import Event, Marbles, VirtualNetwork
from rx_multicast_ipc.transport.virtual.link import LinkOptions

from .helpers import ROOT, THOROUGH

BAD_LINKS: LinkOptions = {"latency": 0.2, "jitter": 0.1, "loss": 0.3}

pytestmark = pytest.mark.virtual_network(**BAD_LINKS, seed=1)


@pytest.fixture(autouse=True)
def no_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """None of these tests starts a thread."""
    started: list[threading.Thread] = []
    start_in_truth, here = threading.Thread.start, threading.current_thread()

    def start(thread: threading.Thread) -> None:
        if threading.current_thread() is here:
            started.append(thread)
        else:  # what earlier tests left ends by itself
            start_in_truth(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    yield
    assert started == []


def part(marbles: Marbles, network: VirtualNetwork, picture: str, *sides: list[str]) -> None:
    """Cut the network where the picture has an x, and heal it where it has an o."""
    weather = {"x": lambda: network.partition(*sides), "o": network.heal}
    marbles.hot(picture, weather).subscribe(lambda change: change())


# The arena


def test_who_joins_is_welcomed_and_announced_as_soon_as_the_network_is_whole(
    marbles: Marbles, virtual_network: VirtualNetwork
) -> None:
    for number, bot in enumerate((announcer, welcome, logger), start=1):
        marbles.record(bot(virtual_network.open_channel(host=f"10.0.0.{number}")))
    part(marbles, virtual_network, "x 10s o", ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
    for name in ("Ann", "Bob"):
        heard = player(virtual_network.open_channel(), name)
        marbles.expect(heard.pipe(ops.sample(30.0))).to_be(
            "30s (a|)", a=[f"Welcome {name}!", f"Player {name} has entered the arena!"]
        )


@pytest.mark.marbles(frame=0.1)
def test_the_welcome_bot_answers_each_join_that_it_hears_to_the_joiner_alone(
    marbles: Marbles, virtual_network: VirtualNetwork
) -> None:
    bot, ann = virtual_network.open_channel(host="10.0.0.1"), virtual_network.open_channel(host="10.0.0.2")
    part(marbles, virtual_network, "-- x 1s o", ["10.0.0.1"])
    joins = bot.messages.pipe(ops.filter(lambda m: m.text == "join:Ann"), ops.map(lambda m: m.received_at))
    greetings = virtual_network.sends(bot).pipe(ops.skip(1))  # behind "ready:welcome"
    heard = marbles.record(joins)
    sent = marbles.record(greetings)
    marbles.record(welcome(bot))
    marbles.record(rx.interval(0.5).pipe(ops.take(20), ops.flat_map(lambda _: ann.broadcast("join:Ann"))))
    marbles.run(until=12.0)
    assert 10 <= len(heard.values) < 20
    assert [(one.sent_at, one.destination, one.payload) for one in sent.values] == [
        (at, ann.sender_address, b"Welcome Ann!") for at in heard.values
    ]


def test_the_logger_logs_what_arrives_in_the_order_in_which_it_was_said(
    marbles: Marbles, virtual_network: VirtualNetwork
) -> None:
    log = marbles.record(logger(virtual_network.open_channel(host="10.0.0.1", echo=False)))
    speaker = virtual_network.open_channel(host="10.0.0.2")
    part(marbles, virtual_network, "20s x 20s o", ["10.0.0.2"])
    said = rx.interval(1.0).pipe(ops.take(100), ops.map(str))
    marbles.record(said.pipe(ops.flat_map(speaker.broadcast)))
    marbles.run(until=120.0)
    address, port = speaker.sender_address
    numbers = [int(line.removeprefix(f"logger: {address}:{port} said '").removesuffix("'")) for line in log.values]
    assert numbers == sorted(numbers)
    assert not {*range(20, 39)} & {*numbers}
    assert 45 < len(numbers) < 70  # 70 % of 80


def test_every_bot_goes_home_when_the_arena_closes_however_often_that_must_be_said(
    marbles: Marbles, virtual_network: VirtualNetwork
) -> None:
    bots: tuple[Callable[[ipc.Channel], rx.Observable[object]], ...] = announcer, welcome, logger
    for bot in bots:
        going_home = bot(virtual_network.open_channel()).pipe(ops.ignore_elements(), ops.materialize())
        marbles.expect(going_home.pipe(ops.map(lambda end: end.kind), ops.sample(40.0))).to_be("40s (a|)", a="C")
    arena = virtual_network.open_channel(host="10.0.0.9")
    part(marbles, virtual_network, "x 20s o", ["10.0.0.9"])
    closing = rx.interval(1.0).pipe(ops.flat_map(lambda _: arena.broadcast("arena:closed")))
    marbles.expect(closing.pipe(ops.ignore_elements()), subscription="^ 60s !").to_be("60s -")


# Leader election


def test_the_highest_number_leads_on_each_side_of_a_partition_and_then_everywhere(
    marbles: Marbles, virtual_network: VirtualNetwork
) -> None:
    low, high = ["10.0.0.1", "10.0.0.2", "10.0.0.3"], ["10.0.0.4", "10.0.0.5"]
    part(marbles, virtual_network, "                                          30s x 30s o", low)
    for number, host in enumerate([*low, *high], start=1):
        leaders = election(virtual_network.open_channel(host=host), number)
        settled = leaders.pipe(ops.sample(29.0), ops.distinct_until_changed())
        expected = marbles.expect(settled, subscription="                  ^ 88s !")
        if host in low:
            expected.to_be("                                              29s a 28s b 28s a", a=5, b=3)
        else:
            expected.to_be("                                              29s a", a=5)


def test_when_the_leader_falls_silent_the_next_one_leads_until_it_is_back(
    marbles: Marbles, virtual_network: VirtualNetwork
) -> None:
    one, two, three = (
        election(virtual_network.open_channel(host=f"10.0.0.{number}"), number).pipe(
            ops.sample(20.0), ops.distinct_until_changed()
        )
        for number in (1, 2, 3)
    )
    part(marbles, virtual_network, "                              21s x 20s o", ["10.0.0.3"])
    marbles.expect(one, subscription="^ 61s !").to_be("           20s a 19s b 19s a", a=3, b=2)
    marbles.expect(two, subscription="^ 61s !").to_be("           20s a 19s b 19s a", a=3, b=2)
    marbles.expect(three, subscription="^ 61s !").to_be("         20s a", a=3)


# A request with three retries


@pytest.mark.marbles(frame=0.5)
@pytest.mark.virtual_network(**BAD_LINKS, seed=3)
def test_a_request_with_three_retries_is_answered_in_spite_of_loss_and_of_a_partition(
    marbles: Marbles, virtual_network: VirtualNetwork
) -> None:
    asking, answering = virtual_network.open_channel(), virtual_network.open_channel()
    part(marbles, virtual_network, "                           x 400ms o", ["10.0.0.1"])
    marbles.expect(virtual_network.sends(asking)).to_be("      aaaa", a="ping")
    answers = ping(asking).pipe(ops.map(lambda m: (m.text, m.sender)), ops.sample(2.0))
    marbles.expect(answers).to_be("                            ----(a|)", a=("pong", answering.sender_address))
    marbles.record(pong(answering))


@pytest.mark.marbles(frame=0.5)
def test_a_request_is_given_up_after_three_retries_where_the_partition_lasts_longer(
    marbles: Marbles, virtual_network: VirtualNetwork
) -> None:
    asking, answering = virtual_network.open_channel(), virtual_network.open_channel()
    part(marbles, virtual_network, "                           x----o", ["10.0.0.1"])
    marbles.expect(virtual_network.sends(asking)).to_be("      aaaa", a="ping")
    marbles.expect(ping(asking)).to_be("                       ----#", error=ipc.MessageTimeout)
    marbles.record(pong(answering))


# Code that opens no channel itself


def test_code_that_calls_the_shared_functions_is_tested_without_a_change(
    marbles: Marbles, virtual_network: VirtualNetwork
) -> None:
    """A service that calls ``messages`` and ``send``, and a client that calls ``with_socket``, ten times if need be."""
    peer = virtual_network.open_channel(host="10.0.0.2")

    def serve() -> rx.Observable[None]:
        asked = ipc.messages().pipe(ops.filter(lambda m: m.text == "time?"))
        return asked.pipe(ops.flat_map(lambda m: ipc.send("noon", m.port, m.address)))

    def ask() -> rx.Observable[str | None]:
        request = ipc.with_socket(lambda api: api.request("name?", lambda m: m.direct, timeout=1))
        return request.pipe(ops.retry(10), ops.map(lambda m: m and m.text))

    def tell() -> rx.Observable[None]:
        return rx.interval(1.0).pipe(ops.take(5), ops.flat_map(lambda _: ipc.broadcast("news")))

    with virtual_network.this_process() as host:
        part(marbles, virtual_network, "x 2s o", [host])
        asked = marbles.record(
            rx.defer(lambda _: peer.request("time?", lambda m: m.direct, timeout=1)).pipe(ops.retry(10))
        )
        named = marbles.record(ask())
        news = marbles.record(peer.messages.pipe(ops.filter(lambda m: m.text == "news")))
        marbles.record(serve())
        marbles.record(tell())
        names = peer.messages.pipe(ops.filter(lambda m: m.text == "name?"))
        marbles.record(names.pipe(ops.flat_map(lambda m: peer.reply(m, "peer"))))
        marbles.run(until=20.0)
    assert [(m.text, m.address) for m in asked.values] == [("noon", host)]
    assert named.values == ["peer"]
    assert 0 < len(news.values) < 5


# The same seed


def traffic(seed: int) -> list[Event]:
    """All that is sent, and all that is heard, in the arena, an election and a request on one network."""
    marbles = Marbles()
    network = VirtualNetwork(marbles.scheduler, **BAD_LINKS, seed=seed)
    network.set_link(duplication=0.1, reordering=0.1)
    recordings = [marbles.record(network.datagrams)]
    protocols: tuple[Callable[[ipc.Channel], rx.Observable[object]], ...] = (
        *(announcer, welcome, logger, pong, ping),
        *(partial(player, name=name) for name in ("Ann", "Bob")),
        *(partial(election, me=number) for number in (1, 2)),
    )
    recordings += [marbles.record(protocol(network.open_channel())) for protocol in protocols]
    part(marbles, network, "x-o", ["10.0.0.1", "10.0.0.7", "10.0.0.9"])
    marbles.run(until=6.0)
    return [event for recording in recordings for event in recording.events]


def test_the_same_seed_gives_the_same_marbles_however_often() -> None:
    first = traffic(1)
    assert all(traffic(1) == first for _ in range(99 if THOROUGH else 9))
    assert traffic(2) != first


def test_the_same_seed_gives_the_same_marbles_in_another_process() -> None:
    command = [sys.executable, "-c", f"from {__name__} import traffic; print(traffic(1))"]
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        *_, told = result.stdout.splitlines()  # behind what the bots say
        assert told == repr(traffic(1))
