"""A player joins, is welcomed directly and announced to everyone: `python examples/player.py Ann`."""

import sys

from reactivex import operators as ops

import rx_multicast_ipc as ipc

name = sys.argv[1] if len(sys.argv) > 1 else "Ann"

with ipc.open_channel() as channel:
    print(f"{name} -> everyone: join:{name}", flush=True)
    join = channel.request(f"join:{name}", lambda m: m.direct, timeout=5).pipe(ops.retry(3))
    print(f"{name} hears, alone: {ipc.run(join).text}", flush=True)
    # It may have come before the welcome: what a request does not take is kept for the next wait.
    announced = channel.wait_for_message(lambda m: m.text == f"Player {name} has entered the arena!", timeout=5)
    print(f"{name} hears, with everyone: {ipc.run(announced).text}", flush=True)
