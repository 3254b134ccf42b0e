"""Reliable channels between hosts that lose packets, beside peers. ``python -m benchmarks.reliable``; root, Linux.

Two or more network namespaces on a switch, each with a process. The switch drops packets, UDP and TCP alike, at random
on their way to any host, so data, requests and repairs get lost alike; or it is slow, with a queue. All contenders take
turns in every row. One that is not installed is told as not run.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from statistics import median

from tests.hosts import Network

from .contenders import CONTENDERS
from .costs import compare_with_raw
from .short_lives import live_shortly
from .tcp_neighbour import kinds_of_tcp, share_with_tcp
from .transfer import Result, Task, transfer


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("tables", nargs="*", default=list(TABLES), metavar="TABLE", help=f"of {', '.join(TABLES)}")
    parser.add_argument("--with", nargs="*", dest="contenders", default=list(CONTENDERS), help="contenders")
    parser.add_argument("--loss", type=float, nargs="*", default=[0, 1, 10, 30], help="percent, each way")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1, 64], help="MiB of large messages")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of all counts: 0.1 for a look")
    parser.add_argument("--patience", type=float, default=20.0, help="seconds that a transfer may take")
    options = parser.parse_args()
    unknown = [table for table in options.tables if table not in TABLES]
    if unknown:
        parser.error(f"no table {unknown[0]!r}; there are {', '.join(TABLES)}")
    for name in list(options.contenders):
        lacks = CONTENDERS[name].missing()
        if lacks:
            print(f"not run: {CONTENDERS[name].name}: {lacks}")
            options.contenders.remove(name)
    for table in options.tables:
        TABLES[table](options)


def throughput(options: argparse.Namespace) -> None:
    """Rows 1 to 3: messages of 100 bytes, bundled and one by one, to one receiver and to three."""
    for receivers in (1, 3):
        for loss in options.loss if receivers == 1 else [10.0]:
            for how, count in (("bundled", 50_000), ("single", 10_000)):
                what = f"{receivers} x, {loss:g} % loss, {how}"
                task = Task(_scaled(count, options), 100, how, receivers, loss, options.patience)
                _print(what, task, options, lambda task, result: f"{result.heard / result.seconds:9,.0f} msg/s")


def delay(options: argparse.Namespace) -> None:
    """500 messages a second."""
    for loss in (0.0, 10.0):
        task = Task(_scaled(2_000, options), 100, "500", 1, loss, options.patience)
        what = f"500 msg/s, {loss:g} % loss"
        _print(what, task, options, lambda task, result: f"p50 {result.p50:8.2f} ms  p99 {result.p99:8.2f} ms")


def large(options: argparse.Namespace) -> None:
    """Messages of 1 MiB and 64 MiB."""
    for size, count in ((mebibytes << 20, max(1, 20 // mebibytes)) for mebibytes in options.sizes):
        for loss in [loss for loss in options.loss if loss <= 10.0]:
            task = Task(max(1, _scaled(count, options)), size, "single", 1, loss, 4 * options.patience)
            what = f"{size >> 20} MiB, {loss:g} % loss"
            _print(
                what, task, options, lambda task, result: f"{result.heard * task.size / result.seconds / 1e6:8.1f} MB/s"
            )


def link(options: argparse.Namespace) -> None:
    """A link of 10 Mbit/s, with queues."""
    for queue in (25, 100, 1000):
        task = Task(_scaled(50_000, options), 100, "bundled", 1, 0.0, 3 * options.patience)

        def prepare(network: Network, queue: int = queue) -> None:
            network.slow(network.hosts[1], 10e6, queue)

        def show(task: Task, result: Result) -> str:
            part = result.heard * task.size * 8 / result.seconds / 10e6
            repeated = result.repeated * 13 / task.messages  # messages in a packet
            return f"{part:6.1%} of the link for payloads, {repeated:.3f} repeated a message"

        _print(f"10 Mbit/s, queue of {queue}", task, options, show, prepare)


def tcp(options: argparse.Namespace) -> None:
    """The same link beside a TCP transfer."""
    for kind in kinds_of_tcp():
        for queue in (25, 100, 1000):
            for _ in range(options.rounds):
                ours, its = share_with_tcp(queue, 30 * min(1.0, options.scale), kind)
                print(
                    f"beside TCP {kind}, queue of {queue:4}: reliable {ours * 8 / 1e6:5.2f} Mbit/s, "
                    f"TCP {its * 8 / 1e6:5.2f} Mbit/s, ratio {ours / max(its, 1.0):.2f}, load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )


def costs(options: argparse.Namespace) -> None:
    """Raw and reliable channels in turns: round trips, and bundles."""
    for line in compare_with_raw(options.rounds, options.scale):
        print(f"{line}, load {os.getloadavg()[0]:.1f}", flush=True)


def lives(options: argparse.Namespace) -> None:
    """Open, send, close, at 10 % loss."""
    count = _scaled(1000, options)
    heard, warned, silent = live_shortly(count, 10.0)
    print(f"{count} short lives at 10 % loss: {heard} heard, {warned} warned of, {silent} neither", flush=True)


TABLES: dict[str, Callable[[argparse.Namespace], None]] = {
    "throughput": throughput,
    "delay": delay,
    "large": large,
    "link": link,
    "tcp": tcp,
    "costs": costs,
    "lives": lives,
}


def _print(
    what: str,
    task: Task,
    options: argparse.Namespace,
    show: Callable[[Task, Result], str],
    prepare: Callable[[Network], None] | None = None,
) -> None:
    results: dict[str, list[Result]] = {name: [] for name in options.contenders if _takes_part(name, task)}
    for _ in range(options.rounds):
        for name, its in results.items():
            its.append(transfer(name, task, prepare))
    for name, its in results.items():
        sound = [result for result in its if result.heard]
        middle = _median(sound)
        shown = "nothing was heard" if middle is None else show(task, middle)
        whole = sum(result.in_order for result in its)
        least = min((result.heard for result in its), default=0)
        cpu = "" if middle is None else f"  {middle.cpu:8.1f} us CPU a message"
        print(
            f"{what:32}  {CONTENDERS[name].name:28}  {shown}  whole {whole}/{len(its)}, "
            f"least {least / task.messages:.0%}{cpu}  load {os.getloadavg()[0]:.1f}",
            flush=True,
        )


def _median(results: Sequence[Result]) -> Result | None:
    """The one in the middle, by its time."""
    if not results:
        return None
    seconds = median(sorted(result.seconds for result in results)[: len(results) | 1])
    return min(results, key=lambda result: abs(result.seconds - seconds))


def _takes_part(name: str, task: Task) -> bool:
    """What repairs nothing is there for large messages, or where nothing gets lost."""
    if name == "lcm":
        return task.size >= 1 << 20
    if name == "raw":
        return not task.loss and task.size <= 65_507 and task.how != "bundled"
    return True


def _scaled(count: int, options: argparse.Namespace) -> int:
    return max(1, int(count * options.scale))


if __name__ == "__main__":
    main()
