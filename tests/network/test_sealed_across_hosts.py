"""Sealed channels between machines: a key that is changed under traffic, and an outsider on the same switch."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

import rx_multicast_ipc as ipc
from rx_multicast_ipc import Channel

from ..helpers import wait_until
from ..hosts import Host, hosts

OLD, NEW = ipc.Key.new(), ipc.Key.new()


@contextmanager
def sealed_on(host: Host, key: ipc.Key) -> Generator[Channel]:
    with host.entered():
        channel = ipc.open_channel(interface="eth0", key=key, reliable=True, echo=False)
    with channel:
        yield channel


def test_a_key_is_changed_under_traffic_and_nothing_is_lost() -> None:
    with hosts(3) as network, ExitStack() as stack:
        network.lose(5)
        channels = [stack.enter_context(sealed_on(host, OLD)) for host in network]
        heard: list[list[str]] = [[] for _ in channels]
        for channel, texts in zip(channels, heard, strict=True):
            channel.messages.subscribe(lambda message, texts=texts: texts.append(message.text))
        over = threading.Event()
        said = [0, 0, 0]

        def talk(number: int) -> None:
            while not over.is_set():
                ipc.run(channels[number].broadcast(f"{number}:{said[number]}"))
                said[number] += 1
                over.wait(0.002)

        def all_heard(rounds: list[int]) -> bool:
            return all(
                f"{number}:{rounds[number] - 1}" in texts
                for hearer, texts in enumerate(heard)
                for number in range(3)
                if number != hearer
            )

        threads = [threading.Thread(target=talk, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        try:
            for ring in [(OLD, NEW), (NEW, OLD), (NEW,)]:
                start = list(said)
                wait_until(lambda start=start: all(now > before + 50 for now, before in zip(said, start, strict=True)))
                for channel in channels:
                    channel.change_key(ring)
            start = list(said)
            wait_until(lambda: all(now > before + 50 for now, before in zip(said, start, strict=True)))
        finally:
            over.set()
            for thread in threads:
                thread.join()
        wait_until(lambda: all_heard(said))
        for hearer, texts in enumerate(heard):
            for number in {0, 1, 2} - {hearer}:
                mine = [text for text in texts if text.startswith(f"{number}:")]
                assert mine == [f"{number}:{count}" for count in range(said[number])]
            assert channels[hearer].statistics.gaps == 0

        rejected = [channel.statistics.rejected for channel in channels]
        with sealed_on(next(iter(network)), OLD) as stale:
            ipc.run(stale.broadcast("with the old key"))
            wait_until(
                lambda: all(
                    channel.statistics.rejected > count for channel, count in zip(channels, rejected, strict=True)
                )
            )
        assert not any("with the old key" in texts for texts in heard)
