"""Welcome bot: greets whoever joins, directly: nobody else hears it. Until the arena closes."""

from contextlib import suppress

import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc


def welcome(channel: ipc.Channel) -> rx.Observable[None]:
    def greet(join: ipc.Message) -> rx.Observable[None]:
        player = join.text[5:]
        print(f"welcome -> {player} alone: Welcome {player}!", flush=True)
        return channel.reply(join, f"Welcome {player}!")

    greetings = channel.messages.pipe(
        ops.take_while(lambda m: m.text != "arena:closed"),
        ops.filter(lambda m: m.text.startswith("join:")),
        ops.flat_map(greet),
    )
    return rx.merge(greetings, channel.broadcast("ready:welcome"))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        ipc.run(ipc.with_socket(welcome))
