"""Typed JSON: `python examples/sensor.py watch` in one shell, `python examples/sensor.py publish` in another."""

import math
import sys
from contextlib import suppress

import msgspec
import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc

PORT = 61091
READINGS = 20


class Reading(msgspec.Struct):
    """One measurement."""

    sensor: str
    celsius: float


def publish() -> None:
    """Twenty readings, a hundred a second, then the end."""
    readings = rx.from_iterable(Reading("roof", round(20 + math.sin(i), 2)) for i in range(READINGS))
    with ipc.open_channel(PORT) as channel:
        ipc.run(channel.broadcast_all(readings.pipe(ipc.operators.encode()), rate=100))
        ipc.run(channel.broadcast("end"))


def watch() -> None:
    """The warmest reading so far, whenever it changes; what is no Reading is skipped."""
    with ipc.open_channel(PORT) as channel:
        warmest = channel.messages.pipe(
            ops.filter(lambda m: m.data != b"end"),
            ipc.operators.decode(Reading),
            ops.map(lambda reading: reading.celsius),
            ops.scan(max),
            ops.distinct_until_changed(),
        )
        warmest.subscribe(lambda celsius: print(f"warmest so far: {celsius} °C", flush=True))
        print("watching", flush=True)
        ipc.run(channel.wait_for_message(lambda m: m.data == b"end"))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        if sys.argv[1:] == ["watch"]:
            watch()
        else:
            publish()
