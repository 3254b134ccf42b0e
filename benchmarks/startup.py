"""Import time and resident memory, against importing reactivex alone."""

from __future__ import annotations

import os
import subprocess
import sys

CODE = """
import resource, time
started = time.perf_counter()
import {module}
print(time.perf_counter() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
MODULES = ("reactivex", "rx_multicast_ipc")


def measure(passes: int) -> dict[str, list[dict[str, float]]]:
    """Milliseconds and KiB by module, one a pass; the first, with cold caches, is not counted."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}  # as installed: compiled once
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
