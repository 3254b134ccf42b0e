"""npm's multicast-ipc on one host and this package on another, each on the interface of its default route."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

import rx_multicast_ipc as ipc

from ..helpers import Seen, read_all, run
from ..hosts import Host, Network
from ..npm import Node
from .channels_on_hosts import channel_on

NodeOn = Callable[[Host, str], Node]


@pytest.fixture
def node_on(node_modules: Path) -> NodeOn:
    """Starts Node on a host."""

    def make(host: Host, body: str) -> Node:
        def start(command: Sequence[str]) -> subprocess.Popen[str]:
            return host.start(*command, NODE_PATH=str(node_modules), NODE_NO_WARNINGS="1")

        return Node(body, start)

    return make


@pytest.mark.parametrize("interface", ["eth0", "default"])
def test_python_and_node_hear_each_others_broadcasts(network: Network, node_on: NodeOn, interface: str) -> None:
    a, b, _ = network
    converse = (
        "return api.waitForMessage(is('from Python')).then((m) => tell(m)).then(() => api.broadcast('from Node'));"
    )
    with channel_on(a, interface=interface) as channel, node_on(b, converse) as node:
        node.expect_listening()
        answer = run(channel.request("from Python", lambda m: m.data == b"from Node"))
        assert node.heard() == (b"from Python", channel.sender_address)
        assert answer.sender == (b.address(), ipc.DEFAULT_PORT)  # npm sends from the port that it shares


def test_a_direct_reply_from_node_reaches_the_channel_that_asked_and_no_other(
    network: Network, node_on: NodeOn
) -> None:
    a, b, c = network
    reply = "return api.waitForMessage(is('question')).then((req) => api.send('answer', req.port, req.address));"
    with channel_on(a) as asking, channel_on(a) as beside, channel_on(c) as other, node_on(b, reply) as node:
        heard_by_others = [Seen(beside.messages), Seen(other.messages)]
        node.expect_listening()
        answer = run(asking.request("question", lambda m: m.data == b"answer"))
        assert (answer.direct, answer.address) == (True, b.address())
        for channel in (beside, other):
            read_all(channel, asking)
        assert not any(b"answer" in {m.data for m in seen.values} for seen in heard_by_others)


def test_a_direct_reply_from_python_reaches_the_node_process_that_asked(network: Network, node_on: NodeOn) -> None:
    a, b, _ = network
    ask = """
        const answer = api.waitForMessage(is('answer'));
        return api.broadcast('question').then(() => answer).then(tell);
    """
    with channel_on(a) as answering, node_on(b, ask) as node:
        question = run(answering.wait_for_message(lambda m: m.data == b"question"))
        node.expect_listening()
        node.expect_listening()  # its own question came back to it
        run(answering.reply(question, "answer"))
        assert node.heard() == (b"answer", answering.sender_address)
