"""The command line talks from one machine to another, and to npm's multicast-ipc."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import msgspec

from ..helpers import PATIENCE
from ..hosts import Host, Network
from ..npm import Node

QUIETLY = "--quiet", "--timeout", f"{PATIENCE / 12}"
"""For pings whose answers are counted on: a second can be too little on a busy machine."""


def start(host: Host, *arguments: str) -> subprocess.Popen[str]:
    """The command on a host."""
    return host.start(sys.executable, "-X", "dev", "-m", "rx_multicast_ipc", *arguments)


def end(process: subprocess.Popen[str], text: str = "") -> str:
    out, err = process.communicate(text, timeout=PATIENCE)
    assert (process.returncode, err) == (0, "")
    return out


def listening(host: Host, *arguments: str) -> subprocess.Popen[str]:
    """A command that listens, once it does."""
    process = start(host, *arguments, "--verbose")
    assert process.stderr is not None
    assert "listening to" in process.stderr.readline()
    return process


def with_npm(host: Host, node_modules: Path, command: Sequence[str]) -> subprocess.Popen[str]:
    return host.start(*command, NODE_PATH=str(node_modules), NODE_NO_WARNINGS="1")


def test_the_npm_package_hears_what_is_sent_by_line(network: Network, node_modules: Path) -> None:
    a, b, _ = network
    body = "return api.waitForMessage(is('a')).then(tell);"
    with Node(body, partial(with_npm, b, node_modules)) as node:
        node.expect_listening()
        end(start(a, "send", "--interface", "eth0"), "a\nb\n")
        heard = node.heard()
    assert (heard.data, heard.sender[0]) == (b"a", a.address())


def test_listen_hears_the_npm_package(network: Network, node_modules: Path) -> None:
    a, b, _ = network
    listener = listening(a, "listen", "--interface", "eth0", "--count", "1")
    with Node("return api.broadcast('from Node');", partial(with_npm, b, node_modules)):
        record = msgspec.json.decode(end(listener))
    assert (record["data"], record["address"]) == ("from Node", b.address())


def test_the_npm_package_answers_what_waits_for_a_reply(network: Network, node_modules: Path) -> None:
    a, b, _ = network
    body = "return api.waitForMessage(is('question')).then((req) => api.send('answer', req.port, req.address));"
    with Node(body, partial(with_npm, b, node_modules)) as node:
        node.expect_listening()
        out = end(start(a, "send", "question", "--interface", "eth0", "--reply", "--raw"))
    assert out == "answer\n"


def test_ping_finds_the_listeners_of_every_host(network: Network) -> None:
    a, b, c = network
    for host in (b, c):
        listening(host, "listen", "--respond", "--interface", "eth0")
    out = end(start(a, "ping", "--interface", "eth0", "--count", "5", "--interval", "0.05", *QUIETLY))
    *peers, total = map(msgspec.json.decode, out.splitlines())
    assert {peer["address"] for peer in peers} == {b.address(), c.address()}
    assert [peer["received"] for peer in peers] == [5, 5]
    assert total == {"event": "end", "sent": 5, "peers": 2}


def test_ping_counts_what_the_network_loses_and_doubles(network: Network) -> None:
    a, b, _ = network
    listening(b, "listen", "--respond", "--interface", "eth0")
    network.duplicate(100, to=a)
    out = end(start(a, "ping", "--interface", "eth0", "--count", "5", "--interval", "0.05", *QUIETLY))
    assert msgspec.json.decode(out.splitlines()[0])["duplicates"] == 5
    network.heal()
    lost = network.lose(50, to=a)
    process = start(a, "ping", "--interface", "eth0", "--count", "40", "--interval", "0.02", *QUIETLY)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    peer = msgspec.json.decode(out.splitlines()[0])
    assert peer["sent"] - peer["received"] == peer["lost"] > 0
    network.heal()
    assert lost.count >= peer["lost"]


def test_listen_on_all_interfaces_says_by_which_a_message_came(network: Network) -> None:
    a, b, _ = network
    listener = listening(a, "listen", "--interface", "all", "--count", "1", "--human")
    end(start(b, "send", "hello", "--interface", "eth0"))
    out = end(listener)
    assert f"{b.address()}:" in out
    assert "by eth0" in out
    assert out.endswith("  hello\n")


def test_several_interfaces_may_be_named(network: Network) -> None:
    a, b, _ = network
    listener = listening(a, "listen", "-i", "eth0", "-i", "lo", "--count", "1")
    end(start(b, "send", "hello", "--interface", "eth0"))
    assert msgspec.json.decode(end(listener))["interface"] == "eth0"
