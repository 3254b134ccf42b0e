from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from .helpers import Listen, start, wait_until_listening


@pytest.fixture
def listen(port: int) -> Iterator[Listen]:
    """Starts the listen command on the test's port, and returns when it hears."""
    processes: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: object) -> subprocess.Popen[bytes]:
        processes.append(start("listen", "--verbose", "--port", port, *arguments))
        wait_until_listening(processes[-1])
        return processes[-1]

    yield begin
    for process in processes:
        process.kill()
        process.communicate()
