"""A setting that all share, and who comes late gets: `python examples/shared_setting.py` in several shells.

A line `volume 7` sets it, everywhere. It stays when who set it has left. Ctrl-D leaves.
"""

import sys
from contextlib import suppress

import msgspec

import rx_multicast_ipc as ipc


class Setting(msgspec.Struct):
    name: str
    value: int


def share() -> None:
    with ipc.open_channel(61094) as channel:
        setting = channel.latest("setting", Setting)
        setting.subscribe(lambda it: print(f"{it.name} is {it.value}", flush=True))
        print("ready", flush=True)
        for line in sys.stdin:
            name, _, digits = line.strip().partition(" ")
            if name and digits.isdecimal():
                ipc.run(setting.set(Setting(name, int(digits))))
            else:
                print("write a name and a whole number, such as: volume 7", flush=True)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        share()
