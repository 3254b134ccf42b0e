"""The guide of engines does what it shows, on a server at the port that it names."""

from __future__ import annotations

import re
import socket
import subprocess
import sys

import pytest

from ..helpers import PATIENCE, ROOT
from ..nats_servers import NatsServer
from .helpers import make_stream

GUIDE = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```py\n(.*?)^```\n```text\n(.*?)^```\n", GUIDE, re.MULTILINE | re.DOTALL)


def test_every_block_shows_what_it_prints() -> None:
    assert len(BLOCKS) == GUIDE.count("\n```py\n") == 5


def test_the_blocks_do_what_the_guide_shows() -> None:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", 4222))
        except OSError:
            pytest.skip("another program has the port of NATS, which the guide uses")
    with NatsServer(jetstream=True, port=4222) as server:
        make_stream(server.url, "HISTORY", "rx.224-0-2-1.61088.>")
        for code, printed in BLOCKS:
            started = [sys.executable, "-X", "dev", "-c", code]
            done = subprocess.run(started, capture_output=True, text=True, timeout=PATIENCE, check=False)
            assert (done.returncode, done.stderr) == (0, "")
            if "HISTORY" not in printed:
                assert done.stdout == printed
            else:  # numbered on from what blocks before have sent
                assert done.stdout.splitlines()[-1].endswith("'one', 'two', 'three']")
