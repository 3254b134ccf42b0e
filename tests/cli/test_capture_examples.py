"""The examples in the help of ``record`` and ``replay`` do what they say."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest

from rx_multicast_ipc.capture import Reader, Writer
from rx_multicast_ipc.cli import record, replay

from ..capture.packets import HELLO, RAW, enhanced, interface, section
from ..helpers import PATIENCE, ROOT, in_namespace, ipc, needs_namespaces

pytestmark = needs_namespaces

TALK = "rx-multicast-ipc send --repeat 0 --rate 20 hello & talker=$!; rx-multicast-ipc listen --count 1 >/dev/null;"
"""Somebody talks before, and while, an example runs."""

CTRL_C = "(until find . -name '*.pcap' -size +60c | grep -q .; do sleep 0.1; done; kill -INT $(cat pid)) &"


def examples(command: object) -> list[str]:
    parser = ArgumentParser()
    command.configure(parser)  # pyright: ignore
    assert parser.epilog is not None
    return [line.removeprefix("  $ ") for line in parser.epilog.splitlines() if line.startswith("  $ ")]


def run(line: str, folder: Path, *, talk: bool) -> tuple[int, str]:
    """In a namespace, with Ctrl-C once something is recorded where the example says so; its exit code and output."""
    if shutil.which("rx-multicast-ipc", path=Path(sys.executable).parent) is None:
        pytest.skip("the package is not installed with its script")
    if "tcpdump -" in line and shutil.which("tcpdump") is None:
        pytest.skip("needs tcpdump(8)")
    (folder / "line.sh").write_text(f"echo $$ >pid; exec {line}" if "Ctrl-C" in line else line)
    example = f"timeout -k 5 -s INT {PATIENCE:.0f} bash line.sh; code=$?"
    if "Ctrl-C" in line:
        example = f"{CTRL_C} {example}"
    script = f"{TALK} {example}; kill $talker; exit $code" if talk else f"{example}; exit $code"
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        in_namespace(script),
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)},
        timeout=2 * PATIENCE,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("line", examples(record))
def test_an_example_of_record(line: str, tmp_path: Path) -> None:
    code, out = run(line, tmp_path, talk=True)
    assert code == (130 if "Ctrl-C" in line else 0)
    if "tcpdump" in line:
        assert out.count("224.0.2.1.61088: UDP, length 5") == 2
        return
    (path,) = tmp_path.glob("*.pcap")
    with Reader(path) as reader:
        texts = [message.text for message, _ in reader]
    assert texts == ["hello"] * (3 if "--count 3" in line else len(texts))
    assert texts


@pytest.mark.parametrize("line", examples(replay))
def test_an_example_of_replay(line: str, tmp_path: Path) -> None:
    with Writer(tmp_path / "today.pcap") as writer:
        writer.write(
            [ipc.Message(b"robot/pose\0{}", received_at=1.7e9 + n / 10) for n in range(5)], ("224.0.2.1", 61088)
        )
    (tmp_path / "tcpdump.pcapng").write_bytes(section() + interface(RAW) + enhanced(HELLO, 1))
    (tmp_path / "old.pcap.gz").write_bytes(gzip.compress((tmp_path / "today.pcap").read_bytes()))
    code, out = run(line, tmp_path, talk=False)
    assert code == 0
    assert f'"sent":{1 if "pcapng" in line else 15 if "--loop 3" in line else 5},' in out
