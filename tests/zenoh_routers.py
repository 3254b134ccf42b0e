"""Zenoh routers of the tests' own, on loopback or on a host, opened from Python in a process of their own."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from typing import Any

import pytest

from .nats_servers import close_kept_connections, free_tcp_port

HAS_ZENOH = importlib.util.find_spec("zenoh") is not None

needs_zenoh = pytest.mark.skipif(not HAS_ZENOH, reason="Zenoh is not installed: pip install eclipse-zenoh")

ROUTER = """
import json, sys, zenoh
config = zenoh.Config()
for key, value in json.loads(sys.argv[1]).items():
    config.insert_json5(key, json.dumps(value))
session = zenoh.open(config)
print("ready", flush=True)
sys.stdin.read()
"""


class ZenohRouter:
    """One router.

    Args:
        address: where it listens.
        config: of Zenoh, beside where it listens.
    """

    def __init__(self, address: str = "127.0.0.1", *, protocol: str = "tcp", **config: Any) -> None:
        if not HAS_ZENOH:
            pytest.skip("Zenoh is not installed: pip install eclipse-zenoh")
        self.port = free_tcp_port()
        self._config = {
            "mode": "router",
            "listen/endpoints": [f"{protocol}/{address}:{self.port}"],
            "scouting/multicast/enabled": False,
            "scouting/gossip/enabled": False,
            **config,
        }
        self.url = f"zenoh://{address}:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-c", ROUTER, json.dumps(self._config)]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and wait until it lets programs in."""
        self._process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        """End it as ``kill -9`` does."""
        assert self._process is not None
        self._process.kill()
        self._process.communicate()

    def __enter__(self) -> ZenohRouter:
        return self

    def __exit__(self, *_: object) -> None:
        close_kept_connections(self.port)
        self.kill()
