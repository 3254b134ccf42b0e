"""Logger bot: prints what everyone says to the group, until the arena closes."""

from contextlib import suppress

import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc


def logger(channel: ipc.Channel) -> rx.Observable[str]:
    def write(message: ipc.Message) -> str:
        line = f"logger: {message.address}:{message.port} said {message.text!r}"
        print(line, flush=True)
        return line

    lines = channel.messages.pipe(
        ops.take_while(lambda m: m.text != "arena:closed"),
        ops.map(write),
    )
    return rx.merge(lines, channel.broadcast("ready:logger").pipe(ops.ignore_elements()))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        ipc.run(ipc.with_socket(logger, echo=False))
