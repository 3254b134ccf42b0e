"""Who is here, and latest values, on an engine."""

from __future__ import annotations

import pytest
from reactivex import operators as ops

import rx_multicast_ipc as ipc

from ..nats_servers import NatsServer
from .helpers import PATIENCE, alone


def both(members: frozenset[ipc.Member]) -> bool:
    return {member.name for member in members} == {"Ann", "Bob"}


def neither(members: frozenset[ipc.Member]) -> bool:
    return {member.name for member in members} == {"Ann"}


@pytest.mark.parametrize("reliable", [False, True], ids=["plain", "reliable"])
def test_members_and_values_are_told_across_connections(server: NatsServer, port: int, reliable: bool) -> None:
    def open_channel(name: str) -> ipc.Channel:
        return ipc.open_channel(port, interface=alone(server.url, name), presence=name, reliable=reliable)

    with open_channel("Ann") as ann:
        with open_channel("Bob") as bob:
            for channel in (ann, bob):
                ipc.run(channel.members.pipe(ops.filter(both), ops.first()), timeout=PATIENCE)
            ipc.run(ann.latest("price", int).set(42), timeout=PATIENCE)
            price = bob.latest("price", int).pipe(ops.filter(lambda value: value == 42), ops.first())
            assert ipc.run(price, timeout=PATIENCE) == 42
        ipc.run(ann.members.pipe(ops.filter(neither), ops.first()), timeout=PATIENCE)
