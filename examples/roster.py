"""Who is here: `python examples/roster.py Ann` in one shell, `... Bob` in another, and so on. Ctrl-D leaves."""

import sys
from contextlib import suppress

import rx_multicast_ipc as ipc


def show(event: ipc.ChannelEvent) -> None:
    match event:
        case ipc.Joined(member):
            print(f"{member.name} came", flush=True)
        case ipc.Left(member, reason):
            print(f"{member.name} left: {reason}", flush=True)
        case _:
            pass


def roster(name: str, interval: float) -> None:
    with ipc.open_channel(61093, presence=ipc.Presence(name, interval=interval)) as channel:
        channel.events.subscribe(show)
        channel.members.subscribe(
            lambda members: print("here:", ", ".join(sorted(member.name for member in members)), flush=True)
        )
        sys.stdin.read()


if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "Ann"
    interval = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    with suppress(KeyboardInterrupt):
        roster(name, interval)
