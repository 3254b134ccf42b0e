"""A reliable channel and a TCP transfer over the same slow link."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from tests.hosts import Host, hosts

LISTENER = """
import json, socket, sys, threading
import rx_multicast_ipc as ipc
heard = 0
def hear(batch):
    global heard
    heard += sum(len(message.data) for message in batch)
channel = ipc.open_channel(interface="eth0", reliable=True, backlog=1)
channel.batches.subscribe(hear)
server = socket.create_server(("10.77.0.2", 5601))
taken = 0
def take():
    global taken
    connection, _ = server.accept()
    while data := connection.recv(65536):
        taken += len(data)
threading.Thread(target=take, daemon=True).start()
print("ready", flush=True)
for line in sys.stdin:
    print(json.dumps([heard, taken]), flush=True)
"""

CHANNEL = """
import sys, time
import rx_multicast_ipc as ipc
channel = ipc.open_channel(interface="eth0", reliable=True, backlog=1, echo=False)
time.sleep(1.0)
print("ready", flush=True)
while True:
    ipc.run(channel.broadcast_all([bytes(100)] * 500))
"""

TCP = """
import socket, sys
connection = socket.socket()
connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, sys.argv[1].encode())
connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)  # so that a busy machine leaves it none the less
connection.connect(("10.77.0.2", 5601))
print("ready", flush=True)
while True:
    connection.sendall(bytes(65536))
"""

_SETTLES: float = 5.0
"""Seconds that both get before they are measured."""


def kinds_of_tcp() -> list[str]:
    """The congestion controls that this system has: the one that gives way to losses, and the one that does not."""
    available = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
    return [kind for kind in ("cubic", "bbr") if kind in available]


def _route(sender: Host, receiver: Host, router: Host) -> None:
    """Have TCP pass a router before the link.

    Without, the sender's kernel sees the link's queue as its own, and lets TCP put two packets into it at most (TCP
    small queues): a packet that was only switched, in the same kernel, still belongs to the socket that sent it.
    """
    for host, command in (
        (
            router,
            "sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0",
        ),
        (sender, "sysctl -qw net.ipv4.conf.all.accept_redirects=0 net.ipv4.conf.eth0.accept_redirects=0"),
        (sender, f"ip route add {receiver.address()}/32 via {router.address()}"),
    ):
        if host.start(*command.split()).wait():
            raise RuntimeError(f"{command!r} failed")


def share_with_tcp(queue: int, seconds: float, kind: str, bits: float = 10e6) -> tuple[float, float]:
    """Bytes a second of the channel and of TCP, which both send as fast as they can, from one host to another.

    Args:
        queue: packets that wait for the link.
        seconds: of the measurement, after both have settled.
        kind: TCP's congestion control.
        bits: a second, of the link.
    """
    with hosts(3) as network:
        sender, receiver, router = network
        _route(sender, receiver, router)
        listener = receiver.start(sys.executable, "-c", LISTENER)
        assert listener.stdout is not None
        assert listener.stdin is not None
        listener.stdout.readline()
        network.slow(receiver, bits, queue)
        for program in (CHANNEL, TCP):
            started = sender.start(sys.executable, "-c", program, kind)
            assert started.stdout is not None
            started.stdout.readline()
        counted: list[tuple[float, list[int]]] = []
        for pause in (_SETTLES, seconds):
            time.sleep(pause)
            listener.stdin.write("\n")
            listener.stdin.flush()
            counted.append((time.monotonic(), json.loads(listener.stdout.readline())))
        (begun, before), (ended, after) = counted
        ours, tcp = [(late - early) / (ended - begun) for early, late in zip(before, after, strict=True)]
        return ours, tcp
