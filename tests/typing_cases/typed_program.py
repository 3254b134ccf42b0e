"""A user's program, which pyright strict and mypy --strict pass: functions in pipelines say what they take.

Nothing here is run.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, assert_type

import msgspec
import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc import Message, Received, Topic, TopicMessage
from rx_multicast_ipc.notebook import collect


class Pose(msgspec.Struct, tag=True):
    x: float
    y: float


class Battery(msgspec.Struct, tag=True):
    percent: float


Telemetry = Pose | Battery


class Centimetres:
    """A codec."""

    def encode(self, value: float, /) -> bytes:
        return str(round(value * 100)).encode()

    def decode(self, data: bytes, /) -> float:
        return int(data) / 100


def is_join(message: Message) -> bool:
    return message.text.startswith("join:")


def name_of(message: Message) -> str:
    return message.text[5:]


def is_high(pose: Pose) -> bool:
    return pose.y > 3


async def look_up(pose: Pose) -> str:
    return f"{pose.x:g}"


def decoding(channel: ipc.Channel) -> None:
    decode = ipc.operators.decode
    assert_type(channel.messages.pipe(decode(Pose)), Observable[Pose])
    assert_type(channel.messages.pipe(decode(Pose | Battery)), Observable[Pose | Battery])
    assert_type(channel.messages.pipe(decode(Telemetry)), Observable[Pose | Battery])
    assert_type(channel.messages.pipe(decode(Pose | None)), Observable[Pose | None])
    assert_type(channel.messages.pipe(decode(dict[str, float])), Observable[dict[str, float]])
    assert_type(channel.messages.pipe(decode(list[Pose | Battery], format="msgpack")), Observable[list[Pose | Battery]])
    assert_type(channel.messages.pipe(decode(Annotated[int, msgspec.Meta(ge=0)])), Observable[int])
    assert_type(channel.messages.pipe(decode(Literal["on", "off"])), Observable[Literal["on", "off"]])
    assert_type(channel.messages.pipe(decode(Pose | Battery, with_message=True)), Observable[Received[Pose | Battery]])
    received = ipc.run(channel.messages.pipe(decode(Pose, with_message=True)))
    assert_type(received.value, Pose)
    assert_type(received.message, Message)
    message = received.message
    assert_type(message.decode(Pose), Pose)
    assert_type(message.decode(Pose | Battery), Pose | Battery)
    assert_type(message.decode(list[int], format="msgpack"), list[int])
    assert_type(message.json(), Any)


def topics(channel: ipc.Channel) -> None:
    pose = channel.topic("robot/pose", Pose)
    assert_type(pose, Topic[Pose])
    assert_type(channel.topic("robot/telemetry", Pose | Battery), Topic[Pose | Battery])
    assert_type(channel.topic("robot/telemetry", Telemetry, "msgpack"), Topic[Pose | Battery])
    assert_type(channel.topic("robot/height", float, format=Centimetres()), Topic[float])
    assert_type(channel.topic("robot/any"), Topic[Any])
    assert_type(pose.publish(Pose(1, 2)), Observable[None])
    assert_type(pose.encode(Pose(1, 2)), bytes)
    assert_type(ipc.run(pose.stream), Pose)
    assert_type(ipc.run(pose.received).value, Pose)
    assert_type(ipc.run(channel.topics("robot/*")), TopicMessage)
    assert_type(ipc.run(channel.topics()).decode(Pose | Battery), Pose | Battery)
    high = pose.stream.pipe(ops.filter(is_high), ipc.operators.map_async(look_up, max_concurrent=4))
    assert_type(high, Observable[str])


def sending(channel: ipc.Channel, message: Message) -> None:
    assert_type(channel.send("x", message.sender), Observable[None])
    assert_type(channel.send("x", 61088, "127.0.0.1"), Observable[None])
    assert_type(ipc.send("x", message.sender), Observable[None])
    assert_type(ipc.send("x", 61088, "127.0.0.1"), Observable[None])
    readings = rx.of(Pose(1, 2), Pose(3, 4)).pipe(ipc.operators.encode())
    assert_type(ipc.run(channel.broadcast_all(readings, rate=10)), int)


def patterns(channel: ipc.Channel) -> None:
    names = channel.messages.pipe(ops.filter(is_join), ops.map(name_of), ops.take(1))
    assert_type(names, Observable[str])
    assert_type(channel.request("who?", is_join, timeout=1), Observable[Message])
    assert_type(ipc.run(channel.request_all("who?", is_join, timeout=1).pipe(ops.to_list())), list[Message])
    assert_type(channel.respond(is_join, name_of), Observable[Message])
    buffered = channel.messages.pipe(ipc.operators.on_backpressure_buffer(100, "drop_oldest"))
    assert_type(buffered, Observable[Message])
    buffered = channel.messages.pipe(ipc.operators.on_backpressure_buffer(100, ipc.Overflow.ERROR))
    retried = channel.broadcast("x").pipe(ipc.operators.retry_with_backoff(8, first=0.1, longest=5))
    assert_type(retried, Observable[None])
    assert_type(collect(channel, 1), list[Message])
    assert_type(collect(channel.topic("robot/pose", Pose).stream, 1), list[Pose])


async def on_asyncio() -> None:
    async with ipc.open_channel() as channel:
        assert_type(await channel.wait_for_message(timeout=5), Message)
        async for message in channel.messages:
            assert_type(message, Message)
        async for message in ipc.messages():
            assert_type(message, Message)
        async for pose in channel.topic("robot/pose", Pose).stream:
            assert_type(pose, Pose)
        async for batch in ipc.to_async_iterable(channel.batches, overflow="error"):
            assert_type(batch, list[Message])
