"""Windows' Python, under Wine, among hosts with Linux' own: ``.ci/windows`` says where it is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import rx_multicast_ipc as ipc

from ..helpers import PATIENCE, run, wait_until
from ..hosts import Host, Network, hosts
from .channels_on_hosts import channel_on

WINPY = os.environ.get("RX_MULTICAST_IPC_WINPY", "")
"""The program that runs Windows' Python."""

pytestmark = pytest.mark.skipif(
    not WINPY, reason="needs a Windows Python under Wine: .ci/windows makes one and names it in RX_MULTICAST_IPC_WINPY"
)

SIZES = [0, 1, 1000, 1473, 9000, 65_507]

PEER = """
import json, sys, threading
import rx_multicast_ipc as ipc
from reactivex import operators as ops
from rx_multicast_ipc.transport.udp.interfaces import all_links
me, port, group, interface, patience, *others = sys.argv[1:]
sizes = json.loads(sys.stdin.readline())
if not interface[0].isalpha() and ":" in group:  # the interface with that address, whatever it is called here
    interface = next(link.name for link in all_links() if interface in link.addresses)
heard, answers, changed = {}, set(), threading.Condition()
with ipc.open_channel(int(port), group, interface=interface) as channel:
    def on_message(message):
        with changed:
            if message.direct:
                answers.add(message.text)
            else:
                heard.setdefault(message.sender, []).append(message.data)
            changed.notify_all()
    channel.messages.subscribe(on_message)
    hellos = ops.filter(lambda m: not m.direct and m.data.startswith(b"hello from ") and m.text != f"hello from {me}")
    channel.messages.pipe(hellos, ops.flat_map(lambda m: channel.reply(m, f"{m.text[11:]}, this is {me}"))).subscribe()
    print("ready", flush=True)
    sys.stdin.readline()
    ipc.run(channel.broadcast(f"hello from {me}"))
    for size in sizes:
        ipc.run(channel.broadcast(me[:1].encode() * size))
    def complete():
        return len(heard) == len(others) + 1 and all(len(each) == len(sizes) + 1 for each in heard.values())
    with changed:
        changed.wait_for(lambda: complete() and len(answers) == len(others), float(patience))
    told = sorted([each[0].decode(), [len(data) for data in each[1:]]] for each in heard.values())
    print(json.dumps([told, sorted(answers)]), flush=True)
    sys.stdin.readline()  # stays, to answer the others
"""


class Windows:
    """Windows' Python on hosts: each has a Wine of its own, since the sockets are its server's."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._prefixes: dict[int, Path] = {}

    def python(self, host: Host, code: str, *arguments: object) -> subprocess.Popen[str]:
        """A process on the host that runs ``code``, with pipes."""
        links = " ".join(host.interfaces)
        return host.start(
            *(WINPY, "-X", "utf8", "-c", code, *map(str, arguments)),
            WINEPREFIX=str(self._prefix(host)),
            WINPY_LINKS=links,
        )

    def _prefix(self, host: Host) -> Path:
        if host.number not in self._prefixes:
            whole = Path(WINPY).parent / "prefix"
            self._prefixes[host.number] = self._folder / f"prefix{host.number}"
            # Links, for it is large; Wine replaces files whole.
            shutil.copytree(whole, self._prefixes[host.number], symlinks=True, copy_function=os.link)
        return self._prefixes[host.number]

    def close(self) -> None:
        for prefix in self._prefixes.values():
            shutil.rmtree(prefix)


@pytest.fixture
def windows(tmp_path: Path) -> Iterator[Windows]:
    windows = Windows(tmp_path)
    yield windows
    windows.close()


@pytest.fixture
def network(windows: Windows) -> Iterator[Network]:  # ends first
    with hosts(2) as network:
        yield network


def line(process: subprocess.Popen[str]) -> str:
    """What it prints next."""
    assert process.stdout is not None
    text = process.stdout.readline()
    if not text:
        raise AssertionError(process.communicate(timeout=PATIENCE)[1])
    return text.rstrip()


def say(process: subprocess.Popen[str], text: str = "") -> None:
    assert process.stdin is not None
    process.stdin.write(text + "\n")
    process.stdin.flush()


@pytest.mark.parametrize("where", ["loopback", "IPv4", "IPv6"])
def test_two_on_windows_and_one_on_linux_hear_each_other_whole(
    where: str, network: Network, windows: Windows, port: int
) -> None:
    a, b = network
    native = a if where == "loopback" else b
    group = "ff02::1:7" if where == "IPv6" else ipc.DEFAULT_GROUP
    names = ["A", "B", "C"]
    peers: list[subprocess.Popen[str]] = []
    for name in names:
        host = native if name == "C" else a
        interface = "loopback" if where == "loopback" else host.address()
        arguments = (name, port, group, interface, PATIENCE, *[other for other in names if other != name])
        peers.append(host.python(PEER, *arguments) if name == "C" else windows.python(host, PEER, *arguments))
        say(peers[-1], json.dumps(SIZES))
    for peer in peers:
        assert line(peer) == "ready"
    for peer in peers:
        say(peer)
    for name, peer in zip(names, peers, strict=True):
        heard, answers = json.loads(line(peer))
        assert heard == [[f"hello from {each}", SIZES] for each in names]
        assert answers == [f"{name}, this is {other}" for other in names if other != name]


LISTENER = """
import sys
import rx_multicast_ipc as ipc
with ipc.open_channel(int(sys.argv[1]), interface=sys.argv[2]) as channel:
    channel.messages.subscribe(lambda m: print(m.text, m.direct, flush=True))
    print(channel.sender_address[1], flush=True)
    sys.stdin.readline()
"""


def test_nothing_from_the_network_gets_into_a_loopback_channel_of_windows(
    network: Network, windows: Windows, port: int
) -> None:
    a, b = network
    listener = windows.python(a, LISTENER, port, "loopback")
    own_port = int(line(listener))
    count = 100
    with a.sniff() as sniffer:
        with channel_on(b, port=port) as outside, channel_on(b, "239.1.2.3", port=port) as other:
            for number in range(count):
                run(outside.broadcast(f"multicast {number}"))
                run(other.broadcast(f"another group {number}"))
                run(outside.send(f"unicast {number}", port, a.address()))
                run(outside.send(f"direct {number}", own_port, a.address()))
        wait_until(lambda: len(sniffer.datagrams()) >= 4 * count)
    with channel_on(a, port=port, interface="loopback") as inside:
        run(inside.broadcast("from here"))
        run(inside.send("to you alone", own_port, "127.0.0.1"))
    assert [line(listener), line(listener)] in (
        ["from here False", "to you alone True"],
        ["to you alone True", "from here False"],
    )


def test_a_channel_of_windows_on_the_default_interface_follows_the_route(
    network: Network, windows: Windows, port: int
) -> None:
    a, b = network
    a.add_interface("eth1", segment=1)
    c = network.add_host(segment=1)
    listener = windows.python(a, LISTENER, port, "default")
    line(listener)
    talk = """
import sys, time
import rx_multicast_ipc as ipc
with ipc.open_channel(int(sys.argv[1]), interface="eth0") as channel:
    while True:
        ipc.run(channel.broadcast(sys.argv[2]))
        time.sleep(0.02)
"""
    talkers = [b.python(talk, port, "on segment 0"), c.python(talk, port, "on segment 1")]
    assert line(listener) == "on segment 0 False"
    a.route_by_default("eth1")
    moved = time.monotonic()
    while line(listener) != "on segment 1 False":
        assert time.monotonic() - moved < PATIENCE
    print(f"heard again after {time.monotonic() - moved:.2f} s", file=sys.stderr)
    for talker in talkers:
        talker.kill()
