"""A player joins, is welcomed directly and announced to everyone: `python examples/player.py Ann`."""

import sys
from contextlib import suppress

import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc


def player(channel: ipc.Channel, name: str) -> rx.Observable[list[str]]:
    """The welcome and the announcement; joins anew, ten times at most, until both were heard."""
    welcomed = channel.request(f"join:{name}", lambda m: m.direct, timeout=5)
    # It may have come before the welcome: what a request does not take is kept for the next wait.
    announced = channel.wait_for_message(lambda m: m.text == f"Player {name} has entered the arena!", timeout=5)
    return rx.concat(welcomed, announced).pipe(ops.map(lambda m: m.text), ops.to_list(), ops.retry(10))


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "Ann"
    with suppress(KeyboardInterrupt), ipc.open_channel() as channel:
        print(f"{name} -> everyone: join:{name}", flush=True)
        alone, with_everyone = ipc.run(player(channel, name))
        print(f"{name} hears, alone: {alone}", flush=True)
        print(f"{name} hears, with everyone: {with_everyone}", flush=True)
