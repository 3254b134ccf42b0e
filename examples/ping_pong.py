"""Ping, and wait for a pong with a time-out.

`python examples/ping_pong.py pong` in one shell, `python examples/ping_pong.py ping` in another.
"""

import sys

from reactivex import operators as ops

import rx_multicast_ipc as ipc


def ping() -> int:
    """Ask up to three times, half a second each."""
    with ipc.open_channel() as channel:
        asked = channel.request("ping", lambda m: m.data == b"pong", timeout=0.5).pipe(ops.retry(3))
        try:
            pong = ipc.run(asked)
        except ipc.MessageTimeout as error:
            print(f"nobody answered: {error}")
            return 1
        print(f"pong from {pong.address}:{pong.port}")
        return 0


def pong() -> int:
    """Answer one ping."""
    conversation = ipc.with_socket(
        lambda api: api.broadcast("pong is here").pipe(
            ops.flat_map(lambda _: api.wait_for_message(lambda m: m.data == b"ping", timeout=30)),
            ops.flat_map(lambda m: api.reply(m, "pong")),
        )
    )
    ipc.run(conversation)
    return 0


if __name__ == "__main__":
    sys.exit(pong() if sys.argv[1:] == ["pong"] else ping())
