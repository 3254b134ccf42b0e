"""What beginning costs, import and a first message, and resident memory, against importing reactivex alone.

``python -m benchmarks.startup [passes]`` prints the ratios alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

CODE = """
import time
started = time.process_time()
{program}
print((time.process_time() - started) * 1000)
from benchmarks.memory import resident
print(resident())
"""
ROOT = Path(__file__).parent.parent
PROGRAMS = {
    "reactivex": "import reactivex",
    "rx_multicast_ipc": "import rx_multicast_ipc",
    "first_message": """
import rx_multicast_ipc as ipc
with ipc.open_channel(47_900, "224.0.2.9") as channel:
    channel.messages.subscribe(print)
    ipc.run(channel.broadcast("x"))
""",
}


def measure(passes: int) -> dict[str, list[dict[str, float]]]:
    """Milliseconds of CPU and KiB by program, one a pass; the first, with cold caches, is not counted."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": str(ROOT)}  # as installed: compiled once
    found: dict[str, list[dict[str, float]]] = {name: [] for name in PROGRAMS}
    for turn in range(passes * 4 + 1):
        for name, program in PROGRAMS.items():
            code = CODE.format(program=program)
            out = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
            ).stdout
            *_, milliseconds, kib = out.split()
            if turn:
                found[name].append({"ms": float(milliseconds), "kib": float(kib)})
    return found


def main() -> None:
    found = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
    bare = [one["ms"] for one in found["reactivex"]]
    print(f"import reactivex: {median(bare):.1f} ms of CPU")
    for name in ("rx_multicast_ipc", "first_message"):
        ratios = [one["ms"] / other for one, other in zip(found[name], bare, strict=True)]
        cost = median(one["ms"] for one in found[name])
        print(f"{name}: {cost:.1f} ms, {median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
