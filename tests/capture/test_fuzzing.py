"""No file makes the reader raise anything but its documented errors, or take memory without bound."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ..helpers import ROOT, needs_linux

LONG = "RX_MULTICAST_IPC_FUZZ"
"""Environment variable: how many damaged captures the long form reads."""


def fuzz(seed: int, count: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.capture.fuzzing", str(seed), str(count)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


@needs_linux
def test_damaged_captures_raise_only_documented_errors_within_600_mb() -> None:
    done = fuzz(1, 3000)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert " read\n" in done.stdout
    assert " corrupt\n" in done.stdout


@needs_linux
@pytest.mark.skipif(LONG not in os.environ, reason=f"long; set {LONG}=200000 for it")
def test_damaged_captures_by_the_hundred_thousand() -> None:
    done = fuzz(2, int(os.environ[LONG]))
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
