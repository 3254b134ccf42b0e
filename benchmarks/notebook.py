"""What a live view costs its source: ``python -m benchmarks.notebook``, with the extra ``test`` installed.

In a Jupyter kernel on one core, whose subscriber is behind six operators. *At the limit* the channel is handed batches
as fast as it delivers them; told is what it delivers for a second of the kernel's CPU, with a view and without in
turns. *At a rate* a sender on the other core sends messages one by one.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from queue import Empty
from statistics import median
from typing import Any

from jupyter_client.manager import start_new_kernel

from .contenders.ours import GROUP
from .workers import ROOT, Worker

SIZE = 64
RATES = (1_000, 10_000)
SECONDS = 3.0

VIEWS = {
    "a view of the channel": ("None", "live(channel)"),
    "a view of a second pipeline": ("pipeline.subscribe()", "live(pipeline)"),
}
"""What is compared: subscribing without a view, and with it."""

SET_UP = """
import json, os, sys, time
os.sched_setaffinity(0, {{1}})
sys.path.insert(0, {root!r})
from reactivex import operators as ops
import rx_multicast_ipc as ipc
from rx_multicast_ipc.notebook import live

heard = 0

def on_next(_):
    global heard
    heard += 1

channel = ipc.open_channel({port}, {group!r}, backlog=1)
channel.messages.pipe(*[ops.filter(lambda m: m.port > 0)] * 6).subscribe(on_next)
pipeline = channel.messages.pipe(ops.filter(lambda m: m.port > 0))
"""

AT_THE_LIMIT = """
def end(subscribed):
    if subscribed is not None:
        getattr(subscribed, "close", getattr(subscribed, "dispose", None))()

def deliver():
    delivered, cpu, until = 0, time.process_time(), time.perf_counter() + 1
    while time.perf_counter() < until:
        for _ in range(50):
            batch = [ipc.Message(bytes({size}), "127.0.0.1", 5000, "IPv4", 1.7e9) for _ in range(44)]
            channel.transport._deliver(batch)
        delivered += 50 * 44
    return delivered / (time.process_time() - cpu)

told = []
for subscribe in (lambda: {without}, lambda: {with_view}):
    subscribed = subscribe()
    told.append(deliver())
    end(subscribed)
print(json.dumps(told))
"""

AT_A_RATE = """
subscribed = {subscribed}
while heard == 0:
    time.sleep(0.001)
time.sleep(0.5)
before = time.perf_counter(), time.process_time()
time.sleep({seconds})
seconds, cpu = (b - a for a, b in zip(before, (time.perf_counter(), time.process_time())))
print(json.dumps(cpu / seconds))
"""

_ports = count(49_400)


class Kernel:
    """A kernel with an open channel."""

    def __init__(self, client: Any, port: int) -> None:
        self._client = client
        self.port = port
        self.output(self.begin(SET_UP.format(root=str(ROOT), port=port, group=GROUP)))

    def begin(self, code: str) -> str:
        return self._client.execute(code)

    def output(self, request: str) -> str:
        """What a request printed, once it is done. Reads what the view tells, as a front end would."""
        text = ""
        while True:
            try:
                message = self._client.get_iopub_msg(timeout=60)
            except Empty:
                raise RuntimeError(f"the kernel does not answer; it said {text!r}") from None
            if message["msg_type"] == "error":
                raise RuntimeError("\n".join(message["content"]["traceback"]))
            if message["parent_header"].get("msg_id") == request:
                if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                    text += message["content"]["text"]
                elif message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                    return text


@contextmanager
def kernel() -> Generator[Kernel]:
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        yield Kernel(client, next(_ports))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def at_the_limit(without: str, with_view: str, passes: int) -> list[tuple[float, float]]:
    """Messages for a second of CPU, without and with the view, one pair a pass."""
    with kernel() as running:
        code = AT_THE_LIMIT.format(size=SIZE, without=without, with_view=with_view)
        return [json.loads(running.output(running.begin(code))) for _ in range(passes)]


def at_a_rate(subscribed: str, rate: int) -> float:
    """The kernel's CPU as a part of one core."""
    with (
        kernel() as running,
        Worker("benchmarks.worker", "ours_single", "send", running.port, core=0) as sender,
    ):
        measuring = running.begin(AT_A_RATE.format(subscribed=subscribed, seconds=SECONDS))
        sender.ask(size=SIZE, count=int(rate * (SECONDS + 1.5)), rate=rate)
        return json.loads(running.output(measuring))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.notebook", description=__doc__)
    parser.add_argument("--passes", type=int, default=3, help="times that everything is measured; medians are told")
    passes = parser.parse_args().passes
    print(
        "| | messages for a second of CPU, at the limit | without | ratio |"
        + "".join(f" CPU at {rate:,}/s | without |" for rate in RATES)
    )
    print("|---|--:|--:|--:|" + "--:|--:|" * len(RATES))
    for name, compared in VIEWS.items():
        pairs = at_the_limit(*compared, 5 * passes)
        without, with_view = (median(column) for column in zip(*pairs, strict=True))
        ratio = median(one / other for other, one in pairs)
        cells = [f"{with_view:,.0f}", f"{without:,.0f}", f"{ratio:.2f}"]
        for rate in RATES:
            turns = [[at_a_rate(subscribed, rate) for subscribed in compared] for _ in range(passes)]
            cells += [f"{median(column):.1%}" for column in reversed(list(zip(*turns, strict=True)))]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
