"""Programs talk from one machine to another as they do on one."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

import pytest
from reactivex import operators as ops

import rx_multicast_ipc as ipc

from ..helpers import ROOT, Seen, finish, read_all, run, wait_until
from ..hosts import Host, Network
from .channels_on_hosts import channel_on

IPV6_GROUPS = ["ff02::1:7", "ff05::1:7"]


def example(host: Host, name: str, *arguments: str) -> subprocess.Popen[str]:
    """A script of examples/, moved from loopback to the network without a change."""
    script = str(ROOT / "examples" / f"{name}.py")
    return host.start(sys.executable, "-X", "dev", script, *arguments, RX_MULTICAST_IPC_INTERFACE="eth0")


@pytest.mark.skipif(
    not any("RX_MULTICAST_IPC_INTERFACE" in path.read_text() for path in Path(str(ipc.__file__)).parent.rglob("*.py")),
    reason="RX_MULTICAST_IPC_INTERFACE is to come",
)
def test_the_arena_meets_with_every_bot_and_player_on_another_host(network: Network) -> None:
    a, b, c = network
    with channel_on(a) as arena:
        bots = {name: example(host, name) for name, host in (("announcer", a), ("welcome", b), ("logger", c))}
        came = {run(arena.wait_for_message(lambda m: m.text.startswith("ready:"))) for _ in bots}
        assert {(m.text, m.address) for m in came} == {
            ("ready:announcer", a.address()),
            ("ready:welcome", b.address()),
            ("ready:logger", c.address()),
        }
        for name, host in (("Ann", b), ("Bob", c)):
            assert finish(example(host, "player", name)).splitlines() == [
                f"{name} -> everyone: join:{name}",
                f"{name} hears, alone: Welcome {name}!",
                f"{name} hears, with everyone: Player {name} has entered the arena!",
            ]
        run(arena.broadcast("arena:closed"))
        printed = {name: finish(bot).splitlines() for name, bot in bots.items()}
    assert printed["welcome"] == [f"welcome -> {name} alone: Welcome {name}!" for name in ("Ann", "Bob")]
    for name, host in (("Ann", b), ("Bob", c)):
        assert f"announcer -> everyone: Player {name} has entered the arena!" in printed["announcer"]
        (heard,) = [line for line in printed["logger"] if line.endswith(f"said 'join:{name}'")]
        assert heard.startswith(f"logger: {host.address()}:")


def test_a_reply_reaches_one_process_on_one_host(network: Network) -> None:
    with ExitStack() as stack:
        on_each = [[stack.enter_context(channel_on(host)) for _ in range(2)] for host in network]
        channels = list(chain.from_iterable(on_each))
        heard = [Seen(channel.messages) for channel in channels]
        asking, replying = on_each[1][0], on_each[2][0]
        run(asking.broadcast("question"))
        question = run(replying.wait_for_message())
        assert question.sender == asking.sender_address == (network.hosts[1].address(), question.port)
        run(replying.reply(question, "answer"))
        for channel in channels:
            read_all(channel, asking)
        answered = [channel for channel, seen in zip(channels, heard, strict=True) if b"answer" in data_of(seen)]
        assert answered == [asking]
        assert all(b"question" in data_of(seen) for seen in heard)


def test_processes_on_two_hosts_talk(network: Network) -> None:
    code = """
import rx_multicast_ipc as ipc
from reactivex import operators as ops
with ipc.open_channel(interface="eth0") as channel:
    answers = channel.messages.pipe(
        ops.filter(lambda m: m.text == "question"), ops.take(1), ops.flat_map(lambda m: channel.reply(m, "answer"))
    )
    answers.subscribe(on_completed=lambda: print("answered", flush=True))
    print("listening", flush=True)
    input()
"""
    asking_host, answering_host, _ = network
    process = answering_host.python(code)
    assert process.stdout is not None
    assert process.stdout.readline() == "listening\n"
    with channel_on(asking_host) as asking:
        answer = run(asking.request("question", lambda m: m.direct))
    assert (answer.text, answer.address) == ("answer", answering_host.address())
    assert process.stdout.readline() == "answered\n"
    finish(process, "\n")


@pytest.mark.parametrize("group", IPV6_GROUPS)
def test_ipv6_hosts_talk_by_their_link_local_addresses(network: Network, group: str) -> None:
    a, b, _ = network
    with channel_on(a, group) as asking, channel_on(b, group) as replying:
        run(asking.broadcast("question"))
        question = run(replying.wait_for_message())
        assert question.sender == asking.sender_address == (a.link_local(), question.port)
        with b.entered():  # the name behind % is one of host b
            run(replying.reply(question, "answer"))
        answer = run(asking.wait_for_message(lambda m: m.direct))
        assert (answer.text, answer.sender) == ("answer", replying.sender_address)
        assert answer.address == b.link_local()


@pytest.mark.parametrize("group", [ipc.DEFAULT_GROUP, *IPV6_GROUPS])
def test_the_largest_payload_crosses_the_network_in_fragments(network: Network, group: str) -> None:
    a, b, _ = network
    with channel_on(a, group) as sender, channel_on(b, group) as receiver:
        payload = bytes(range(256)) * 256
        limit = sender.transport.payload_limit
        run(sender.broadcast(payload[:limit]))
        assert run(receiver.wait_for_message()).data == payload[:limit]


COUNT = 2000


@pytest.mark.parametrize("group", [ipc.DEFAULT_GROUP, IPV6_GROUPS[0]])
@pytest.mark.parametrize("together", [True, False], ids=["many at a time", "one by one"])
def test_ten_percent_random_loss_is_counted_and_explained(network: Network, together: bool, group: str) -> None:
    a, b, c = network
    numbers = [b"%d" % number for number in range(COUNT)]
    with channel_on(a, group) as sender, channel_on(b, group) as lossy, channel_on(c, group) as healthy:
        at_lossy, at_healthy = Seen(lossy.messages), Seen(healthy.messages)
        loss = network.lose(10, to=b)
        assert run(sender.broadcast_all(numbers if together else iter(numbers), rate=50_000)) == COUNT
        at_healthy.wait_for_count(COUNT)  # so that nothing is on its way while the rule and its count go
        network.heal()
        run(sender.broadcast("end"))
        heard, heard_by_healthy = (
            [m.data for m in seen.wait_for(lambda seen: data_of(seen)[-1:] == [b"end"]).values[:-1]]
            for seen in (at_lossy, at_healthy)
        )
        assert heard_by_healthy == numbers
        assert heard == [number for number in numbers if number in set(heard)]  # in order, each at most once
        assert len(heard) + loss.count == sender.statistics.sent - 1 == COUNT
        assert 100 < loss.count < 300  # 10 % of 2000: seven standard deviations
        assert lossy.statistics.dropped == healthy.statistics.dropped == 0  # it was the network, not this machine


def test_a_request_that_is_lost_is_asked_again(network: Network) -> None:
    a, b, _ = network
    with channel_on(a) as asking, channel_on(b) as replying:
        answering = replying.messages.pipe(ops.flat_map(lambda m: replying.reply(m, b"answer to " + m.data)))
        answering.subscribe()
        loss = network.lose(100, to=b)
        asked = Seen(asking.request("question", lambda m: m.direct, timeout=0.05).pipe(ops.retry(1000)))
        wait_until(lambda: loss.count >= 2)
        network.heal()
        assert asked.wait_for_end().values[0].text == "answer to question"


def test_parted_hosts_hear_each_other_again_when_the_partition_heals(network: Network) -> None:
    a, b, c = network
    with channel_on(a) as one, channel_on(b) as same_side, channel_on(c) as other_side:
        heard = Seen(other_side.messages)
        network.partition([a, b], [c])
        run(one.broadcast("parted"))
        assert run(same_side.wait_for_message()).text == "parted"
        network.heal()
        run(one.broadcast("healed"))
        heard.wait_for_count(1)
        assert data_of(heard) == [b"healed"]


def data_of(seen: Seen[ipc.Message]) -> list[bytes]:
    return [message.data for message in seen.values]
