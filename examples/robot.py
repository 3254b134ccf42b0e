"""Typed topics, as in LCM: `python examples/robot.py watch` in one shell, `python examples/robot.py drive` in another.

Log it with `rx-multicast-ipc record`, and look at it with `rx-multicast-ipc topics --port 61094`.
"""

import sys

import msgspec
import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc

PORT = 61094


class Pose(msgspec.Struct):
    """Where it is, in metres."""

    x: float
    y: float


class Battery(msgspec.Struct):
    """What it has left."""

    percent: float


class Command(msgspec.Struct):
    """What it is to do."""

    action: str


def drive(channel: ipc.Channel) -> None:
    """Drive, and tell where and with how much power, until somebody says stop."""
    pose, battery = channel.topic("robot/pose", Pose), channel.topic("robot/battery", Battery)
    stop = channel.topic("robot/command", Command).stream.pipe(ops.filter(lambda command: command.action == "stop"))
    ticks = rx.interval(0.01, scheduler=channel.scheduler)
    poses = ticks.pipe(ops.map(lambda i: Pose(i / 10, 0)), ops.flat_map(pose.publish))
    levels = ticks.pipe(ops.map(lambda i: Battery(100 - 5 * i)), ops.flat_map(battery.publish))
    ipc.run(rx.merge(poses, levels).pipe(ops.take_until(stop), ops.count()))
    print("stopped")


def watch(channel: ipc.Channel) -> None:
    """Say stop when the battery is low."""
    channel.topics("robot/*").pipe(ops.map(lambda found: found.topic), ops.distinct()).subscribe(print)
    low = channel.topic("robot/battery", Battery).stream.pipe(ops.filter(lambda battery: battery.percent < 20))
    command = channel.topic("robot/command", Command)
    print("watching", flush=True)
    ipc.run(low.pipe(ops.take(1), ops.flat_map(lambda _: command.publish(Command("stop")))))


if __name__ == "__main__":
    with ipc.open_channel(PORT) as channel:
        (watch if sys.argv[1:] == ["watch"] else drive)(channel)
