"""The same user's pipelines with lambdas, which pyright strict passes. mypy infers no lambda in ``pipe``.

Nothing here is run.
"""

from __future__ import annotations

from typing import assert_type

import msgspec
from reactivex import Observable
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc import Message


class Pose(msgspec.Struct, tag=True):
    x: float
    y: float


class Battery(msgspec.Struct, tag=True):
    percent: float


def pipelines(channel: ipc.Channel) -> None:
    joins = ipc.messages().pipe(ops.filter(lambda m: m.text.startswith("join:")), ops.take(1))
    assert_type(joins, Observable[Message])
    assert_type(joins.pipe(ops.map(lambda m: m.text[5:])), Observable[str])
    welcome = channel.messages.pipe(
        ops.filter(lambda m: m.text.startswith("join:")),
        ops.flat_map(lambda m: channel.reply(m, f"Welcome {m.text[5:]}!")),
    )
    assert_type(welcome, Observable[None])
    low = channel.messages.pipe(
        ipc.operators.decode(Pose | Battery),
        ops.filter(lambda value: isinstance(value, Battery) and value.percent < 20),
        ops.map(lambda value: value.percent if isinstance(value, Battery) else 0.0),
    )
    assert_type(low, Observable[float])
    askers = channel.messages.pipe(
        ipc.operators.decode(Pose | Battery, with_message=True),
        ops.filter(lambda received: isinstance(received.value, Pose)),
        ops.map(lambda received: received.message.sender),
    )
    assert_type(askers, Observable[tuple[str, int]])
    high = channel.topic("robot/pose", Pose).stream.pipe(ops.filter(lambda p: p.y > 3), ops.map(lambda p: p.x))
    assert_type(high, Observable[float])
    named = channel.topics("robot/*").pipe(ops.map(lambda found: found.topic), ops.distinct_until_changed())
    assert_type(named, Observable[str])
    sent = channel.topic("robot/pose", Pose).stream.pipe(
        ops.flat_map(lambda pose: channel.topic("robot/x", float).publish(pose.x))
    )
    assert_type(sent, Observable[None])
