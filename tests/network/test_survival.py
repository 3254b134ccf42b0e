"""Channels live on while links go down and up, interfaces are re-created, addresses change, and routes move.

Every kind of trouble has a host of its own, and all happen at the same time, while that host and a quiet one send to
each other. A few changes of each kind are made; with RX_MULTICAST_IPC_SOAK=1 in the environment, a hundred link flaps
and twenty of each other kind (about two minutes).
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from typing import Final, NamedTuple

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc.transport.udp import memberships

from ..helpers import PATIENCE, Seen, open_descriptors, run, wait_until
from ..hosts import Host, hosts
from .channels_on_hosts import channel_on

SOAK: Final = bool(os.environ.get("RX_MULTICAST_IPC_SOAK"))

RECOVERY: Final = 1.0
"""Seconds after a change in which messages may be lost; more of them on a busy machine."""

CHECKED: Final = 20
"""How many messages in each direction are checked after that."""

PAUSE: Final = 0.005
"""Seconds between two messages of one sender."""

ARRIVAL: Final = 3.0
"""Seconds after which what did not arrive never will."""


class Trouble(NamedTuple):
    """What happens to a host, again and again.

    Attributes:
        interface: what the channel there is opened with.
        change: makes the next change. Takes how many there were before, and says on which segment the channel is then.
        often: how many changes a soak makes.
    """

    interface: str
    change: Callable[[Host, int], int]
    often: int


def flap(host: Host, _: int) -> int:
    host.flap()
    return 0


def pull_and_push_the_cable(host: Host, _: int) -> int:
    host.pull_cable()
    host.push_cable()
    return 0


def recreate(host: Host, _: int) -> int:
    host.recreate()
    return 0


def change_address(host: Host, number: int) -> int:
    host.change_address("eth0", f"10.77.0.{200 + number % 2}/24")
    return 0


def move_default_route(host: Host, number: int) -> int:
    segment = 1 - number % 2
    host.route_by_default(f"eth{segment}")
    return segment


TROUBLES: Final = {
    "link flaps": Trouble("eth0", flap, 100),
    "pulled cables": Trouble("eth0", pull_and_push_the_cable, 20),
    "re-created interfaces": Trouble("eth0", recreate, 20),
    "changed addresses": Trouble("eth0", change_address, 20),
    "moved default routes": Trouble("default", move_default_route, 20),
}


class Party:
    """A host that sends without end, and counts what it hears. What it sends is ``NAME NUMBER``."""

    def __init__(self, name: str, channel: ipc.Channel) -> None:
        self.name = name
        self.sent = 0
        self.heard: Counter[str] = Counter()
        self._channel = channel
        self._stop = threading.Event()
        self._arrived = threading.Condition()
        channel.messages.subscribe(self._hear)
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def next_ones(self) -> list[str]:
        """The messages that it is about to send, those after the one that it may be sending now."""
        return [f"{self.name} {self.sent + 2 + number}" for number in range(CHECKED)]

    def missing(self, expected: list[str]) -> list[str]:
        """Which of these are not heard, though they had time."""
        with self._arrived:
            self._arrived.wait_for(lambda: self.heard.keys() >= set(expected), ARRIVAL)
            return [text for text in expected if text not in self.heard]

    def duplicates(self) -> list[str]:
        with self._arrived:
            return [text for text, times in self.heard.items() if times > 1]

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _send(self) -> None:
        while not self._stop.wait(PAUSE):
            self.sent += 1
            with suppress(ipc.SendFailed):  # it is missed if it had to arrive
                ipc.run(self._channel.broadcast(f"{self.name} {self.sent}"))

    def _hear(self, message: ipc.Message) -> None:
        with self._arrived:
            self.heard[message.text] += 1
            self._arrived.notify_all()


class Soak(NamedTuple):
    """How the hosts came through.

    Attributes:
        late: by the kind of trouble, after which change what was not heard, a second later; empty if all was.
        missing: the same of what was not heard ever after.
        duplicates: what was heard more than once, by who heard it.
        threads, descriptors: how many more there were after all changes than before the first.
    """

    late: dict[str, str]
    missing: dict[str, str]
    duplicates: dict[str, list[str]]
    threads: int
    descriptors: int


@pytest.fixture(scope="module")
def soak() -> Iterator[Soak]:
    with hosts(1 + len(TROUBLES)) as network, ExitStack() as stack:
        for host in network:
            host.add_interface("eth1", segment=1)
        quiet_host, *troubled_hosts = network
        quiet = [stack.enter_context(party(f"quiet{n}", quiet_host, f"eth{n}")) for n in (0, 1)]
        sufferers: list[Sufferer] = []
        for (kind, trouble), host in zip(TROUBLES.items(), troubled_hosts, strict=True):
            troubled = stack.enter_context(party(kind.replace(" ", "-"), host, trouble.interface))
            sufferers.append(Sufferer(trouble, host, troubled, quiet))
        for sufferer in sufferers:
            wait_until(lambda sufferer=sufferer: not sufferer.missing(0))  # else it is not the changes that break it
        threads, descriptors = threading.active_count(), open_descriptors()
        with ThreadPoolExecutor(len(sufferers)) as pool:
            suffered = list(pool.map(Sufferer.suffer, sufferers))
        with suppress(AssertionError):
            wait_until(lambda: threading.active_count() <= threads and open_descriptors() <= descriptors)
        yield Soak(
            {kind: late for kind, (late, _) in zip(TROUBLES, suffered, strict=True)},
            {kind: missing for kind, (_, missing) in zip(TROUBLES, suffered, strict=True)},
            {one.name: one.duplicates() for one in (*quiet, *(sufferer.party for sufferer in sufferers))},
            max(0, threading.active_count() - threads),  # those of earlier tests may have ended meanwhile
            max(0, open_descriptors() - descriptors),
        )


@contextmanager
def party(name: str, host: Host, interface: str) -> Generator[Party]:
    with channel_on(host, interface=interface) as channel:
        made = Party(name, channel)
        try:
            yield made
        finally:
            made.stop()


class Sufferer(NamedTuple):
    """A host with its trouble, and with its party and the quiet ones, which are on a segment each."""

    trouble: Trouble
    host: Host
    party: Party
    quiet: list[Party]

    def suffer(self) -> tuple[str, str]:
        """Make the changes; says what was late after one, and what is missing after the first that was not survived."""
        late = ""
        for number in range(self.trouble.often if SOAK else 2):
            segment = self.trouble.change(self.host, number)
            time.sleep(RECOVERY)
            missing, patient_until = self.missing(segment), time.monotonic() + PATIENCE
            late = late or (missing and f"after change {number + 1} {missing}")
            while missing and time.monotonic() < patient_until:
                missing = self.missing(segment)
            if missing:
                return late, f"after change {number + 1} {missing}"
        return late, ""

    def missing(self, segment: int) -> str:
        quiet = self.quiet[segment]
        expected = [(quiet, self.party.next_ones()), (self.party, quiet.next_ones())]
        for heard_by, texts in expected:
            missing = heard_by.missing(texts)
            if missing:
                return f"{heard_by.name} does not hear {', '.join(missing)}"
        return ""


@pytest.mark.parametrize("kind", TROUBLES)
def test_every_message_sent_a_while_after_a_change_arrives(soak: Soak, kind: str) -> None:
    assert soak.missing[kind] == ""


@pytest.mark.quiet_machine
@pytest.mark.parametrize("kind", TROUBLES)
def test_every_message_sent_more_than_a_second_after_a_change_arrives(soak: Soak, kind: str) -> None:
    assert soak.late[kind] == ""


def test_nothing_is_delivered_twice(soak: Soak) -> None:
    assert {name: twice for name, twice in soak.duplicates.items() if twice} == {}


def test_no_thread_and_no_descriptor_leaks(soak: Soak) -> None:
    assert (soak.threads, soak.descriptors) == (0, 0)


def test_an_interface_that_appears_after_the_start_is_joined_and_sent_out_of() -> None:
    with hosts(1) as network:
        (host,) = network
        peer = network.add_host(segment=1)
        with party("early", host, "all") as early, party("beyond", peer, "eth0") as beyond:
            host.add_interface("eth1", segment=1)
            wait_until(lambda: not early.missing(beyond.next_ones()))
            wait_until(lambda: not beyond.missing(early.next_ones()))


MEMBERSHIP: Final = 0.6
"""Seconds that a switch remembers."""

REJOIN: Final = 0.2
"""Seconds between two joins, here, or more if the machine is busy; else it is minutes, as on such switches."""


def test_a_group_lives_on_at_a_switch_without_a_querier_for_it_is_joined_again_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with hosts(3) as network, ExitStack() as stack:
        a, b, c = network
        sender = stack.enter_context(channel_on(a))
        forgotten = stack.enter_context(channel_on(c))
        monkeypatch.setattr(memberships, "_REJOIN", REJOIN)
        remembered = stack.enter_context(channel_on(b))
        heard = {channel: Seen(channel.messages) for channel in (forgotten, remembered)}
        network.snoop(membership=MEMBERSHIP, querier=False)
        numbers = count()

        def reaches(receiver: ipc.Channel) -> bool:
            """Whether the switch sends the group there: the direct messages, which it knows the way of, come later."""
            number = f"{next(numbers)}"
            run(sender.broadcast(number))
            address, port = receiver.sender_address
            for text in (f"after {number}", f"long after {number}"):  # two: for each kind has a socket of its own
                run(sender.send(text, port, address))
                heard[receiver].wait_for(lambda seen, text=text: any(m.text == text for m in seen.values))
            return number in {message.text for message in heard[receiver].values}

        for _ in range(2):
            wait_until(lambda: not reaches(forgotten))  # in a moment it said for the last time that it joined
            time.sleep(2 * MEMBERSHIP)  # in which a switch that hears of no join forgets
            wait_until(lambda: reaches(remembered))
