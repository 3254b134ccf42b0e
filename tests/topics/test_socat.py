"""socat, which knows nothing of topics, publishes to them and hears them."""

from __future__ import annotations

import select
import shutil
import subprocess
import time

import pytest

from ..helpers import PATIENCE, Seen, ipc, needs_linux, run

pytestmark = [needs_linux, pytest.mark.skipif(shutil.which("socat") is None, reason="needs socat")]


def test_what_socat_says_to_a_topic_is_heard(channel: ipc.Channel, port: int) -> None:
    heard = Seen(channel.topic("robot/pose").stream)
    destination = f"UDP4-DATAGRAM:{ipc.DEFAULT_GROUP}:{port},ip-multicast-if=127.0.0.1,ip-multicast-ttl=0"
    said = b'robot/pose\0{"x":1.5}'
    subprocess.run(["socat", "-", destination], input=said, check=True, timeout=PATIENCE)
    assert heard.wait_for_count(1) == [{"x": 1.5}]


def test_socat_hears_what_is_published_to_a_topic(channel: ipc.Channel, port: int) -> None:
    source = f"UDP4-RECV:{port},reuseaddr,bind={ipc.DEFAULT_GROUP},ip-add-membership={ipc.DEFAULT_GROUP}:127.0.0.1"
    process = subprocess.Popen(["socat", "-u", source, "-"], stdout=subprocess.PIPE, bufsize=0)
    assert process.stdout is not None
    deadline = time.monotonic() + PATIENCE
    try:
        heard = b""
        while not heard and time.monotonic() < deadline:  # it gives no sign of when it listens
            run(channel.topic("robot/pose").publish({"x": 1.5}))
            if select.select([process.stdout], [], [], 0.05)[0]:
                heard = process.stdout.read(4096)
    finally:
        process.kill()
        process.communicate()
    assert heard.startswith(b'robot/pose\0{"x":1.5}')
