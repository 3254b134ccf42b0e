"""One program, moved by the environment alone: on loopback, between hosts, over NATS and over Zenoh."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from ..helpers import PATIENCE, ROOT, thorough
from ..hosts import hosts
from ..transport_rigs import nats_server, zenoh_router

NAMES = ("Ann", "Bob", "Eve")

Start = Callable[[int, list[str]], "subprocess.Popen[str]"]
"""Starts the command of one of them."""


def command(script: str, *arguments: str) -> list[str]:
    return [sys.executable, "-X", "dev", str(ROOT / "examples" / f"{script}.py"), *arguments]


def here(interface: str) -> Start:
    environment = {**os.environ, "RX_MULTICAST_IPC_INTERFACE": interface}

    def start(_: int, started: list[str]) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen(started, env=environment, text=True, encoding="utf-8", stdout=pipe, stderr=pipe)

    return start


def meet(start: Start) -> None:
    """Start all, and see each meet all others."""
    processes = [start(place, command("anywhere", name, "2")) for place, name in enumerate(NAMES)]
    try:
        for name, process in zip(NAMES, processes, strict=True):
            out, err = process.communicate(timeout=PATIENCE)
            assert (process.returncode, err) == (0, "")
            others = {other for other in NAMES if other != name}
            lines = out.splitlines()
            assert {line.split()[2] for line in lines if " heard " in line} == others
            assert {line.split()[-1] for line in lines if " was greeted, alone, by " in line} == others
            assert len(lines) == 4
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_on_loopback() -> None:
    meet(here("loopback"))


def test_over_nats() -> None:
    meet(here(nats_server().url))


def test_over_zenoh() -> None:
    meet(here(zenoh_router().url))


def test_between_hosts() -> None:
    with hosts(3) as network:
        each = list(network)
        meet(lambda place, started: each[place].start(*started, RX_MULTICAST_IPC_INTERFACE="eth0"))


@thorough
@pytest.mark.parametrize("where", ["nats", "zenoh"])
def test_the_arena_is_the_same_on_engines(where: str) -> None:
    urls = {"nats": lambda: nats_server().url, "zenoh": lambda: zenoh_router().url}
    process = here(urls[where]())(0, command("arena"))
    try:
        out, err = process.communicate(timeout=2 * PATIENCE)
    finally:
        process.kill()
    assert (process.returncode, err) == (0, "")
    told = {line for line in out.splitlines() if not line.startswith("logger: ") and " listens on " not in line}
    assert told == {
        *(f"{name} -> everyone: join:{name}" for name in ("Ann", "Bob")),
        *(f"announcer -> everyone: Player {name} has entered the arena!" for name in ("Ann", "Bob")),
        *(f"welcome -> {name} alone: Welcome {name}!" for name in ("Ann", "Bob")),
        *(f"{name} hears, alone: Welcome {name}!" for name in ("Ann", "Bob")),
        *(f"{name} hears, with everyone: Player {name} has entered the arena!" for name in ("Ann", "Bob")),
        "arena -> everyone: arena:closed",
    }
