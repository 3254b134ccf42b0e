"""Every example of every command's --help, and of the documents, works as it is written there."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from rx_multicast_ipc.cli.main import COMMANDS

from ..helpers import PATIENCE, ROOT, needs_namespaces, terminal, thorough
from ..hosts.namespace import Namespace

COMPANY = """
import select, sys
import reactivex as rx
from reactivex import operators as ops
import rx_multicast_ipc as ipc
from rx_multicast_ipc.cli.ping_protocol import answer_pings

with ipc.open_channel(61088, echo=False, presence="arena") as channel, ipc.open_channel(61090) as other:
    answer_pings(channel)
    joins = channel.messages.pipe(ops.filter(lambda m: m.text.startswith("join:")))
    joins.pipe(ops.flat_map(lambda m: channel.reply(m, f"Welcome {m.text[5:]}!"))).subscribe()
    print("ready", flush=True)
    number = 0
    while not select.select([sys.stdin], [], [], 0.02)[0]:  # until who started it ends
        ipc.run(channel.broadcast(f"join:Player {number}"))
        ipc.run(channel.topic("robot/pose").publish({"x": number}))
        ipc.run(other.broadcast(f"join:Player {number}"))
        number += 1
"""
"""Somebody who talks and answers."""

SCRIPT = """
trap : INT
{ %s
}
echo "[code $?]"
"""


@pytest.fixture(scope="module")
def company() -> Iterator[Namespace]:
    """A network in which somebody talks and answers."""
    namespace = Namespace()
    namespace.ip(
        *("link set lo up", "link add eth0 type veth peer name far", "link set far up"),
        *("address add 10.77.0.1/24 dev eth0", "link set eth0 up", "route add default dev eth0"),
    )
    with namespace.entered():
        process = subprocess.Popen(
            [sys.executable, "-c", COMPANY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
        )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield namespace
        process.kill()
    namespace.close()


WITH_FILES = {"record", "replay"}
"""Commands whose examples need files, and are tested with them."""


DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def examples() -> list[Any]:
    """Each once: those of --help always."""
    found: dict[str, str] = {}
    for name in COMMANDS.keys() - WITH_FILES:
        parser = ArgumentParser()
        import_module(f"rx_multicast_ipc.cli.{name}").configure(parser)
        assert parser.epilog is not None
        lines = [line.removeprefix("  $ ") for line in parser.epilog.splitlines() if line.startswith("  $ ")]
        assert lines, f"{name} --help has no examples"
        found |= dict.fromkeys(lines, name)
    by_help = set(found)
    for document in DOCUMENTS:
        for block in re.findall(r"^```sh\n(.*?)^```\n", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
            for line in block.splitlines():
                if "rx-multicast-ipc " in line:
                    found.setdefault(line, document.name)
    return [
        pytest.param(name, line, marks=[] if line in by_help else thorough)
        for line, name in sorted(found.items(), key=lambda each: (each[1], each[0]))
    ]


@needs_namespaces
@pytest.mark.skipif(shutil.which("setsid") is None, reason="needs setsid(1) to start programs on a terminal")
@pytest.mark.parametrize(("name", "example"), examples())
def test_an_example_does_what_it_says(name: str, example: str, company: Namespace, tmp_path: Path) -> None:
    endless = "until Ctrl-C" in example
    ours, theirs = terminal()
    with company.entered():
        process = subprocess.Popen(
            ["setsid", "-c", "-w", "sh", "-c", SCRIPT % example],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=tmp_path,
            env={
                **os.environ,
                "TERM": "xterm-256color",
                "PYTHONPATH": str(ROOT),
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            },
        )
    os.close(theirs)
    output = b""
    deadline = time.monotonic() + PATIENCE
    interrupted = False
    try:
        while b"[code " not in output:
            assert time.monotonic() < deadline, output
            if select.select([ours], [], [], 0.1)[0]:
                output += os.read(ours, 1 << 16)
            if endless and output and not interrupted:
                os.write(ours, b"\x03")
                interrupted = True
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert b"Traceback" not in output
    assert f"[code {130 if endless else 0}]".encode() in output, output.decode()
