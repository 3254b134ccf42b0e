"""Import time and resident memory, against importing reactivex alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import time
started = time.perf_counter()
import {module}
print(time.perf_counter() - started)
from benchmarks.memory import resident
print(resident())
"""
ROOT = Path(__file__).parent.parent
MODULES = ("reactivex", "rx_multicast_ipc")


def measure(passes: int) -> dict[str, list[dict[str, float]]]:
    """Milliseconds and KiB by module, one a pass; the first, with cold caches, is not counted."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPATH": str(ROOT)}  # as installed: compiled once
    found: dict[str, list[dict[str, float]]] = {module: [] for module in MODULES}
    for turn in range(passes * 4 + 1):
        for module in MODULES:
            code = CODE.format(module=module)
            out = subprocess.run(
                [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
            ).stdout
            seconds, kib = map(float, out.split())
            if turn:
                found[module].append({"ms": seconds * 1000, "kib": kib})
    return found
