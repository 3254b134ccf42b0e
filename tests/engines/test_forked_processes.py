"""A forked child has no part in its parent's connection, and makes one of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ..helpers import PATIENCE
from ..nats_servers import NatsServer

FORKS = """
import os, sys
import rx_multicast_ipc as ipc
port, interface = int(sys.argv[1]), sys.argv[2]
with ipc.open_channel(port, interface=interface) as channel:
    child = os.fork()
    if child == 0:
        try:
            ipc.run(channel.broadcast("by the parent's channel"))
        except ipc.ChannelClosed:
            with ipc.open_channel(port, interface=interface) as own:
                differs = own.sender_address[0] != channel.sender_address[0]
                ipc.run(own.broadcast(f"child, in a session of its own: {differs}"))
                own.transport.connection.flush()
        os._exit(0)
    print(ipc.run(channel.wait_for_message(timeout=60)).text)
    os.waitpid(child, 0)
    ipc.run(channel.broadcast("the parent goes on"))
    print(ipc.run(channel.wait_for_message(timeout=60)).text)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_fork_makes_a_connection_of_its_own(server: NatsServer, port: int) -> None:
    started = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKS, str(port), server.url]
    done = subprocess.run(started, capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["child, in a session of its own: True", "the parent goes on"]
