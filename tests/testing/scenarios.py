"""Scenarios of one host, each played on live sockets and on a virtual network: ``python -m tests.testing.scenarios``.

As a program it plays those that need a network interface, in a network namespace that is its own, and prints as JSON
what was seen live and virtually.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import count, product
from typing import Any, Protocol

import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing import VirtualClock, VirtualNetwork
from rx_multicast_ipc.testing.conformance.transport_rig import free_port

HOST = "10.0.0.1"
GROUP = "224.0.2.1"

PATIENCE = 20.0
"""Seconds that what should come is waited for."""

MOMENT = 0.03
"""Seconds for what should not come; too short a moment fails no scenario."""

See = Callable[[Any], None]


class Stage(Protocol):
    """Where a scenario is played."""

    port: int

    def open(self, group: str = GROUP, **options: Any) -> ipc.Channel: ...

    def not_reading(self, channel: ipc.Channel) -> Any:
        """A context within which the channel does not read."""
        ...

    def until(self, condition: Callable[[], object]) -> None: ...

    def close(self) -> None: ...


class Live:
    def __init__(self, port: int | None = None) -> None:
        self.port = port or free_port()
        self._opened = ExitStack()

    def open(self, group: str = GROUP, **options: Any) -> ipc.Channel:
        channel = ipc.open_channel(self.port, group, **options)
        self._opened.callback(channel.close)
        return channel

    @contextmanager
    def not_reading(self, channel: ipc.Channel) -> Generator[None]:
        begun, over = threading.Event(), threading.Event()

        def busy() -> None:
            begun.set()
            over.wait(PATIENCE)

        channel.transport.call(busy)
        assert begun.wait(PATIENCE)
        yield
        over.set()

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.002)
        time.sleep(MOMENT)

    def close(self) -> None:
        self._opened.close()


class Virtual:
    def __init__(self) -> None:
        self.port = 61_088
        self._clock = VirtualClock()
        self._network = VirtualNetwork(self._clock)
        self._opened = ExitStack()

    def open(self, group: str = GROUP, **options: Any) -> ipc.Channel:
        options.setdefault("interface", "loopback")
        channel = self._network.open_channel(self.port, group, host=HOST, **options)
        self._opened.callback(channel.close)
        return channel

    @contextmanager
    def not_reading(self, channel: ipc.Channel) -> Generator[None]:
        self._network.pause(HOST)
        yield
        self._clock.advance_by(0.001)
        self._network.resume(HOST)

    def until(self, condition: Callable[[], object]) -> None:
        self._clock.advance_by(1.0)

    def close(self) -> None:
        self._opened.close()


Scenario = Callable[[Stage, See], None]

SCENARIOS: dict[str, tuple[Scenario, list[Any]]] = {}
"""On loopback: what is done, and what is to be seen."""


def seen_is(*expected: Any) -> Callable[[Scenario], Scenario]:
    def add(scenario: Scenario) -> Scenario:
        SCENARIOS[scenario.__name__] = scenario, list(expected)
        return scenario

    return add


def play(stage: Stage, scenario: Scenario, expected: list[Any]) -> list[Any]:
    """What was seen, once it is what was expected, or never will be."""
    seen: list[Any] = []
    try:
        scenario(stage, seen.append)
        stage.until(lambda: seen == expected)
    finally:
        stage.close()
    return seen


def told(see: See, observable: rx.Observable[Any]) -> None:
    """See how it ends."""
    observable.subscribe(lambda _: None, lambda error: see(type(error).__name__), lambda: see("done"))


def refused(see: See, action: Callable[[], object]) -> None:
    try:
        action()
    except ipc.MulticastError as error:
        see(type(error).__name__)
    else:
        see("taken")


def texts(see: See, channel: ipc.Channel) -> None:
    channel.messages.subscribe(lambda m: see((m.text, "direct" if m.direct else "group")))


@seen_is(("x", "127.0.0.1", "IPv4", False, ""), ("y", "127.0.0.1", "IPv4", True, ""))
def the_fields_of_a_message(stage: Stage, see: See) -> None:
    a, b = stage.open(), stage.open()
    b.messages.subscribe(lambda m: see((m.text, m.address, m.family, m.direct, m.interface)))
    a.broadcast("x").subscribe()
    stage.until(lambda: b.statistics.received)
    b.messages.pipe(ops.take(0)).subscribe()
    a.send("y", b.sender_address[1], "127.0.0.1").subscribe()


@seen_is("WouldDeadlock", "WouldDeadlock")
def run_in_a_subscriber(stage: Stage, see: See) -> None:
    a = stage.open()
    again = a.broadcast("again")

    def on_next(message: ipc.Message) -> None:
        if message.text == "x":
            refused(see, lambda: ipc.run(again, timeout=1))
            refused(see, lambda: ipc.run(a.wait_for_message(), timeout=1))
            again.subscribe()  # else it warns that it never was

    a.messages.subscribe(on_next)
    a.broadcast("x").subscribe()


@seen_is("WouldDeadlock")
def run_in_a_timer(stage: Stage, see: See) -> None:
    a = stage.open()

    def due(_scheduler: object, _state: object) -> None:
        refused(see, lambda: ipc.run(a.wait_for_message(), timeout=1))

    a.scheduler.schedule_relative(0.01, due)


@seen_is("RuntimeError", "heard x", "heard y")
def sys_exit_in_a_subscriber(stage: Stage, see: See) -> None:
    a = stage.open()

    def leave(_: ipc.Message) -> None:
        raise SystemExit(3)

    a.messages.subscribe(leave, lambda error: see(type(error).__name__))
    a.messages.subscribe(lambda m: see(f"heard {m.text}"))
    a.broadcast_all(["x", "y"]).subscribe()


@seen_is("ZeroDivisionError", "heard x", "heard y")
def an_error_in_a_subscriber(stage: Stage, see: See) -> None:
    a = stage.open()
    a.messages.subscribe(lambda _: see(1 / 0), lambda error: see(type(error).__name__))
    a.messages.subscribe(lambda m: see(f"heard {m.text}"))
    a.broadcast_all(["x", "y"]).subscribe()


@seen_is("A1", "B1", "A2", "B2")
def a_send_in_a_subscriber_is_heard_by_all_in_order(stage: Stage, see: See) -> None:
    a = stage.open()

    def on_next(message: ipc.Message) -> None:
        if message.text == "1":
            a.broadcast("2").subscribe()
        see(f"A{message.text}")

    a.messages.subscribe(on_next)
    a.messages.subscribe(lambda m: see(f"B{m.text}"))
    a.broadcast("1").subscribe()


@seen_is("done")
def another_address_of_loopback_is_not_the_channels(stage: Stage, see: See) -> None:
    a, b = stage.open(), stage.open()
    texts(see, b)
    told(see, a.send("x", b.sender_address[1], "127.0.0.5"))


@seen_is("done")
def unicast_to_the_groups_port_is_left_to_others(stage: Stage, see: See) -> None:
    a, b = stage.open(), stage.open()
    texts(see, b)
    told(see, a.send("x", stage.port, "127.0.0.1"))


@seen_is("done", "done", ("x", "group"))
def a_group_that_the_sender_is_not_in(stage: Stage, see: See) -> None:
    a, b = stage.open(), stage.open("224.0.2.9")
    told(see, a.send("nobody is there", stage.port, "224.0.2.10"))
    told(see, a.send("x", stage.port, "224.0.2.9"))
    stage.until(lambda: b.statistics.received)
    b.wait_for_message().subscribe(lambda m: see((m.text, "group")))


@seen_is(("me", "direct"))
def a_message_to_itself(stage: Stage, see: See) -> None:
    a = stage.open()
    texts(see, a)
    a.send("me", a.sender_address[1], a.sender_address[0]).subscribe()


@seen_is("done", "done")
def nobody_is_there(stage: Stage, see: See) -> None:
    a = stage.open()
    told(see, a.send("x", 9, "127.0.0.1"))
    told(see, a.send("x", 9, ""))


@seen_is("other", "other")
def no_echo(stage: Stage, see: See) -> None:
    a, b = stage.open(echo=False), stage.open()
    a.messages.subscribe(lambda m: see(m.text))
    b.messages.subscribe(lambda m: see(m.text) if m.text == "other" else None)
    a.broadcast("own").subscribe()
    b.broadcast("other").subscribe()


@seen_is(("x", "group"))
def sources(stage: Stage, see: See) -> None:
    a = stage.open()
    texts(see, stage.open(sources=["127.0.0.1"]))
    texts(see, stage.open(sources=["127.0.0.9"]))
    a.broadcast("x").subscribe()


@seen_is("InvalidPort", "InvalidPort", "InvalidAddress", "InvalidAddress", "PayloadTooLarge", "InvalidPayload")
def sends_that_are_mistakes(stage: Stage, see: See) -> None:
    a = stage.open()
    mistakes: tuple[Callable[[], object], ...] = (
        lambda: a.send("x", 0, "127.0.0.1"),
        lambda: a.reply(ipc.Message(b"", port=0), "x"),
        lambda: a.send("x", 9, "192.0.2.7"),
        lambda: a.send("x", 9, "::1"),
        lambda: a.broadcast(bytes(65_508)),
        lambda: a.broadcast(None),  # pyright: ignore[reportArgumentType]
    )
    for mistake in mistakes:
        refused(see, mistake)


@seen_is(0, 65_507)
def the_smallest_and_the_largest_payload(stage: Stage, see: See) -> None:
    a = stage.open()
    a.messages.subscribe(lambda m: see(len(m.data)))
    a.broadcast("").subscribe()
    a.broadcast(bytes(65_507)).subscribe()


@seen_is("done", "ChannelClosed", "ChannelClosed", "ChannelClosed", "ChannelClosed", "ChannelClosed", "taken", "done")
def a_closed_channel(stage: Stage, see: See) -> None:
    a = stage.open()
    send = a.broadcast("x")
    told(see, a.messages)
    a.close()
    stage.until(lambda: a.transport.ended)
    told(see, a.messages)
    told(see, send)
    refused(see, lambda: a.broadcast("x"))
    refused(see, lambda: a.wait_for_message())
    refused(see, a.__enter__)
    refused(see, a.close)
    told(see, a.unbind())


@seen_is("1", "done", True)
def closing_in_a_subscriber(stage: Stage, see: See) -> None:
    a, b = stage.open(), stage.open()

    def on_next(message: ipc.Message) -> None:
        see(message.text)
        b.close()
        see(b.closed)

    b.messages.subscribe(on_next, lambda error: see(repr(error)), lambda: see("done"))
    a.broadcast_all(["1", "2", "3"]).subscribe()


@seen_is("2", "3")
def waits_take_up_where_the_last_one_ended(stage: Stage, see: See) -> None:
    a, b = stage.open(), stage.open()
    waits = b.wait_for_message().pipe(ops.flat_map(lambda _: b.wait_for_message()))
    waits.subscribe(lambda m: see(m.text))
    a.broadcast_all(["1", "2", "3"]).subscribe()
    stage.until(lambda: b.statistics.received == 3)
    b.wait_for_message().subscribe(lambda m: see(m.text))


@seen_is("MessageTimeout", "MessageTimeout", "MessageTimeout")
def nobody_answers(stage: Stage, see: See) -> None:
    a = stage.open()
    told(see, a.wait_for_message(lambda m: m.text == "never", timeout=0))
    told(see, a.wait_for_message(lambda m: m.text == "never", timeout=0.02))
    told(see, a.request("x", lambda _: True, timeout=0.04))


@seen_is("x")
def a_send_from_another_thread(stage: Stage, see: See) -> None:
    a = stage.open()
    a.messages.subscribe(lambda m: see(m.text))
    thread = threading.Thread(target=lambda: ipc.run(a.broadcast("x")))
    thread.start()
    thread.join()


@seen_is((3, 6, 0), (2, 5, 0))
def what_is_counted(stage: Stage, see: See) -> None:
    a, b = stage.open(), stage.open()
    a.broadcast_all(["12", "345"]).subscribe()
    a.send("x", 9, "127.0.0.1").subscribe()
    stage.until(lambda: b.statistics.received == 2)
    of_a, of_b = a.statistics, b.statistics
    see((of_a.sent, of_a.sent_bytes, of_a.refused))
    see((of_b.received, of_b.received_bytes, of_b.dropped))


@seen_is(1152, 3000, 1)
def a_tiny_buffer_takes_one_datagram_of_any_size(stage: Stage, see: See) -> None:
    a, b = stage.open(), stage.open(receive_buffer=1)
    see(b.statistics.receive_buffer)
    with stage.not_reading(b):
        a.broadcast("x" * 3000).subscribe()
        a.broadcast("y").subscribe()
    stage.until(lambda: b.statistics.received)
    b.wait_for_message().subscribe(lambda m: see(len(m.data)))
    stage.until(lambda: b.statistics.dropped)
    see(b.statistics.dropped)


@seen_is(*["InvalidInterface"] * 6)
def interfaces_that_are_not_there(stage: Stage, see: See) -> None:
    for name in ("nosuch0", "192.0.2.9", ["lo", "nosuch0"], ["lo", "192.0.2.9"], "Loopback", "localhost"):
        refused(see, lambda name=name: stage.open(interface=name))


@seen_is("taken", "taken", ("x", ""), ("x", ""))
def loopback_by_its_other_names(stage: Stage, see: See) -> None:
    for name in ("lo", "127.0.0.1"):
        refused(
            see, lambda name=name: stage.open(interface=name).messages.subscribe(lambda m: see((m.text, m.interface)))
        )
    stage.open().broadcast("x").subscribe()


INTERFACES = ("loopback", "lo", "eth0", HOST, "default", "all", ["lo", "eth0"])
DESTINATIONS = ("127.0.0.1", "127.0.0.5", HOST)
SOURCES = ("127.0.0.1", HOST, "10.0.0.9")


def network_scenarios() -> dict[str, Scenario]:
    found: dict[str, Scenario] = {}
    for at in INTERFACES:
        found[f"addresses of {at}"] = lambda stage, see, at=at: addresses(stage, see, at)
        for source in SOURCES:
            found[f"{at} hears {source} only"] = lambda stage, see, at=at, source=source: hears(
                stage, see, at, ["lo", "eth0"], sources=[source]
            )
    for at, by in product(INTERFACES, INTERFACES):
        found[f"{at} hears {by}"] = lambda stage, see, at=at, by=by: hears(stage, see, at, by)
        for to in DESTINATIONS:
            found[f"{at} is sent to at {to} by {by}"] = lambda stage, see, at=at, by=by, to=to: is_sent_to(
                stage, see, at, by, to
            )
    found["another group"] = lambda stage, see: other_group(stage, see)
    return found


def addresses(stage: Stage, see: See, at: Any) -> None:
    channel = stage.open(interface=at)
    see(channel.sender_address[0])
    see(sorted(address for address, _ in channel.transport.own_addresses))


def hears(stage: Stage, see: See, at: Any, by: Any, **options: Any) -> None:
    listener, speaker = stage.open(interface=at, **options), stage.open(interface=by)
    listener.messages.subscribe(lambda m: see([m.text, m.address, m.interface, m.direct]))
    speaker.broadcast("x").subscribe()


def is_sent_to(stage: Stage, see: See, at: Any, by: Any, to: str) -> None:
    listener, speaker = stage.open(interface=at), stage.open(interface=by)
    listener.messages.subscribe(lambda m: see([m.text, m.address, m.interface, m.direct]))
    try:
        told(lambda end: None if end == "done" else see(end), speaker.send("x", listener.sender_address[1], to))
    except ipc.MulticastError as error:
        see(type(error).__name__)


def other_group(stage: Stage, see: See) -> None:
    listener, speaker = stage.open("224.0.2.9", interface="eth0"), stage.open(interface=["lo", "eth0"])
    listener.messages.subscribe(lambda m: see([m.text, m.address, m.interface, m.direct]))
    speaker.send("x", stage.port, "224.0.2.9").subscribe()


def main() -> None:
    def both(scenario: Scenario, port: int) -> tuple[list[Any], list[Any]]:
        virtual = play(Virtual(), scenario, [])
        return play(Live(port), scenario, virtual), virtual

    scenarios = network_scenarios()
    with ThreadPoolExecutor(8) as pool:  # most of the time nothing is to come
        print(json.dumps(dict(zip(scenarios, pool.map(both, scenarios.values(), count(20_000)), strict=True))))


if __name__ == "__main__":
    main()
