"""Announcer bot: tells everyone when somebody joins, until the arena closes."""

from contextlib import suppress

import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc


def announcer(channel: ipc.Channel) -> rx.Observable[None]:
    def announce(player: str) -> rx.Observable[None]:
        text = f"Player {player} has entered the arena!"
        print(f"announcer -> everyone: {text}", flush=True)
        return channel.broadcast(text)

    announcements = channel.messages.pipe(
        ops.take_while(lambda m: m.text != "arena:closed"),
        ops.filter(lambda m: m.text.startswith("join:")),
        ops.flat_map(lambda m: announce(m.text[5:])),
    )
    return rx.merge(announcements, channel.broadcast("ready:announcer"))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        ipc.run(ipc.with_socket(announcer))
