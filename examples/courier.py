"""A file in one message: `python examples/courier.py receive COPY` in one shell or more, then `... send FILE`.

The channel is reliable: the file arrives whole, however the network loses packets, and the sender learns who has it.
"""

import sys
from pathlib import Path

import rx_multicast_ipc as ipc

PORT = 61095


def send(channel: ipc.Channel, path: Path) -> None:
    """Send a file to all who are there."""
    done = ipc.run(channel.broadcast(path.read_bytes(), acknowledged=True, timeout=30))
    print(f"{len(done.by)} have it, {len(done.missing)} left without it")


def receive(channel: ipc.Channel, path: Path) -> None:
    """Write the next file that is sent."""
    print("waiting", flush=True)
    message = ipc.run(channel.wait_for_message())
    path.write_bytes(message.data)
    print(f"{len(message.data)} bytes")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    role, name = sys.argv[1:]
    with ipc.open_channel(PORT, reliable=True) as channel:
        (send if role == "send" else receive)(channel, Path(name))
