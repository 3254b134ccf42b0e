"""Measure side by side, in one run: ``python -m benchmarks``. Prints a table; writes results.json and throughput.svg.

Everything runs in a network namespace with only loopback, if one can be had; else on loopback.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import command_line, costs, growth, one_way, roundtrip, startup, throughput
from .report import draw, load, table

HERE = Path(__file__).parent
SECTIONS = ("throughput", "costs", "roundtrip", "one_way", "growth", "startup", "command_line")
LEAVE_LOOPBACK = {"lcm_udpm", "npm_multicast_ipc", "cyclonedds_reliable"}
"""Contenders that use the default interface: they run only where that is loopback, in a namespace of their own."""

NAMESPACE = "RX_MULTICAST_IPC_BENCHMARK_NAMESPACE"
LOOPBACK_ONLY = 'ip link set lo up && ip route add 224.0.0.0/4 dev lo src 127.0.0.1 && exec "$@"'


def main() -> None:
    options = parse()
    if NAMESPACE not in os.environ:
        environment = {**os.environ, "NODE_PATH": install_npm()}
        command = [sys.executable, "-m", "benchmarks", *sys.argv[1:]]
        inside = ["unshare", "-n", "sh", "-c", LOOPBACK_ONLY, "sh"]
        possible = shutil.which("unshare") and subprocess.run([*inside, "true"], capture_output=True).returncode == 0
        environment[NAMESPACE] = "own" if possible else "none"
        sys.exit(subprocess.run([*(inside if possible else []), *command], env=environment).returncode)
    contenders = [name for name in options.contenders if os.environ[NAMESPACE] == "own" or name not in LEAVE_LOOPBACK]
    path = options.output / "results.json"
    results: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    results["machine"] = f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    passes = options.passes
    sections: dict[str, Callable[[], Any]] = {
        "throughput": lambda: throughput.measure(
            tuple(contenders), tuple(options.sizes), passes, options.seconds, options.before
        ),
        "costs": lambda: costs.measure(passes),
        "roundtrip": lambda: roundtrip.measure(passes, options.trips, options.before),
        "one_way": lambda: one_way.measure(passes, options.trips),
        "growth": lambda: growth.measure(min(passes, 3)),
        "startup": lambda: startup.measure(passes),
        "command_line": lambda: command_line.measure(passes),
    }
    results["load"] = load()
    for name in options.sections:
        results[name] = sections[name]()
        path.write_text(json.dumps(results, indent=1))
    told = {key: value for key, value in results.items() if key not in SECTIONS or key in options.sections}
    if "throughput" in told:
        draw(told, options.output / "throughput.svg")
    print(table(told))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--passes", type=int, default=5, help="times that everything is measured; medians are told")
    parser.add_argument("--seconds", type=float, default=0.4, help="length of one probe of throughput")
    parser.add_argument("--trips", type=int, default=4000, help="round trips, and messages one way, a pass")
    parser.add_argument("--sizes", type=int, nargs="+", default=throughput.SIZES, help="bytes of payload")
    parser.add_argument("--contenders", nargs="+", default=throughput.CONTENDERS)
    parser.add_argument(
        "--sections", nargs="+", default=SECTIONS, choices=SECTIONS, help="the others' results are kept"
    )
    parser.add_argument("--before", help="folder of an older checkout of this package, to compare with")
    parser.add_argument("--output", type=Path, default=HERE, help="folder for results.json and throughput.svg")
    return parser.parse_args()


def install_npm() -> str:
    """A folder with the npm package in it, or without if it cannot be had."""
    folder = Path(tempfile.gettempdir()) / "rx_multicast_ipc_benchmark_npm"
    if shutil.which("npm") and not (folder / "node_modules" / "multicast-ipc").exists():
        folder.mkdir(exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "multicast-ipc@1.0.5"], cwd=folder, capture_output=True)
    return str(folder / "node_modules")


if __name__ == "__main__":
    main()
