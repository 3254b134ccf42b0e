"""The command line: how soon ``send`` has sent, and whether ``ping`` tells what a bare socket measures.

``send`` is timed from the start of its process to the arrival of the datagram, against a process that imports reactivex
and ends. ``ping`` and a bare socket take turns in asking one ``listen --respond``, at the same pace.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from statistics import median

from .contenders import raw

PORT = 48_900
PINGS = 200
PAUSE = 0.012
"""Seconds between two pings: who listens answers a host a hundred times a second."""

COMMAND = [sys.executable, "-m", "rx_multicast_ipc"]
GROUP = ["--group", raw.GROUP, "--port", str(PORT)]
ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # as installed: compiled once


def measure(passes: int) -> dict[str, dict[str, list[float]]]:
    """Milliseconds, one value a pass."""
    return {"start": starts(passes * 4), "ping": pings(passes)}


def starts(passes: int) -> dict[str, list[float]]:
    """``send``, and ``python -c "import reactivex"``, in turns; the first, with cold caches, is not counted."""
    found: dict[str, list[float]] = {"send": [], "reactivex": []}
    with raw.receiver_socket(PORT) as receiver:
        for turn in range(passes + 1):
            began = time.perf_counter()
            sending = subprocess.Popen([*COMMAND, "send", *GROUP, "x"], env=ENVIRONMENT)
            receiver.recvfrom(65_535)
            sent = time.perf_counter() - began
            sending.wait()
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", "import reactivex"], env=ENVIRONMENT, check=True)
            imported = time.perf_counter() - began
            if turn:
                found["send"].append(sent * 1000)
                found["reactivex"].append(imported * 1000)
    return found


def pings(passes: int) -> dict[str, list[float]]:
    """Median round trips to one responder, by ``ping`` and by a bare socket."""
    found: dict[str, list[float]] = {"ping": [], "raw": []}
    answering = subprocess.Popen(
        [*COMMAND, "listen", "--respond", "--verbose", "--timeout", "600", *GROUP],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert answering.stderr is not None
    try:
        answering.stderr.readline()
        for _ in range(passes):
            asking = [*COMMAND, "ping", "--count", str(PINGS), "--interval", str(PAUSE), "--quiet", "--json", *GROUP]
            out = subprocess.run(asking, capture_output=True, check=True, env=ENVIRONMENT).stdout
            found["ping"].append(json.loads(out.splitlines()[0])["ms"]["median"])
            found["raw"].append(raw_pings())
    finally:
        answering.kill()
        answering.communicate()
    return found


def raw_pings() -> float:
    """The median round trip of a bare socket, in milliseconds."""
    times: list[float] = []
    with raw.sender_socket() as asking:
        for number in range(PINGS):
            ping = b'{"rx-multicast-ipc":"ping","id":"raw","sequence":%d,"time":0.0,"pad":""}' % number
            began = time.perf_counter()
            asking.sendto(ping, (raw.GROUP, PORT))
            asking.recvfrom(65_535)
            times.append(time.perf_counter() - began)
            time.sleep(PAUSE)
    return median(times) * 1000


if __name__ == "__main__":
    for what, some in measure(5).items():
        ours, other = some
        ratio = median(a / b for a, b in zip(some[ours], some[other], strict=True))
        print(f"{what}: {ours} {median(some[ours]):.3f} ms, {other} {median(some[other]):.3f} ms, ratio {ratio:.2f}")
