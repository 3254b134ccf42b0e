"""Processes' ends that open, send one message and close, over and over."""

from __future__ import annotations

import sys
from itertools import pairwise

from tests.hosts import hosts

LIVES = """
import logging, sys
import rx_multicast_ipc as ipc
for number in range(int(sys.argv[1]), int(sys.argv[2])):
    with ipc.open_channel(interface="eth0", reliable=True) as channel:
        channel.broadcast(str(number)).subscribe()
    if channel.statistics.unacknowledged:
        print(number, flush=True)
print("done", flush=True)
"""

LISTENER = """
import sys
import rx_multicast_ipc as ipc
heard = set()
channel = ipc.open_channel(interface="eth0", reliable=True, backlog=1)
channel.messages.subscribe(lambda message: heard.add(message.text))
print("ready", flush=True)
sys.stdin.read()
print(*heard, flush=True)
"""

_AT_ONCE = 8
"""Processes: each spends its time waiting for acknowledgements."""


def live_shortly(count: int, loss: float) -> tuple[int, int, int]:
    """How many of so many were heard, were not but warned of, and neither."""
    with hosts(2) as network:
        sender, receiver = network
        listener = receiver.start(sys.executable, "-c", LISTENER)
        assert listener.stdout is not None
        assert listener.stdin is not None
        listener.stdout.readline()
        network.lose(loss)
        bounds = [count * part // _AT_ONCE for part in range(_AT_ONCE + 1)]
        living = [sender.start(sys.executable, "-c", LIVES, str(first), str(last)) for first, last in pairwise(bounds)]
        warned: set[str] = set()
        for process in living:
            assert process.stdout is not None
            while (line := process.stdout.readline().strip()) not in ("done", ""):
                warned.add(line)
        listener.stdin.close()
        heard = set(listener.stdout.readline().split())
    silent = {str(number) for number in range(count)} - heard - warned
    return len(heard), len(warned - heard), len(silent)
