"""Say hello to everyone in the group, and hear it: `python examples/hello.py`."""

from contextlib import suppress

from reactivex import operators as ops

import rx_multicast_ipc as ipc

with suppress(KeyboardInterrupt), ipc.open_channel() as channel:
    hello = channel.broadcast("hello").pipe(ops.flat_map(lambda _: channel.wait_for_message(timeout=5)))
    message = ipc.run(hello)
    print(f"{message.text!r} from {message.address}, port {message.port}")
