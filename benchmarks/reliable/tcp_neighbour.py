"""A reliable channel and a TCP transfer over the same slow link."""

from __future__ import annotations

import json
import sys
import time

from tests.hosts import hosts

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
import socket
connection = socket.create_connection(("10.77.0.2", 5601))
print("ready", flush=True)
while True:
    connection.sendall(bytes(65536))
"""

_SETTLES: float = 5.0
"""Seconds that both get before they are measured."""


def share_with_tcp(queue: int, seconds: float, bits: float = 10e6) -> tuple[float, float]:
    """Bytes a second of the channel and of TCP, which both send as fast as they can, from one host to another."""
    with hosts(2) as network:
        sender, receiver = network
        listener = receiver.start(sys.executable, "-c", LISTENER)
        assert listener.stdout is not None
        assert listener.stdin is not None
        listener.stdout.readline()
        network.slow(receiver, bits, queue)
        for program in (CHANNEL, TCP):
            started = sender.start(sys.executable, "-c", program)
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
