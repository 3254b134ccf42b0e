"""What one message to many receivers costs: CPU of all processes a delivery. ``python -m benchmarks.fan_out``

Every receiver is a process. Contenders take turns; each sends as fast as it goes, and what a receiver lost is no
delivery.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from itertools import count
from statistics import median

from .report import load
from .workers import Worker

CONTENDERS = (
    *("zeromq", "zeromq_pipeline", "ours_pipeline", "ours_linger", "ours_linger_batches", "ours_forwarded"),
    *("ours_forwarded_batches", "ours", "raw"),
)
SIZE = 64

_ports = count(52_500)


def microseconds(name: str, receivers: int, messages: int, path: str | None = None) -> tuple[float, float]:
    """CPU a delivery, and what part of the messages was delivered."""
    port = next(_ports)
    with ExitStack() as running:
        sender = running.enter_context(Worker("benchmarks.worker", name, "send", port, core=None, path=path))
        heard = [
            running.enter_context(Worker("benchmarks.worker", name, "receive", port, core=None, path=path))
            for _ in range(receivers)
        ]
        for _ in range(10):  # until all are connected
            before = [one.ask(do="start") for one in heard]
            sender.ask(size=16, count=200, rate=2000)
            if all(one.ask(do="stop", expected=200, limit=1)["count"] >= 200 for one in heard):
                break
        before = [one.ask(do="start") for one in heard]
        sent = sender.ask(size=SIZE, count=messages, rate=None)
        after = [one.ask(do="stop", expected=messages, limit=3, look=0.02) for one in heard]
    delivered = sum(one["count"] for one in after)
    cpu = sent["cpu"] + sum(b["cpu"] - a["cpu"] for a, b in zip(before, after, strict=True))
    return cpu / max(1, delivered) * 1e6, delivered / (messages * receivers)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fan_out", description=__doc__)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--receivers", type=int, default=16)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--contenders", nargs="+", default=CONTENDERS)
    parser.add_argument("--before", help="folder of an older checkout of this package, to compare with")
    options = parser.parse_args()
    print(load())
    entries: list[tuple[str, str | None]] = [(name, None) for name in options.contenders]
    if options.before:
        entries += [(name, options.before) for name in options.contenders if name.startswith("ours")]
    found: dict[str, list[tuple[float, float]]] = {}
    for turn in range(options.passes):
        for name, path in entries:
            label = f"{name}, before" if path else name
            try:
                seen = microseconds(name, options.receivers, options.messages, path)
            except (RuntimeError, EOFError) as error:
                print(f"{label}: not run ({error})", flush=True)
                continue
            found.setdefault(label, []).append(seen)
            print(f"pass {turn + 1}: {label:24} {seen[0]:7.2f} µs, {seen[1]:.0%} delivered", flush=True)
    print("\n| contender | CPU a delivery, µs (least to most) | delivered |\n|---|--:|--:|")
    for label, values in found.items():
        costs = [cost for cost, _ in values]
        part = median(part for _, part in values)
        print(f"| {label} | {median(costs):.2f} ({min(costs):.2f} to {max(costs):.2f}) | {part:.0%} |")


if __name__ == "__main__":
    main()
