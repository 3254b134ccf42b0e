"""Runs code in a child that a sandbox refuses system calls."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from . import seccomp
from .own_network import told_apart


def sandboxed(code: str, script: str = "") -> str:
    """What a child prints that runs ``code``, which has ``refuse`` and ``Refusal``.

    Args:
        code: of the child.
        script: shell commands before it, in a network namespace for both.
    """
    return told_apart("from tests.transport.udp.seccomp import Refusal, refuse\n" + code, script)


def _works() -> bool:
    if sys.platform != "linux" or platform.machine() not in seccomp.NUMBERS:
        return False
    try:
        return sandboxed("refuse(Refusal('sendmmsg')); print('well')") == "well\n"
    except (AssertionError, OSError, subprocess.SubprocessError):
        return False


needs_seccomp = pytest.mark.skipif(not _works(), reason="needs seccomp(2) on x86-64 or ARM64")
