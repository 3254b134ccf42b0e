"""Announcer bot: tells everyone when somebody joins, until the arena closes."""

import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc


def announce(channel: ipc.Channel, player: str) -> rx.Observable[None]:
    text = f"Player {player} has entered the arena!"
    print(f"announcer -> everyone: {text}", flush=True)
    return channel.broadcast(text)


with ipc.open_channel() as channel:
    announcements = channel.messages.pipe(
        ops.take_while(lambda m: m.text != "arena:closed"),
        ops.filter(lambda m: m.text.startswith("join:")),
        ops.flat_map(lambda m: announce(channel, m.text[5:])),
    )
    ipc.run(rx.merge(announcements, channel.broadcast("ready:announcer")))
