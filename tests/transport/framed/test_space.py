"""Who waits for space to send is told, whatever took it."""

from __future__ import annotations

from contextlib import suppress

import pytest

from rx_multicast_ipc import Reliable
from rx_multicast_ipc.transport import WouldBlock
from rx_multicast_ipc.transport.base import without_waiting

from .held_ends import HeldEnd, HeldNetwork

MESSAGE = bytes(200_000)


def test_what_an_end_sends_to_itself_alone_is_bounded_and_who_waits_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    network = HeldNetwork(monkeypatch)
    end = HeldEnd(network, Reliable())
    network.run(3.0)
    sent = 0
    with without_waiting(), suppress(WouldBlock):
        while sent < 100:
            end.transport.send(MESSAGE, end.transport.sender_address)
            sent += 1
    assert 20 <= sent <= 22
    told: list[int] = []
    end.transport.when_writable(lambda: told.append(len(end.heard)))
    network.run(1.0)
    assert len(end.heard) == sent
    assert len(told) == 1
