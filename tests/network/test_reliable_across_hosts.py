"""Reliable channels between machines that lose packets, have several interfaces, or stop."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc import Channel, Message

from ..helpers import PATIENCE
from ..hosts import Host, hosts

MESSAGES = [b"%06d" % number + bytes(94) for number in range(2000)]


@contextmanager
def reliable_on(
    host: Host,
    group: str = ipc.DEFAULT_GROUP,
    *,
    interface: str | list[str] = "eth0",
    reliable: bool | ipc.Reliable = True,
) -> Generator[Channel]:
    with host.entered():
        channel = ipc.open_channel(group=group, interface=interface, reliable=reliable)
    with channel:
        yield channel


class Heard:
    """What a channel heard, until it is complete."""

    def __init__(self, channel: Channel, count: int) -> None:
        self.messages: list[Message] = []
        self.complete = threading.Event()
        self._count = count
        channel.messages.subscribe(self._hear)

    def _hear(self, message: Message) -> None:
        self.messages.append(message)
        if len(self.messages) >= self._count:
            self.complete.set()

    @property
    def payloads(self) -> list[bytes]:
        return [message.data for message in self.messages]


@pytest.mark.parametrize("group", [ipc.DEFAULT_GROUP, "ff05::1234"])
def test_what_the_network_loses_is_repaired(group: str) -> None:
    with hosts(3) as network:
        one, two, three = network
        lost = network.lose(30)
        with reliable_on(one, group) as sender, reliable_on(two, group) as end, reliable_on(three, group) as other:
            heard = [Heard(end, len(MESSAGES)), Heard(other, len(MESSAGES))]
            with one.entered():  # where the links' names mean something
                ipc.run(sender.broadcast_all(MESSAGES))
            for each in heard:
                assert each.complete.wait(PATIENCE)
                assert each.payloads == MESSAGES
            assert sender.statistics.repeated > 0
        assert lost.count > 0


def test_five_senders_at_once_are_each_heard_in_order() -> None:
    with hosts(3) as network:
        network.lose(30)
        one, two, three = network
        with (
            reliable_on(one) as a,
            reliable_on(one) as b,
            reliable_on(two) as c,
            reliable_on(two) as d,
            reliable_on(three) as e,
            reliable_on(three) as end,
        ):
            senders = [a, b, c, d, e]
            heard = Heard(end, 5 * 300)

            def send(sender: Channel) -> None:
                ipc.run(sender.broadcast_all(MESSAGES[:300]))

            threads = [threading.Thread(target=send, args=(sender,)) for sender in senders]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert heard.complete.wait(PATIENCE)
            for sender in senders:
                own = [message.data for message in heard.messages if message.port == sender.sender_address[1]]
                assert own == MESSAGES[:300]


def test_over_two_interfaces_each_message_comes_once() -> None:
    with hosts(2) as network:
        one, two = network
        for host in (one, two):
            host.add_interface("eth1", segment=1)
        network.lose(10)
        both = ["eth0", "eth1"]
        with reliable_on(one, interface=both) as sender, reliable_on(two, interface=both) as end:
            heard = Heard(end, len(MESSAGES))
            ipc.run(sender.broadcast_all(MESSAGES))
            assert heard.complete.wait(PATIENCE)
            acknowledged = ipc.run(sender.broadcast("last", acknowledged=True, timeout=PATIENCE))
            assert len(acknowledged.by) == 1
            assert acknowledged.by[0] in end.transport.own_addresses
            assert heard.payloads == [*MESSAGES, b"last"]


def test_an_event_loop_sends_and_hears_reliably() -> None:
    with hosts(2) as network:
        one, two = network
        network.lose(10)
        with reliable_on(one) as sender, reliable_on(two) as end:
            heard = Heard(end, 500)

            async def send() -> None:
                for message in MESSAGES[:400]:
                    await sender.broadcast(message)
                await sender.broadcast_all(MESSAGES[400:500])

            asyncio.run(send())
            assert heard.complete.wait(PATIENCE)
            assert heard.payloads == MESSAGES[:500]


STOPPED = """
import sys, rx_multicast_ipc as ipc
channel = ipc.open_channel(interface="eth0", reliable=True)
channel.deliveries.subscribe(lambda what: print(type(what).__name__, getattr(what, "text", "")[:6], flush=True))
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_stopped_process_is_left_behind_and_told() -> None:
    with hosts(3) as network:
        one, two, three = network
        process = two.python(STOPPED)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        options = ipc.Reliable(window=32, patience=2.0)  # which the one that is not stopped needs none of
        with reliable_on(one, reliable=options) as sender, reliable_on(three) as other:
            ipc.run(sender.broadcast("first", acknowledged=True, timeout=PATIENCE))
            assert process.stdout.readline() == "Message first\n"
            process.send_signal(signal.SIGSTOP)
            heard = Heard(other, 5000)
            large = [message + bytes(1200) for message in [*MESSAGES, *MESSAGES, *MESSAGES[:1000]]]
            ipc.run(sender.broadcast_all(large))
            assert heard.complete.wait(PATIENCE)
            process.send_signal(signal.SIGCONT)
            ipc.run(sender.broadcast("last!!", acknowledged=True, timeout=PATIENCE))
            told: list[str] = []
            while not told or told[-1] != "Message last!!\n":
                told.append(process.stdout.readline())
            assert "Gap \n" in told
        process.kill()


def test_a_partition_of_six_seconds_is_repaired() -> None:
    with hosts(2) as network:
        one, two = network
        with reliable_on(one) as sender, reliable_on(two) as end:
            heard = Heard(end, 300)
            ipc.run(sender.broadcast("hello", acknowledged=True, timeout=PATIENCE))
            network.partition([one], [two])
            begun = time.monotonic()
            for number in range(299):
                ipc.run(sender.broadcast(MESSAGES[number]))
            while time.monotonic() < begun + 6.0:
                assert not heard.complete.wait(0.1)
            network.heal()
            assert heard.complete.wait(PATIENCE)
            assert heard.payloads == [b"hello", *MESSAGES[:299]]
            assert end.statistics.gaps == 0


LIVES = """
import sys, rx_multicast_ipc as ipc
channel = ipc.open_channel(interface="eth0", reliable=True)
for number in range(100):
    ipc.run(channel.broadcast(f"{sys.argv[1]} {number}"))
ipc.run(channel.broadcast("done", acknowledged=True, timeout=60))
print("done", flush=True)
sys.stdin.read()
"""


def test_a_sender_that_is_killed_and_starts_again_is_heard_whole_both_times() -> None:
    with hosts(2) as network:
        one, two = network
        network.lose(10)
        with reliable_on(two) as end:
            heard = Heard(end, 202)
            for life in ("first", "second"):
                process = one.python(LIVES, life)
                assert process.stdout is not None
                assert process.stdout.readline() == "done\n"
                process.kill()
            assert heard.complete.wait(PATIENCE)
            for life in ("first", "second"):
                own = [message.text for message in heard.messages if message.text.startswith(life)]
                assert own == [f"{life} {number}" for number in range(100)]
            assert end.statistics.gaps == 0
