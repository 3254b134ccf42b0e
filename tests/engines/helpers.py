"""Channels on engines, each on a connection of its own, and the traffic between them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

import rx_multicast_ipc as ipc

from ..helpers import PATIENCE as PATIENCE
from ..helpers import wait_until as until


def alone(url: str, name: str, **more: Any) -> ipc.Nats:
    """The engine at ``url``, by a login that makes a connection of its own; servers without accounts ignore it."""
    return ipc.Nats(url, user=name, **more)


def send_until_accepted(channel: ipc.Channel, data: str) -> None:
    def accepted() -> bool:
        with suppress(ipc.SendFailed):
            ipc.run(channel.broadcast(data))
            return True
        return False

    until(accepted)


def make_stream(url: str, name: str, *subjects: str) -> None:
    client: Any = pytest.importorskip("nats", reason="nats-py is not installed")

    async def make() -> None:
        connection = await client.connect(url)
        await connection.jetstream().add_stream(name=name, subjects=list(subjects))
        await connection.close()

    asyncio.run(make())


async def subscribe(client: Any, subject: str) -> Any:
    """A subscription of nats-py's that the server has.

    Its ``flush`` writes the PING at once, and what it was to flush only then (nats-py 2.16, ``Client._send_ping``): so
    the PONG does not say that the server has the SUB, and what another connection publishes may be there before it.
    When a second one is written, the SUB has been.
    """
    subscription = await client.subscribe(subject)
    for _ in range(2):
        await client.flush()
    return subscription


class NumberSender:
    """Sends 0, 1, 2, ... on a thread, one a millisecond, and counts those that were accepted."""

    def __init__(self, channel: ipc.Channel) -> None:
        from threading import Event, Thread

        self._channel = channel
        self._stop = Event()
        self.accepted: list[int] = []
        self.refused = 0
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(0.001):
            try:
                self._channel.transport.send(b"%d" % number)
                self.accepted.append(number)
            except ipc.SendFailed:
                self.refused += 1
            number += 1

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def check_account(sender: NumberSender, heard: list[int], counted: ipc.Statistics) -> None:
    """Order was kept, nothing came twice, nothing came that was refused, and what is missing was counted exactly."""
    assert heard == sorted(set(heard))
    assert set(heard) <= set(sender.accepted)
    assert counted.lost == len(sender.accepted) - len(heard)
