"""Processes that end when this one does, whatever ends it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from ..helpers import PATIENCE, ROOT
from .namespace import NEW_NET, NEW_PID, Namespace, in_thread, setns, unshare


class Processes:
    """Processes with all that they start themselves, in a PID namespace.

    When the first process of a PID namespace ends, the kernel kills the others (pid_namespaces(7)). The first one
    here only reads a pipe, whose other end this process alone has.
    """

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []

        def start_first() -> tuple[subprocess.Popen[bytes], int]:
            unshare(NEW_PID)
            first = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
            return first, os.open("/proc/thread-self/ns/pid_for_children", os.O_RDONLY | os.O_CLOEXEC)

        self._first, self._descriptor = in_thread(start_first)

    def start(
        self, namespace: Namespace, command: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.Popen[str]:
        """Start a process in a network namespace, with pipes."""

        def launch() -> subprocess.Popen[str]:
            setns(self._descriptor, NEW_PID)
            setns(namespace.descriptor, NEW_NET)
            return subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                cwd=ROOT,
                env={**os.environ, **environment},
            )

        process = in_thread(launch)
        self._started.append(process)
        return process

    def close(self) -> None:
        """Kill all, and wait for their end."""
        assert self._first.stdin is not None
        self._first.stdin.close()
        for process in self._started:
            process.kill()
            process.wait(PATIENCE)
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        self._first.wait(PATIENCE)
        os.close(self._descriptor)
