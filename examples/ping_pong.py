"""Ping, and wait for a pong with a time-out.

`python examples/ping_pong.py pong` in one shell, `python examples/ping_pong.py ping` in another. Ctrl-C ends a pong.
"""

import sys
from contextlib import suppress

import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc


def ping(channel: ipc.Channel) -> rx.Observable[ipc.Message]:
    """Ask, and three times more if nobody answers, half a second each."""
    return channel.request("ping", lambda m: m.data == b"pong", timeout=0.5).pipe(ops.retry(1 + 3))


def pong(channel: ipc.Channel) -> rx.Observable[None]:
    """Answer every ping."""
    answers = channel.messages.pipe(
        ops.filter(lambda m: m.data == b"ping"),
        ops.flat_map(lambda m: channel.reply(m, "pong")),
    )
    return rx.merge(answers, channel.broadcast("pong is here"))


def main() -> int:
    try:
        answer = ipc.run(ipc.with_socket(ping))
    except ipc.MessageTimeout as error:
        print(f"nobody answered: {error}")
        return 1
    assert answer is not None
    print(f"pong from {answer.address}:{answer.port}")
    return 0


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        if sys.argv[1:] == ["pong"]:
            ipc.run(ipc.with_socket(pong))
        else:
            sys.exit(main())
