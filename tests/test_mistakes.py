"""Every mistake has its own error, at once, that says what to do next."""

# Mistakes are made here on purpose:
# pyright: reportArgumentType=false, reportCallIssue=false, reportAttributeAccessIssue=false
# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnusedCoroutine=false

from __future__ import annotations

import asyncio
import copy
import functools
import pickle
import re
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import msgspec
import pytest
import reactivex as rx
from reactivex import operators as ops
from reactivex.subject import Subject

import rx_multicast_ipc as ipc
from rx_multicast_ipc import capture
from rx_multicast_ipc.notebook import collect, marbles, to_frame
from rx_multicast_ipc.notebook.observable_argument import observable_of
from rx_multicast_ipc.testing import FaultyNetwork, Marbles, VirtualClock, VirtualNetwork

from .helpers import finish, needs_linux, python


@pytest.mark.parametrize("port", [0, -1, 65_536, 70_000])
def test_a_port_out_of_range(port: int) -> None:
    with pytest.raises(ipc.InvalidPort, match=f"from 1 to 65535, not {port}"):
        ipc.open_channel(port)


@pytest.mark.parametrize("port", ["x", "61088", b"", 1.5, True])
def test_a_port_that_is_no_number(port: Any) -> None:
    with pytest.raises(ipc.InvalidPort, match="whole number"):
        ipc.open_channel(port)


def test_an_address_in_the_place_of_the_port() -> None:
    with pytest.raises(ipc.InvalidPort, match="the port comes first, then the address"):
        ipc.open_channel("239.1.2.3", 5000)
    with pytest.raises(ipc.InvalidPort, match=r"int\(\) makes a number"):
        ipc.open_channel("5000")


@pytest.mark.parametrize(
    ("group", "reason"),
    [
        ("10.0.0.1", "10.0.0.1 is not a multicast address; a group is"),
        ("nonsense", "'nonsense' is no IP address; a group is"),
        ("", "no IP address"),
        (3758096901, "no IP address"),
        ("::1", "not a multicast address"),
        ("ff02::1:7", 'host-only multicast needs IPv4; use an IPv4 group such as "224.0.2.1"'),
        ("ff02::1:7%eth0", 'pass interface="eth0"'),
    ],
)
def test_a_group_that_is_none(group: Any, reason: str) -> None:
    with pytest.raises(ipc.InvalidGroup, match=reason):
        ipc.open_channel(61088, group)


@pytest.mark.parametrize("interface", ["nosuch0", "203.0.113.9", "fe80::1%nosuch0"])
def test_an_interface_that_is_not_here(interface: str) -> None:
    group = "ff02::1:7" if ":" in interface else "224.0.2.1"
    with pytest.raises(ipc.InvalidInterface, match='there are "loopback", "default"'):
        ipc.open_channel(61088, group, interface=interface)


@pytest.mark.parametrize("interface", ["", 7, [], ["eth0", ""], [None]])
def test_an_interface_that_is_no_name(interface: Any) -> None:
    with pytest.raises(ipc.InvalidInterface, match='it may be "loopback", "default", "all", a name'):
        ipc.open_channel(61088, interface=interface)


@pytest.mark.parametrize(("interface", "group"), [("0.0.0.0", "224.0.2.1"), ("::", "ff02::1:7")])
def test_any_address_is_no_interface(interface: str, group: str) -> None:
    with pytest.raises(ipc.InvalidInterface, match=r'"default" is .*, "all" every one, and "loopback"'):
        ipc.open_channel(61088, group, interface=interface)


@pytest.mark.parametrize("interface", ["loopback", "all"])
def test_an_interface_that_stands_alone(interface: str) -> None:
    with pytest.raises(ipc.InvalidInterface, match="stands alone"):
        ipc.open_channel(61088, interface=["lo", interface])


@pytest.mark.parametrize(
    ("sources", "reason"),
    [
        ("10.0.0.2", "a list of senders"),
        (["bot"], "one sender's numeric address"),
        (["224.0.0.1"], "one sender's numeric address"),
        (["fe80::1"], "IPv6 address, but"),
        ([7], "one sender's numeric address"),
    ],
)
def test_a_source_that_is_none(sources: Any, reason: str) -> None:
    with pytest.raises(ipc.InvalidAddress, match=reason):
        ipc.open_channel(61088, sources=sources)


def test_more_sources_than_systems_take() -> None:
    with pytest.raises(ipc.InvalidOption, match="11 sources are more than the 10"):
        ipc.open_channel(61088, sources=[f"10.0.0.{number}" for number in range(11)])


def test_an_interface_of_the_other_ip_version() -> None:
    with pytest.raises(ipc.InvalidInterface, match=r"IPv6 address, but 224\.0\.2\.1 is an IPv4 group"):
        ipc.open_channel(61088, interface="fe80::1")


def test_a_link_local_group_needs_to_know_its_link() -> None:
    with pytest.raises(ipc.InvalidGroup, match="name the interface"):
        ipc.open_channel(61088, "ff02::1:7", interface="default")


@pytest.mark.parametrize("ttl", [-1, 256, "1", 1.5, True])
def test_a_ttl_that_is_none(ttl: Any) -> None:
    with pytest.raises(ipc.InvalidTTL, match="0 to 255"):
        ipc.open_channel(61088, interface="default", ttl=ttl)


def test_a_ttl_that_would_leave_a_loopback_channels_machine() -> None:
    with pytest.raises(ipc.InvalidTTL, match="never does"):
        ipc.open_channel(61088, ttl=1)
    ipc.open_channel(61088, ttl=0).close()


@pytest.mark.parametrize("option", ["receive_buffer", "backlog"])
@pytest.mark.parametrize("value", [0, -1, "x", 1.5, True])
def test_a_size_that_is_none(option: str, value: Any) -> None:
    with pytest.raises(ipc.InvalidOption, match=option):
        ipc.open_channel(61088, **{option: value})


def test_a_receive_buffer_that_no_system_can_be_asked_for() -> None:
    with pytest.raises(ipc.InvalidOption, match="receive_buffer is a number of bytes, 2147483647 at most"):
        ipc.open_channel(61088, receive_buffer=2**31)


@pytest.mark.parametrize("data", [5, None, 1.5, ["x"], {"a": 1}, object()])
def test_a_payload_that_is_neither_text_nor_bytes(channel: ipc.Channel, data: Any) -> None:
    sends: tuple[Callable[[Any], object], ...] = (
        channel.broadcast,
        lambda x: channel.send(x, 1, "127.0.0.1"),
        ipc.broadcast,
    )
    for send in sends:
        with pytest.raises(ipc.InvalidPayload, match=f"not {type(data).__name__}; encode it first"):
            send(data)
    assert channel.statistics.sent == 0


def test_text_that_utf8_cannot_encode(channel: ipc.Channel) -> None:
    with pytest.raises(ipc.InvalidPayload, match="send bytes instead"):
        channel.broadcast("\ud800")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("192.0.2.7", 'open it with interface="default"'),
        ("8.8.8.8", "not on this machine's loopback"),
        ("::1", "IPv6 address, but this channel's group is IPv4"),
        (None, "host name or a numeric address"),
        (5, "host name or a numeric address"),
    ],
)
def test_a_destination_that_a_loopback_channel_may_not_send_to(channel: ipc.Channel, address: Any, reason: str) -> None:
    with pytest.raises(ipc.InvalidAddress, match=reason):
        channel.send("x", 61088, address)


def test_a_name_that_stands_for_another_machine_is_no_destination_on_loopback(
    channel: ipc.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(*_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("192.0.2.7", 0))]

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    with pytest.raises(ipc.InvalidAddress, match="not on this machine's loopback"):
        ipc.run(channel.send("x", 61088, "elsewhere.example"), timeout=60)
    assert channel.statistics.sent == 0


def test_a_reply_to_who_gave_no_port(channel: ipc.Channel) -> None:
    with pytest.raises(ipc.InvalidPort, match="cannot be answered"):
        channel.reply(ipc.Message(b"", port=0), "x")


def test_a_port_that_another_program_holds_alone(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        if sys.platform == "win32":  # where it may be taken from who does not say this
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        holder.bind(("", port))
        with pytest.raises(
            ipc.PortInUse, match=f"holds port {port} (without sharing|for itself).*another port"
        ) as raised:
            ipc.open_channel(port)
    assert isinstance(raised.value.__cause__, OSError)


def test_every_error_is_a_multicast_error_and_is_drawn_in_the_tree() -> None:
    from rx_multicast_ipc import errors

    assert errors.__doc__ is not None
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, Exception) and kind is not ipc.NeverSubscribedWarning:
            assert issubclass(kind, ipc.MulticastError), name
            assert name in errors.__doc__
            assert getattr(ipc, name) is kind


@pytest.mark.parametrize(
    "use",
    [
        lambda: ipc.messages(0),
        lambda: ipc.broadcast("x", 0),
        lambda: ipc.send("x", 0, "127.0.0.1"),
        lambda: ipc.with_socket(lambda api: api.messages, 0),
    ],
)
def test_mistakes_are_told_by_the_call_not_by_the_subscription(use: Callable[[], object]) -> None:
    with pytest.raises(ipc.InvalidPort):
        use()


async def async_function(*_: object) -> bool:
    return True


async def async_generator(*_: object) -> AsyncIterator[bool]:
    yield True


class AsyncCallable:
    async def __call__(self, *_: object) -> bool:
        return True


OPEN = ipc.operators

FUNCTIONS: dict[str, tuple[Callable[[ipc.Channel, Any], object], int]] = {
    "wait_for_message": (lambda channel, f: channel.wait_for_message(f, timeout=5), 1),
    "request": (lambda channel, f: channel.request("x", f, timeout=5), 1),
    "operators.wait_for_message": (lambda _, f: OPEN.wait_for_message(f, timeout=5), 1),
    "with_socket": (lambda _, f: ipc.with_socket(f), 1),
    "repeat_while, the condition": (lambda _, f: ipc.repeat_while(f, lambda n: n, 0), 1),
    "repeat_while, the action": (lambda _, f: ipc.repeat_while(lambda n: n, f, 0), 1),
    "repeat_for": (lambda _, f: ipc.repeat_for(3, f), 0),
    "on_overflow": (lambda _, f: OPEN.on_backpressure_buffer(10, on_overflow=f), 1),
    "encode": (lambda _, f: OPEN.encode(f), 1),
    "set_unhandled_error_hook": (lambda _, f: ipc.set_unhandled_error_hook(f), 1),
    "on_progress": (lambda _, f: capture.read("x.pcap", on_progress=f), 1),
    "messages.subscribe": (lambda channel, f: channel.messages.subscribe(f), 1),
    "messages.subscribe, on_error": (lambda channel, f: channel.messages.subscribe(print, f), 1),
    "messages.subscribe, on_completed": (lambda channel, f: channel.messages.subscribe(print, print, f), 0),
}
"""What takes a function, and how many arguments it is called with."""

EACH = pytest.mark.parametrize(("use", "count"), FUNCTIONS.values(), ids=FUNCTIONS)


@EACH
@pytest.mark.parametrize("value", [3, "join", [], {"a": 1}, b"x", ipc.Message(b"x")], ids=repr)
def test_what_is_no_function_is_refused_at_once(channel: ipc.Channel, use: Any, count: int, value: Any) -> None:
    with pytest.raises(ipc.InvalidOption, match=r"is a function of .*, not .*; "):
        use(channel, value)


@EACH
@pytest.mark.parametrize(
    "value",
    [async_function, async_generator, AsyncCallable(), functools.partial(async_function, 1), AsyncMock()],
    ids=lambda value: type(value).__name__,
)
def test_an_async_function_is_refused_and_told_where_to_await(
    channel: ipc.Channel, use: Any, count: int, value: Any
) -> None:
    if hasattr(value, "on_next"):  # a mock passes for an observer
        del value.on_next
    with pytest.raises(ipc.InvalidOption, match=r"is a plain function .* an async one.*to_async_iterable"):
        use(channel, value)


@EACH
def test_a_function_of_the_wrong_arity_is_refused_and_the_right_one_is_said(
    channel: ipc.Channel, use: Any, count: int
) -> None:
    class Bot:
        def method(self, one: Any, two: Any, three: Any) -> None: ...

    wrong: list[Any] = [
        lambda one, two, three: None,
        Bot().method,
        functools.partial(lambda one, two, three: None),
        lambda *, needed: None,
    ]
    if count:
        wrong.append(lambda: None)
    for function in wrong:
        with pytest.raises(ipc.InvalidOption, match=r"is called with .*, which .* cannot be"):
            use(channel, function)


@EACH
@pytest.mark.filterwarnings("ignore::rx_multicast_ipc.NeverSubscribedWarning")
def test_what_can_be_called_so_is_taken_whatever_it_is(
    channel: ipc.Channel, use: Any, count: int, unhandled: list[BaseException]
) -> None:
    class Called:
        def __call__(self, *given: Any) -> Any:
            return rx.empty()

    @functools.wraps(lambda one, two, three: None)
    def decorated(*given: Any) -> Any:
        return rx.empty()

    right: list[Any] = [decorated, Called(), Called().__call__, Mock(), print, lambda *_, **__: None]
    right.append(functools.partial(lambda three, *given: None, 3))
    if count:
        right += [lambda one: None, lambda one, two=2: None, str, [].append, operator_of_c()]
    for function in right:
        use(channel, function)
    ipc.set_unhandled_error_hook(unhandled.append)


def operator_of_c() -> Any:
    import operator

    return operator.attrgetter("text")


def test_the_npm_packages_filter_gets_a_hint(channel: ipc.Channel) -> None:
    with pytest.raises(ipc.InvalidOption, match=r"\(message, sender\) cannot be; .* m\.address, m\.port"):
        channel.wait_for_message(lambda message, sender: True)


def test_a_timeout_in_the_place_of_the_predicate_gets_a_hint(channel: ipc.Channel) -> None:
    with pytest.raises(ipc.InvalidOption, match="timeout=5 waits so many seconds"):
        channel.wait_for_message(5)


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        (lambda f: ipc.with_socket(8080, f), r"with_socket\(lambda api: \.\.\., 8080\)"),
        (lambda f: ipc.broadcast("x", f), "no callbacks: give what the call returns to run"),
        (lambda f: ipc.send("x", f, "127.0.0.1"), "no callbacks"),
        (lambda f: ipc.repeat_for(f, 3), "the count comes first"),
    ],
)
def test_a_callback_in_the_wrong_place_gets_a_hint(use: Callable[[Any], object], reason: str) -> None:
    with pytest.raises(ipc.InvalidArgument, match=reason):
        use(lambda *_: None)


class Reading(msgspec.Struct):
    celsius: float


OBSERVABLES: dict[str, Callable[[Any], object]] = {
    "run": ipc.run,
    "to_async_iterable": ipc.to_async_iterable,
    "decode": OPEN.decode(Reading),
    "encode": OPEN.encode(),
    "wait_for_message": OPEN.wait_for_message(),
    "on_backpressure_buffer": OPEN.on_backpressure_buffer(10),
    "retry_with_backoff": OPEN.retry_with_backoff(),
    "capture.write": capture.write("x.pcap"),
    "with_socket": lambda value: ipc.run(ipc.with_socket(lambda api: value), timeout=5),
}


@pytest.mark.parametrize("use", OBSERVABLES.values(), ids=OBSERVABLES)
@pytest.mark.parametrize("value", [3, "x", None, [1], asyncio.Future], ids=repr)
def test_what_is_no_observable_is_refused_at_once(use: Callable[[Any], object], value: Any) -> None:
    with pytest.raises(ipc.InvalidOption, match=r"an Observable, not "):
        use(value)


@pytest.mark.parametrize("use", OBSERVABLES.values(), ids=OBSERVABLES)
def test_what_was_perhaps_meant_is_said(channel: ipc.Channel, use: Callable[[Any], object]) -> None:
    for value, hint in (
        (channel, r"did you mean its \.messages\?"),
        (channel.broadcast, "a function: call it"),
        (async_function, "an async function, which is awaited"),
        (async_function(), "a coroutine, which is awaited"),
    ):
        with pytest.raises(ipc.InvalidOption, match=hint):
            use(value)


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        (
            lambda: OPEN.on_backpressure_buffer(10, "drop"),
            r"Overflow\.DROP_OLDEST, Overflow\.DROP_LATEST, Overflow\.ERROR",
        ),
        (lambda: ipc.to_async_iterable(rx.never(), overflow="drop"), r"Overflow\.DROP_OLDEST, Overflow\.DROP_LATEST"),
        (lambda: ipc.Channel(61088), r"open_channel\(port, group\), not of 61088"),
        (lambda: OPEN.decode("json"), "a type that msgspec knows, such as a Struct"),
        (lambda: OPEN.decode(Reading(1.0)), "a type that msgspec knows, such as a Struct"),
        (lambda: OPEN.decode(lambda one, two: None), "cannot be"),
        (lambda: OPEN.decode(int, on_error=lambda: None), "a DecodeFailed"),
        (lambda: rx.of(1).pipe(OPEN.encode), r"values\.pipe\(encode\(\)\)"),
        (lambda: VirtualNetwork("x"), "a clock of virtual time"),
        (lambda: Marbles("x"), "a clock of virtual time"),
        (lambda: collect([1], 5), "a source is a Channel or an Observable"),
        (lambda: collect(rx.of(1), "5"), "a number of seconds"),
        (lambda: marbles(rx.of(1)), "needs seconds"),
        (lambda: marbles("a-b|", 5), "draws a Channel, an Observable, a Recording"),
        (lambda: observable_of(print), "a function: call it"),
        (lambda: to_frame(ipc.Message(b"x")), "a list of Message records"),
        (lambda: to_frame(5), "a list of Message records"),
        (lambda: to_frame(rx.of(1)), r"to_frame\(collect\(channel, 5\)\)"),
    ],
)
def test_each_other_mistake_says_what_to_write_instead(use: Callable[[], object], reason: str) -> None:
    with pytest.raises(ipc.InvalidOption, match=reason):
        use()


def test_a_frame_is_made_of_messages_and_not_of_what_has_yet_to_come(channel: ipc.Channel) -> None:
    for source in (channel, channel.messages, channel.messages.pipe(ops.skip(1))):
        with pytest.raises(ipc.InvalidOption, match="messages that have come"):
            to_frame(source)


@pytest.mark.parametrize("source", [{"a": 1}, b"x", bytearray(b"x"), memoryview(b"x"), "x", 5, None])
def test_broadcast_all_takes_payloads_and_not_one(channel: ipc.Channel, source: Any) -> None:
    with pytest.raises(ipc.InvalidPayload, match=re.escape("broadcast() sends one")):
        channel.broadcast_all(source)


def test_a_closed_channel_is_not_entered(port: int) -> None:
    channel = ipc.open_channel(port)
    channel.close()
    with pytest.raises(ipc.ChannelClosed), channel:
        pytest.fail("it was entered")

    async def enter() -> None:
        async with channel:
            pytest.fail("it was entered")

    with pytest.raises(ipc.ChannelClosed):
        asyncio.run(enter())


STREAMS: dict[str, Callable[[ipc.Channel], Any]] = {
    "messages": lambda channel: channel.messages,
    "batches": lambda channel: channel.batches,
    "events": lambda channel: channel.events,
    "shared": lambda _: ipc.messages(),
    "a wait": lambda channel: channel.wait_for_message(),
    "a request": lambda channel: channel.request("x", lambda m: True),
    "a transfer": lambda channel: channel.broadcast_all(["x"]),
    "unbind": lambda channel: channel.unbind(),
    "with_socket": lambda _: ipc.with_socket(lambda api: api.messages),
    "repeat_for": lambda _: ipc.repeat_for(1, print),
    "repeat_while": lambda _: ipc.repeat_while(bool, str, 1),
    "playback": lambda _: capture.read("x.pcap"),
    "an operator of ours": lambda channel: channel.messages.pipe(OPEN.decode(int)),
    "an operator of ours, of others": lambda _: rx.of(ipc.Message(b"1")).pipe(OPEN.decode(int)),
    "piped": lambda channel: channel.messages.pipe(ops.filter(bool)),
    "piped twice": lambda channel: channel.messages.pipe(ops.map(str)).pipe(ops.map(len), ops.skip(1)),
    "fluent": lambda channel: channel.messages.filter(bool).map(str),
    "a send, piped": lambda channel: subscribed(channel.broadcast("x")).pipe(ops.retry(2)),
}


def subscribed(send: rx.Observable[None]) -> rx.Observable[None]:
    send.subscribe()
    return send


def loop(stream: Any) -> None:
    for _ in stream:
        pytest.fail("it was looped over")


LOOPS: dict[str, Callable[[Any], object]] = {
    "for": loop,
    "list": list,
    "tuple": tuple,
    "set": set,
    "sum": sum,
    "in": lambda stream: 5 in stream,
    "star": lambda stream: [*stream],
    "unpacking": lambda stream: (lambda one, two: None)(*stream),
    "next": lambda stream: next(iter(stream)),
    "zip": lambda stream: list(zip(stream, [1], strict=False)),
    "sorted": sorted,
    "comprehension": lambda stream: [one for one in stream],  # noqa: C416
    "enumerate": lambda stream: list(enumerate(stream)),
    "max": max,
}


@pytest.mark.parametrize("way", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_a_stream_cannot_be_looped_over(
    channel: ipc.Channel, stream: Callable[[ipc.Channel], Any], way: Callable[[Any], object]
) -> None:
    made = stream(channel)
    made._subscribed = True  # it is thrown away on purpose
    with pytest.raises(ipc.NotIterable, match=r"collect\(stream, 5\).*ops\.to_list\(\).*to_async_iterable\(stream\)"):
        way(made)


@pytest.mark.parametrize("name", ["a wait", "a transfer", "playback", "an operator of ours", "piped", "fluent"])
def test_async_for_over_a_pipeline_says_what_leads_to_it(channel: ipc.Channel, name: str) -> None:
    made = STREAMS[name](channel)
    made._subscribed = True  # it is thrown away on purpose
    with pytest.raises(ipc.NotIterable, match=r"async for item in to_async_iterable\(stream\)"):
        aiter(made)


def test_what_reactivex_gives_a_stream_besides_is_still_there(channel: ipc.Channel) -> None:
    texts = channel.messages.pipe(ops.map(lambda m: m.text))
    seen: list[object] = []
    texts[1:3].subscribe(seen.append)
    texts[0].subscribe(seen.append)
    ipc.run(channel.broadcast_all(["a", "b", "c", "d"]))
    ipc.run(channel.wait_for_message(lambda m: m.text == "d", timeout=60))
    assert seen == ["a", "b", "c"]


def test_an_observable_of_others_is_left_as_it_is() -> None:
    def numbers() -> Iterator[int]:
        yield from range(3)

    assert type(rx.from_iterable(numbers()).pipe(ops.map(str))) is rx.Observable
    subject: Subject[int] = Subject()
    assert type(subject.pipe(ops.map(str))) is rx.Observable
    assert subject.pipe() is subject


async def answers_late(message: ipc.Message) -> str:
    return message.text


@pytest.mark.parametrize(
    ("predicate", "handler", "advice"),
    [
        (answers_late, lambda message: "pong", "predicate .* an async one"),
        (lambda message: True, answers_late, "handler .* an async one"),
        (lambda: True, lambda message: "pong", "predicate is called with a message"),
        (lambda message: True, lambda message, reply: reply("pong"), "handler is called with a message"),
        (lambda message: True, "pong", "handler is a function"),
    ],
    ids=["async predicate", "async handler", "no argument", "two arguments", "no function"],
)
def test_what_responds_is_looked_at_at_once(
    virtual_network: VirtualNetwork, predicate: Any, handler: Any, advice: str
) -> None:
    with pytest.raises(ipc.InvalidOption, match=advice):
        virtual_network.open_channel().respond(predicate, handler)


@pytest.mark.parametrize("given", [5, "messages", None])
def test_fail_on_gap_takes_a_channel(given: Any) -> None:
    with pytest.raises(ipc.InvalidOption, match="takes a channel"):
        ipc.operators.fail_on_gap(given)


def test_fail_on_gap_is_not_given_messages(virtual_network: VirtualNetwork) -> None:
    with pytest.raises(ipc.InvalidOption, match="takes a channel"):
        ipc.operators.fail_on_gap(virtual_network.open_channel().messages)


@pytest.mark.parametrize("acknowledged", ["yes", 1])
def test_acknowledged_is_a_flag(virtual_network: VirtualNetwork, acknowledged: Any) -> None:
    with pytest.raises(ipc.InvalidOption, match="acknowledged"):
        virtual_network.open_channel(reliable=True).broadcast("x", acknowledged=acknowledged)


@pytest.mark.parametrize("path", [None, 0, bytearray(b"secret")], ids=["None", "a descriptor", "bytes"])
def test_a_key_file_has_a_path(path: Any) -> None:
    with pytest.raises(ipc.InvalidKey, match="takes the path of a file") as refused:
        ipc.Key.from_file(path)
    assert "secret" not in str(refused.value)


class _Codec:
    """A codec of the user's, with a mistake in it.

    Args:
        encode, decode: its methods.
    """

    def __init__(self, encode: Any, decode: Any = repr) -> None:
        self.encode = encode
        self.decode = decode


WITH_CODECS: dict[str, Callable[[ipc.Channel, Any], object]] = {
    "topic": lambda channel, codec: channel.topic("x", int, codec),
    "latest": lambda channel, codec: channel.latest("x", int, codec),
    "encode": lambda _, codec: OPEN.encode(format=codec),
    "decode": lambda _, codec: OPEN.decode(int, format=codec),
}


class _ProperCodec:
    def encode(self, value: Any) -> bytes:
        return repr(value).encode()

    def decode(self, data: bytes) -> Any:
        return data


@pytest.mark.parametrize("use", WITH_CODECS)
@pytest.mark.parametrize(
    ("codec", "advice"),
    [
        (_ProperCodec, r"such as MyCodec\(\), not its class"),
        (_Codec(async_function), "an async one"),
        (_Codec(repr, async_function), "an async one"),
        (_Codec(lambda value, schema: b""), "encode.. of format is called with a value, which"),
        (_Codec(repr, lambda: b""), "decode.. of format is called with bytes, which"),
        (_Codec(5), "is a function of a value, not 5"),
    ],
    ids=["a class", "async encode", "async decode", "two arguments", "none", "no function"],
)
def test_a_codec_that_cannot_be_called_is_refused_at_once(
    channel: ipc.Channel, use: str, codec: Any, advice: str
) -> None:
    with pytest.raises(ipc.InvalidOption, match=advice):
        WITH_CODECS[use](channel, codec)


@pytest.mark.parametrize("made", [5, None, ["x"], 1.5], ids=repr)
def test_what_a_codec_makes_is_a_payload(channel: ipc.Channel, made: Any) -> None:
    codec: Any = _Codec(lambda _: made)
    for use in (channel.topic("x", int, codec).publish, channel.latest("x", int, codec).set):
        with pytest.raises(ipc.InvalidPayload, match=r"x cannot carry 5: a payload is str or bytes-like, not "):
            use(5)


def test_a_codec_may_make_text(channel: ipc.Channel) -> None:
    codec: Any = _Codec(repr)
    assert channel.topic("x", int, codec).encode(5) == b"x\0005"


@pytest.mark.parametrize("operator", [OPEN.decode(int), OPEN.topics()], ids=["decode", "topics"])
@pytest.mark.parametrize(
    ("item", "hint"),
    [
        (b"5", "b'5' is none"),
        ("5", "'5' is none"),
        (ipc.TopicMessage("a", ipc.Message(b"a\x005")), r"ops\.map\(lambda found: found\.decode"),
        ([ipc.Message(b"5")], r"channel\.messages delivers one by one"),
    ],
    ids=["bytes", "text", "a topic's", "a batch"],
)
def test_what_takes_messages_says_so_to_who_gives_it_something_else(operator: Any, item: Any, hint: str) -> None:
    with pytest.raises(ipc.InvalidOption, match=f"is applied to a stream of messages, .*{hint}"):
        ipc.run(rx.of(item).pipe(operator))


@pytest.mark.parametrize(
    ("use", "meant"),
    [
        (lambda channel: channel.subscribe(print), ".messages.subscribe"),
        (lambda channel: channel.pipe(ops.map(str)), ".messages.pipe"),
        (lambda channel: channel.publish("x"), ".topic(name, type).publish(value), or .broadcast(data)"),
        (lambda channel: channel.topic("x").subscribe(print), ".stream.subscribe"),
        (lambda channel: channel.topic("x").map(str), ".stream.map"),
    ],
)
def test_what_has_streams_and_is_none_says_which_is_meant(
    channel: ipc.Channel, use: Callable[[Any], object], meant: str
) -> None:
    with pytest.raises(AttributeError, match=re.escape(f"did you mean {meant}?")):
        use(channel)


def test_what_is_not_there_at_all_is_told_as_ever(channel: ipc.Channel) -> None:
    with pytest.raises(AttributeError, match=r"^'Channel' object has no attribute 'subscribers'$"):
        _ = channel.subscribers


def test_a_latest_value_is_set_and_not_published(channel: ipc.Channel) -> None:
    with pytest.raises(ipc.InvalidOption, match=r"but set: \.set\(5\)"):
        channel.latest("x", int).publish(5)
    channel.latest("x", int).publish().subscribe()


COPIED: dict[str, Callable[[ipc.Channel], Any]] = {
    "a channel": lambda channel: channel,
    "messages": lambda channel: channel.messages,
    "piped": lambda channel: channel.messages.pipe(ops.map(str)),
    "a topic": lambda channel: channel.topic("x"),
    "a latest value": lambda channel: channel.latest("x"),
    "a wait": lambda channel: channel.wait_for_message(),
    "a send": lambda channel: subscribed(channel.broadcast("x")),
}


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps], ids=["copy", "deepcopy", "pickle"])
@pytest.mark.parametrize("what", COPIED)
def test_what_is_open_in_this_process_is_neither_copied_nor_pickled(
    channel: ipc.Channel, what: str, copied: Callable[[Any], object]
) -> None:
    """As multiprocessing does with the arguments of a process, and ``dataclasses.asdict`` with fields."""
    with pytest.raises(ipc.Unsupported, match="another process opens its own"):
        copied(COPIED[what](channel))


def repr_or_kind(value: object) -> str:
    return type(value).__name__


class _Shy:
    """A value that cannot be shown."""

    def __repr__(self) -> str:
        raise ZeroDivisionError


TAKES_NUMBERS: dict[str, Callable[[ipc.Channel, Any], object]] = {
    "run timeout": lambda _, value: ipc.run(rx.just(1), timeout=value),
    "wait timeout": lambda channel, value: channel.wait_for_message(timeout=value),
    "request timeout": lambda channel, value: channel.request("x", bool, timeout=value),
    "request_all timeout": lambda channel, value: channel.request_all("x", bool, timeout=value),
    "broadcast_all rate": lambda channel, value: channel.broadcast_all([], rate=value),
    "broadcast_all linger": lambda channel, value: channel.broadcast_all([], linger=value),
    "spin": lambda _, value: ipc.open_channel(spin=value),
    "ttl": lambda _, value: ipc.open_channel(ttl=value),
    "port": lambda _, value: ipc.open_channel(value),
    "receive_buffer": lambda _, value: ipc.open_channel(receive_buffer=value),
    "echo": lambda _, value: ipc.open_channel(echo=value),
    "topics": lambda _, value: ipc.open_channel(topics=value),
    "send_from": lambda _, value: ipc.open_channel(send_from=value),
    "interface": lambda _, value: ipc.open_channel(interface=value),
    "sources": lambda _, value: ipc.open_channel(sources=value),
    "patience": lambda _, value: ipc.Reliable(patience=value),
    "reliable rate": lambda _, value: ipc.Reliable(rate=value),
    "presence interval": lambda _, value: ipc.Presence("x", interval=value),
    "presence about": lambda _, value: ipc.Presence("x", about=value),
    "bridge takeover": lambda _, value: ipc.bridge("loopback", ipc.Group.of(5), takeover=value),
    "bridge idle": lambda _, value: ipc.bridge("loopback", ipc.Group.of(5), idle=value),
    "bridge ends": lambda _, value: ipc.bridge("loopback", ipc.Group.of(5), ends=value),
    "since": lambda _, value: ipc.messages(since=value),
    "retry first": lambda _, value: ipc.operators.retry_with_backoff(first=value),
    "capture speed": lambda _, value: capture.read("x", speed=value),
    "capture longest_gap": lambda _, value: capture.read("x", longest_gap=value),
    "network latency": lambda _, value: VirtualNetwork(VirtualClock(), latency=value),
    "network loss": lambda _, value: VirtualNetwork(VirtualClock(), loss=value),
    "faults jitter": lambda _, value: FaultyNetwork(jitter=value),
    "marbles frame": lambda _, value: Marbles(frame=value),
    "marbles until": lambda _, value: Marbles().run(until=value),
    "topic name": lambda channel, value: channel.topic(value),
    "topic type": lambda channel, value: channel.topic("x", value),
    "topic format": lambda channel, value: channel.topic("x", int, value),
    "topic on_error": lambda channel, value: channel.topic("x", int, on_error=value),
    "topics pattern": lambda channel, value: channel.topics(value),
    "publish": lambda channel, value: channel.topic("x", str).publish(value),
}


@pytest.mark.parametrize(
    "value",
    [10**5000, float("nan"), _Shy(), [1] * 100_000, lambda: None],
    ids=["thousands of digits", "nan", "cannot be shown", "long", "a function"],
)
@pytest.mark.parametrize("use", TAKES_NUMBERS)
def test_whatever_is_given_for_a_number_or_a_name_the_error_is_clear_and_short(
    channel: ipc.Channel, use: str, value: Any
) -> None:
    with pytest.raises(ipc.InvalidArgument) as refused:
        TAKES_NUMBERS[use](channel, value)
    assert 0 < len(str(refused.value)) < 700


@pytest.mark.parametrize(
    "stream",
    [
        lambda channel: channel.messages,
        lambda channel: channel.batches,
        lambda channel: channel.events,
        lambda channel: channel.topics("*"),
        lambda channel: channel.topic("x", int).stream,
        lambda channel: channel.latest("x"),
        lambda channel: channel.wait_for_message(),
        lambda channel: channel.unbind(),
    ],
)
def test_an_event_loop_is_no_scheduler(
    channel: ipc.Channel, stream: Callable[[ipc.Channel], rx.Observable[Any]]
) -> None:
    """It would be served on the channel's thread, which is what the scheduler is to prevent."""
    loop = asyncio.new_event_loop()
    try:
        with pytest.raises(ipc.InvalidOption, match=r"write AsyncIOScheduler\(loop\)"):
            stream(channel).subscribe(lambda _: None, scheduler=loop)
    finally:
        loop.close()


def _yields(*_: Any) -> Iterator[bool]:
    yield True


@pytest.mark.parametrize(
    "use",
    [
        lambda channel: channel.messages.subscribe(_yields),
        lambda channel: channel.wait_for_message(_yields),
        lambda channel: channel.request("x", _yields),
        lambda channel: channel.respond(_yields, bool),
        lambda channel: channel.respond(bool, _yields),
        lambda channel: channel.topic("x", int, on_error=_yields),
        lambda _: ipc.with_socket(_yields),
        lambda _: ipc.repeat_while(_yields, bool, 0),
        lambda _: ipc.operators.decode(_yields),
        lambda _: ipc.set_unhandled_error_hook(_yields),
    ],
)
def test_a_generator_function_whose_body_would_never_run_is_refused(
    channel: ipc.Channel, use: Callable[[Any], object]
) -> None:
    with pytest.raises(ipc.InvalidOption, match="has a yield in it"):
        use(channel)


OTHERS: dict[str, Callable[[ipc.Channel, Any], object]] = {
    "with_message": lambda _, value: ipc.operators.decode(int, with_message=value),
    "Writer": lambda _, value: capture.Writer("/nowhere/at/all", replace=value),
    "write": lambda _, value: capture.write("/nowhere/at/all", replace=value),
    "progress": lambda channel, value: collect(channel, 0, progress=value),
    "acknowledged": lambda channel, value: channel.broadcast("x", acknowledged=value),
    "one_way": lambda _, value: VirtualNetwork(VirtualClock()).set_link(one_way=value),
    "tls": lambda _, value: ipc.Nats("nats://host", tls=value),
    "Zenoh tls": lambda _, value: ipc.Zenoh("zenoh://host", tls=value),
    "config": lambda _, value: ipc.Zenoh("zenoh://host", config=value),
    "seed": lambda _, value: VirtualNetwork(VirtualClock(), seed=value),
    "sends": lambda _, value: VirtualNetwork(VirtualClock()).sends(value),
    "take_down": lambda _, value: VirtualNetwork(VirtualClock()).take_down(value),
    "marbles' clock": lambda channel, value: marbles(channel, 0, scheduler=value),
    "read's clock": lambda _, value: capture.read("x.pcap", scheduler=value),
    "until_now": lambda _, value: ipc.messages(until_now=value),
    "until_now since": lambda _, value: ipc.messages(since="all", until_now=value),
    "marbles": lambda _, value: Marbles().hot(value),
    "advance_by": lambda _, value: VirtualClock().advance_by(value),
    "advance_to": lambda _, value: VirtualClock().advance_to(value),
    "sleep": lambda _, value: VirtualClock().sleep(value),
    "Key.save": lambda _, value: ipc.Key.new().save(value),
    "Key.parse": lambda _, value: ipc.Key.parse(value),
    "Key.from_environment": lambda _, value: ipc.Key.from_environment(value),
    "Channel": lambda _, value: ipc.Channel(ipc.Group.of(), options=value),
    "Channel's opener": lambda _, value: ipc.Channel(ipc.Group.of(), value),
}


@pytest.mark.parametrize("value", [[], [1], {1: object()}, 1.5j, object(), _Shy()], ids=repr_or_kind)
@pytest.mark.parametrize("use", OTHERS)
def test_what_is_of_the_wrong_type_is_refused_at_once(channel: ipc.Channel, use: str, value: Any) -> None:
    with pytest.raises(ipc.InvalidArgument) as refused:
        OTHERS[use](channel, value)
    assert 0 < len(str(refused.value)) < 700


@pytest.mark.parametrize("side", [None, 5, object(), ["10.0.0.2", 5], "10.0.0.9"])
def test_a_side_of_a_partition_is_hosts(virtual_network: VirtualNetwork, side: Any) -> None:
    for host in ("10.0.0.1", "10.0.0.2"):
        virtual_network.add_host(host)
    with pytest.raises(ipc.InvalidAddress, match="there is no host"):
        virtual_network.partition("10.0.0.1", side)


PATHS: dict[str, Callable[[ipc.Channel, Any], object]] = {
    "read": lambda _, path: capture.read(path),
    "Reader": lambda _, path: capture.Reader(path),
    "write": lambda channel, path: capture.write(path, channel),
    "Writer": lambda _, path: capture.Writer(path),
    "to_frame": lambda _, path: to_frame(path),
    "Key.from_file": lambda _, path: ipc.Key.from_file(path),
    "Key.save": lambda _, path: ipc.Key.new().save(path),
    "Key.from_environment": lambda _, path: ipc.Key.from_environment(path),
}


@pytest.mark.parametrize(
    "path", ["a\0b", "a\ud800b", Path("a\ud800b")], ids=["NUL", "surrogate", "surrogate in a Path"]
)
@pytest.mark.parametrize("use", PATHS)
def test_what_no_file_can_be_called_is_refused_at_once(channel: ipc.Channel, use: str, path: Any) -> None:
    with pytest.raises(ipc.InvalidArgument):
        PATHS[use](channel, path)


@pytest.mark.parametrize("time", [float("inf"), float("nan"), 1e300, 10**400])
def test_virtual_time_stays_within_the_calendar(time: float) -> None:
    clock = VirtualClock()
    for move in (clock.advance_by, clock.advance_to, clock.sleep):
        with pytest.raises(ipc.InvalidOption, match="virtual time"):
            move(time)
    assert clock.clock == 0


def test_a_rate_beyond_all_counting_sends_as_fast_as_it_goes(channel: ipc.Channel) -> None:
    assert ipc.run(channel.broadcast_all((b"x" for _ in range(100)), rate=1e308)) == 100


def test_a_recording_is_not_told_twice_where_messages_were_sent(channel: ipc.Channel) -> None:
    for twice in ({"port": 5}, {"group": "224.0.2.9"}):
        with pytest.raises(ipc.InvalidOption, match="leave those out"):
            capture.write("x.pcap", channel, **twice)


@pytest.mark.parametrize(
    ("messages", "destination"),
    [("text", ("224.0.2.1", 5)), (5, ("224.0.2.1", 5)), ([b"x"], ("224.0.2.1", 5)), ([], "224.0.2.1"), ([], [1, 2])],
)
def test_a_writer_takes_messages_and_an_address(tmp_path: Path, messages: Any, destination: Any) -> None:
    with capture.Writer(tmp_path / "x.pcap") as writer, pytest.raises(ipc.InvalidArgument):
        writer.write(messages, destination)


@needs_linux
def test_a_key_that_the_disk_has_no_room_for_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "group.key"
    code = """
import resource, signal, sys
import rx_multicast_ipc as ipc
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
try:
    ipc.Key.new().save(sys.argv[1])
except ipc.KeyUnreadable as error:
    print(error)
"""
    assert "cannot be written" in finish(python(code, path))
    assert not path.exists()
