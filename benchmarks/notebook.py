"""What a live view costs the source it shows: ``python -m benchmarks.notebook``, with the extra ``test`` installed.

A Jupyter kernel on one core hears a sender on the other through six operators and a subscriber: without a view, with
one of the channel, with one of a pipeline from it; alternating, a fresh kernel each. The sender first floods it: what
is delivered then for a second of the kernel's CPU is what the source can deliver at most, on a core of its own.
"""

from __future__ import annotations

import argparse
import json
from itertools import count
from queue import Empty
from statistics import median
from typing import Any

from jupyter_client.manager import start_new_kernel

from .contenders.ours import GROUP
from .workers import ROOT, Worker

SIZE = 64
FLOOD = 3_000_000
"""Messages a second, sent together: more than the kernel can take."""

RATES = (1_000, 10_000)
"""Messages a second, sent one by one."""

SECONDS = 3.0

PIPELINE = "channel.messages.pipe(ops.filter(lambda m: m.port > 0))"
VIEWS = {
    "no view": "None",
    "a view of the channel": "live(channel)",
    "no view, a second pipeline": f"{PIPELINE}.subscribe()",
    "a view of the second pipeline": f"live({PIPELINE})",
}
WITHOUT = {"a view of the channel": "no view", "a view of the second pipeline": "no view, a second pipeline"}

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
view = {view}
"""

MEASURE = """
while heard == 0:
    time.sleep(0.001)
time.sleep(0.5)
before = heard, time.perf_counter(), time.process_time()
time.sleep({seconds})
after = heard, time.perf_counter(), time.process_time()
messages, seconds, cpu = (b - a for a, b in zip(before, after))
print(json.dumps({{"rate": messages / seconds, "cpu": cpu / seconds}}))
"""

_ports = count(49_400)


def measure(view: str, rate: int) -> dict[str, float]:
    """Messages a second that were delivered, and the kernel's CPU as a part of one core."""
    port = next(_ports)
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        run(client, SET_UP.format(root=str(ROOT), port=port, group=GROUP, view=VIEWS[view]))
        with Worker("benchmarks.worker", "ours" if rate == FLOOD else "ours_single", "send", port, core=0) as sender:
            measuring = client.execute(MEASURE.format(seconds=SECONDS))
            sender.ask(size=SIZE, count=int(rate * (SECONDS + 1.5)), rate=rate)
            return json.loads(output(client, measuring))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run(client: Any, code: str) -> None:
    output(client, client.execute(code))


def output(client: Any, request: str) -> str:
    """What a request printed, once it is done. Reads what the view tells, as a front end would."""
    text = ""
    while True:
        try:
            message = client.get_iopub_msg(timeout=60)
        except Empty:
            raise RuntimeError(f"the kernel does not answer; it said {text!r}") from None
        if message["msg_type"] == "error":
            raise RuntimeError("\n".join(message["content"]["traceback"]))
        if message["parent_header"].get("msg_id") == request:
            if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
                text += message["content"]["text"]
            elif message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return text


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.notebook", description=__doc__)
    parser.add_argument("--passes", type=int, default=5, help="times that everything is measured; medians are told")
    passes = parser.parse_args().passes
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    for turn in range(passes):
        for rate in (FLOOD, *RATES):
            for view in VIEWS:
                one = measure(view, rate)
                found.setdefault((view, rate), []).append(one)
                print(f"pass {turn + 1}: {view:30} {one['rate']:12,.0f}/s  CPU {one['cpu']:6.1%}", flush=True)
    print("\n| | messages/s at most | of that without |" + "".join(f" CPU at {rate:,}/s |" for rate in RATES))
    print("|---|--:|--:|" + "--:|" * len(RATES))
    for view in VIEWS:
        most = [one["rate"] / one["cpu"] for one in found[view, FLOOD]]
        without = [one["rate"] / one["cpu"] for one in found[WITHOUT.get(view, view), FLOOD]]
        part = median(one / other for one, other in zip(most, without, strict=True))
        cpu = "".join(f" {median(one['cpu'] for one in found[view, rate]):.1%} |" for rate in RATES)
        print(f"| {view} | {median(most):,.0f} | {part:.2f} |{cpu}")


if __name__ == "__main__":
    main()
