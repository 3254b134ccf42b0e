"""Welcome bot: greets whoever joins, directly: nobody else hears it. Until the arena closes."""

import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc


def welcome(channel: ipc.Channel, join: ipc.Message) -> rx.Observable[None]:
    player = join.text[5:]
    print(f"welcome -> {player} alone: Welcome {player}!", flush=True)
    return channel.reply(join, f"Welcome {player}!")


with ipc.open_channel() as channel:
    greetings = channel.messages.pipe(
        ops.take_while(lambda m: m.text != "arena:closed"),
        ops.filter(lambda m: m.text.startswith("join:")),
        ops.flat_map(lambda m: welcome(channel, m)),
    )
    ipc.run(rx.merge(greetings, channel.broadcast("ready:welcome")))
