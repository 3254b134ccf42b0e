"""One side of one contender, driven by lines of JSON: ``python -m benchmarks.worker NAME send|receive PORT CORE``."""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import Any

from .workers import pin

QUIET = 0.25
"""Seconds without a message after which nothing more is expected."""


def receive(receiver: Any, expected: int, limit: float, look: float = 0.001) -> dict[str, float]:
    """Wait until all came, or none for a while; look every so many seconds."""
    deadline = time.perf_counter() + limit
    seen, changed = -1, time.perf_counter()
    while seen < expected and time.perf_counter() < deadline:
        time.sleep(look)
        if receiver.count != seen:
            seen, changed = receiver.count, time.perf_counter()
        elif time.perf_counter() - changed > QUIET and seen > 0:
            break
    return {"count": seen, "last": changed, "cpu": time.process_time()}


def main() -> None:
    name, role, port, core = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    pin(core)
    module = importlib.import_module(f"benchmarks.contenders.{name}")
    end = module.Sender(port) if role == "send" else module.Receiver(port)
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if role == "send":
            payload = bytes(order["size"])
            started, cpu = time.perf_counter(), time.process_time()
            seconds = end.send(payload, order["count"], order["rate"])
            answer = {"seconds": seconds, "started": started, "cpu": time.process_time() - cpu}
        elif order["do"] == "start":
            end.count = 0
            answer = {"cpu": time.process_time()}
        else:
            answer = receive(end, order["expected"], order["limit"], order.get("look", 0.001))
        print(json.dumps(answer), flush=True)
    end.close()


if __name__ == "__main__":
    main()
