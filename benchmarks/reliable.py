"""Reliable channels between hosts that lose packets. ``python -m benchmarks.reliable``; as root, on Linux.

Two or more network namespaces on a switch, each with a process. The switch drops UDP packets at random on their way to
any of them, so data, requests and repairs get lost alike. The sender sends messages of 100 bytes, bundled by
``broadcast_all`` or one ``broadcast`` at a time; every receiver checks that it heard them all, in order.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from typing import Any

from tests.hosts import Host, Network, hosts

RECEIVER = """
import json, sys, threading, time
import rx_multicast_ipc as ipc
count, size = int(sys.argv[1]), int(sys.argv[2])
complete, heard, gaps = threading.Event(), 0, 0
in_order = True
def hear(batch):
    global heard, in_order
    for message in batch:
        if message.data[:8] != b"%08d" % heard:
            in_order = False
        heard += 1
    if heard >= count:
        complete.set()
with ipc.open_channel(interface="eth0", reliable=True, backlog=1) as channel:
    channel.batches.subscribe(hear)
    print("ready", flush=True)
    complete.wait(120)
    counted = channel.statistics
    print(json.dumps(dict(ended=time.monotonic(), heard=heard, in_order=in_order, gaps=counted.gaps,
        asked=counted.asked, repaired=counted.repaired)), flush=True)
    sys.stdin.read()
"""

SENDER = """
import json, sys, time
import rx_multicast_ipc as ipc
count, size, bundled = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "bundled"
messages = [b"%08d" % number + bytes(size - 8) for number in range(count)]
with ipc.open_channel(interface="eth0", reliable=True, backlog=1, echo=False) as channel:
    time.sleep(1.0)
    begun = time.monotonic()
    if bundled:
        ipc.run(channel.broadcast_all(messages))
    else:
        for message in messages:
            channel.broadcast(message).subscribe()
    print(json.dumps(dict(begun=begun, sent=time.monotonic())), flush=True)
    sys.stdin.read()
    print(json.dumps(dict(repeated=channel.statistics.repeated)), flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--receivers", type=int, default=1)
    parser.add_argument("--loss", type=float, nargs="*", default=[0, 1, 10, 30], help="percent, each way")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--size", type=int, default=100)
    options = parser.parse_args()
    print("loss  sent      msg/s (median, least, most)   whole  repeated  asked  load")
    for loss in options.loss:
        for how in ("bundled", "single"):
            count = options.count if how == "bundled" else options.count // 4
            results = [measure(options.receivers, loss, how, count, options.size) for _ in range(options.rounds)]
            rates = sorted(result["rate"] for result in results)
            whole = sum(result["whole"] for result in results)
            print(
                f"{loss:3g} %  {how:8} {statistics.median(rates):9.0f} {rates[0]:9.0f} {rates[-1]:9.0f}"
                f"  {whole}/{len(results)}  {results[-1]['repeated']:7}  {results[-1]['asked']:5}"
                f"  {os.getloadavg()[0]:.1f}",
                flush=True,
            )


def measure(receivers: int, loss: float, how: str, count: int, size: int) -> dict[str, Any]:
    """One transfer on a network of its own."""
    with hosts(receivers + 1) as network:
        sender, *ends = network
        return _transfer(network, sender, ends, loss, (count, size), how)


def _transfer(
    network: Network, sender: Host, ends: list[Host], loss: float, what: tuple[int, int], how: str
) -> dict[str, Any]:
    if loss:
        network.lose(loss)
    listening = [end.start(sys.executable, "-c", RECEIVER, *map(str, what)) for end in ends]
    for process in listening:
        assert process.stdout is not None
        process.stdout.readline()
    sending = sender.start(sys.executable, "-c", SENDER, *map(str, what), how)
    assert sending.stdout is not None
    assert sending.stdin is not None
    begun = json.loads(sending.stdout.readline())["begun"]
    heard = [json.loads(process.stdout.readline()) for process in listening if process.stdout is not None]
    sending.stdin.close()
    repeated = json.loads(sending.stdout.readline())["repeated"]
    for process in listening:
        if process.stdin is not None:
            process.stdin.close()
    time.sleep(0.1)
    seconds = max(end["ended"] for end in heard) - begun
    return {
        "rate": what[0] / seconds,
        "whole": all(end["heard"] == what[0] and end["in_order"] and not end["gaps"] for end in heard),
        "repeated": repeated,
        "asked": sum(end["asked"] for end in heard),
    }


if __name__ == "__main__":
    main()
