"""Memory of this process, from /proc/self/status (proc(5)): ru_maxrss would count the process that started it."""

from __future__ import annotations

import re
from pathlib import Path


def resident() -> int:
    """KiB that are resident now."""
    return _read("VmRSS")


def peak() -> int:
    """KiB that were resident at most."""
    return _read("VmHWM")


def _read(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) if found else 0
