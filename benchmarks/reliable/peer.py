"""One process of a measurement: ``python -m benchmarks.reliable.peer hear CONTENDER COUNT``, or ``say ...``.

Every message begins with its number and the sender's monotonic clock, which all processes of one machine share.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import threading
import time
from typing import Any

from .contenders import CONTENDERS

HEAD = struct.Struct("!QQ")


def hear(name: str, count: int) -> None:
    """Hear until all came, or standard input ends."""
    heard, in_order = 0, True
    delays: list[int] = []
    first = last = 0.0
    over = threading.Event()

    def take(data: bytes) -> None:
        nonlocal heard, in_order, first, last
        last = time.monotonic()
        first = first or last
        number, sent_at = HEAD.unpack_from(data)
        in_order = in_order and number == heard
        heard += 1
        delays.append(int(last * 1e9) - sent_at)
        if heard >= count:
            over.set()

    close = CONTENDERS[name].hear(take)
    cpu = time.process_time()
    print("ready", flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    over.wait()
    delays.sort()
    result: dict[str, Any] = {
        "heard": heard,
        "in_order": in_order,
        "first": first,
        "last": last,
        "p50": _quantile(delays, 0.5) / 1e6,
        "p99": _quantile(delays, 0.99) / 1e6,
        "cpu": time.process_time() - cpu,
    }
    print(json.dumps(result), flush=True)
    time.sleep(0.3)  # what it owes others
    close()


def say(name: str, receivers: int, count: int, size: int, how: str) -> None:
    """Send so many messages: ``bundled``, ``single``, or so many a second."""
    sender = CONTENDERS[name].sender(receivers)
    padding = bytes(size - HEAD.size)
    begun = time.monotonic()
    cpu = time.process_time()

    def message(number: int) -> bytes:
        return HEAD.pack(number, time.monotonic_ns()) + padding

    if how == "bundled":
        for start in range(0, count, 1000):
            sender.send_all([message(number) for number in range(start, min(count, start + 1000))])
    elif how == "single":
        for number in range(count):
            sender.send(message(number))
    else:
        rate = float(how)
        for number in range(count):
            pause = begun + number / rate - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            sender.send(message(number))
    print(json.dumps({"begun": begun, "sent": time.monotonic(), "cpu": time.process_time() - cpu}), flush=True)
    sys.stdin.read()
    repeated = 0
    channel = getattr(sender, "_channel", None)
    if channel is not None:
        repeated = channel.statistics.repeated
    print(json.dumps({"repeated": repeated}), flush=True)
    os._exit(0)  # peers that linger for what nobody takes any more


def _quantile(ordered: list[int], part: float) -> int:
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0


if __name__ == "__main__":
    role, contender, *rest = sys.argv[1:]
    if role == "hear":
        hear(contender, int(rest[0]))
        os._exit(0)
    say(contender, int(rest[0]), int(rest[1]), int(rest[2]), rest[3])
