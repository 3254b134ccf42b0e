"""What a rule works with: a kind of transport, ends of it, and time that passes."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import repeat
from random import SystemRandom
from unittest import SkipTest

from ...channel_events import ChannelEvent
from ...channel_options import complete
from ...group import Group
from ...message import Message
from ...transport import Hears, OpenTransport, Transport
from .broken_promise import BrokenPromise

RECEIVE_BUFFER = 1 << 20
"""Bytes that ends ask for. Systems may grant 208 KiB: no rule has more on the way."""

PATIENCE = 30.0
"""Seconds of real time after which what should have happened will not, however busy the machine is."""

_wait_a_little = partial(time.sleep, 0.002)

_TURNS = 4000
"""The same where time is virtual: how often it is passed."""

_NAMED = range(10_000, 32_000)
"""Ports below those that systems give to sockets which name none (from 32768 or 49152 on). Such a one could get the
port between the look and its use, and on Windows would not share it with a group's."""


class Rig:
    """One kind of transport under test.

    Args:
        open_transport: opens an end of a group.
        group: which one; on loopback, on a port that nobody uses, if not given.
        pass_time: lets a little time pass: a few milliseconds of real time, if not given. For a transport in virtual
            time it advances the clock by less than it takes a datagram to arrive.
        concurrent: whether ends may be used by several threads at the same time.
        cannot_open: a group that cannot be opened; without one, the rule about that is skipped.
        break_down: makes a started end suffer a fault that ends it, as soon as a datagram arrives; without it, the
            rule about that is skipped.
        disturb: takes the network interface of an end down, and up again, or loses its connection; without it, the
            rules about that are skipped.
        elsewhere: Python that sets ``open_transport`` and ``group`` in another process, so that its ends and those of
            the rig hear each other; without it, the rules about other processes are skipped.
    """

    def __init__(
        self,
        open_transport: OpenTransport,
        *,
        group: Group | None = None,
        pass_time: Callable[[], object] | None = None,
        concurrent: bool = True,
        cannot_open: Group | None = None,
        break_down: Callable[[Transport], object] | None = None,
        disturb: Callable[[Transport], object] | None = None,
        elsewhere: str | None = None,
    ) -> None:
        self.group = group or Group.of(free_port())
        self.concurrent = concurrent
        self.open_transport = open_transport
        self._pass_time = pass_time
        self._cannot_open = cannot_open
        self._break_down = break_down
        self._disturb = disturb
        self._elsewhere = elsewhere
        self._opened: list[Transport] = []

    def open(self, hears: Hears = Hears.ALL, *, group: Group | None = None, echo: bool = True) -> Transport:
        """An end that was not started."""
        options = complete({"receive_buffer": RECEIVE_BUFFER, "echo": echo})
        transport = self.open_transport(group or self.group, options, hears)
        self._opened.append(transport)
        return transport

    def start(
        self,
        on_message: Callable[[Message], object] | None = None,
        *,
        group: Group | None = None,
        hears: Hears = Hears.ALL,
        echo: bool = True,
    ) -> End:
        """An end that listens, and calls ``on_message`` for each message while it is delivered."""
        return End(self.open(hears, group=group, echo=echo), on_message)

    def adopt(self, transport: Transport) -> End:
        """Start an end that was opened before."""
        return End(transport)

    def until(self, what: str, condition: Callable[[], object], patience: float | None = None) -> None:
        """Let time pass until ``condition`` holds; raises ``BrokenPromise``, saying ``what``, if it never does."""
        for pass_time in self._moments(PATIENCE if patience is None else patience):
            if condition():
                return
            pass_time()
        raise BrokenPromise(f"this never happened: {what}")

    def _moments(self, patience: float) -> Iterator[Callable[[], object]]:
        """What lets a little time pass, for as long as may be waited."""
        if self._pass_time is not None:
            yield from repeat(self._pass_time, _TURNS)
            return
        end = time.monotonic() + patience
        while time.monotonic() < end:
            yield _wait_a_little

    def hear(self, count: int, *ends: End) -> None:
        """Let time pass until each end has heard that many messages."""
        for end in ends:
            self.until(f"an end hears {count} messages", lambda end=end: len(end.messages) >= count)

    def in_threads(self, actions: Iterable[Callable[[], object]]) -> None:
        """Run each action on a thread of its own and wait for all: at the same time if the transport takes that."""
        errors: list[BaseException] = []

        def run(action: Callable[[], object]) -> None:
            try:
                action()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=run, args=(action,), daemon=True) for action in actions]
        for thread in threads:
            thread.start()
            if not self.concurrent:
                thread.join()
        for thread in threads:
            thread.join()
        if errors:
            raise BrokenPromise(f"on another thread this was raised: {errors[0]!r}") from errors[0]

    @property
    def cannot_open(self) -> Group:
        if self._cannot_open is None:
            raise SkipTest("the rig names no group that cannot be opened (cannot_open=)")
        return self._cannot_open

    def break_down(self, transport: Transport) -> None:
        if self._break_down is None:
            raise SkipTest("the rig has no way to make an end suffer a fault (break_down=)")
        self._break_down(transport)

    def disturb(self, transport: Transport) -> None:
        if self._disturb is None:
            raise SkipTest("the rig has no way to take an end's interface down and up again (disturb=)")
        self._disturb(transport)

    @property
    def elsewhere(self) -> str:
        if self._elsewhere is None:
            raise SkipTest("the rig cannot open an end in another process (elsewhere=)")
        return self._elsewhere

    def wrap_elsewhere(self, code: str) -> None:
        """Have ``code`` run in other processes: it puts around ``open_transport`` what is around that of the rig."""
        if self._elsewhere is not None:
            self._elsewhere += code

    def close(self) -> None:
        """Close every end."""
        for transport in self._opened:
            transport.close()


class End:
    """A started transport, and what it did.

    Attributes:
        transport: the transport.
        messages: what it delivered.
        batches: how many messages came with each delivery.
        changes: what it said of the network.
        ends: what it said when it ended.
        log: ``"deliver"``, ``"changed"`` and ``"ended"``, as they were called.
        threads: the identities of the threads that called.
        overlaps: how many calls came during another one.
    """

    def __init__(self, transport: Transport, on_message: Callable[[Message], object] | None = None) -> None:
        self.transport = transport
        self.messages: list[Message] = []
        self.batches: list[int] = []
        self.changes: list[ChannelEvent] = []
        self.ends: list[Exception | None] = []
        self.log: list[str] = []
        self.threads: set[int] = set()
        self.overlaps = 0
        self._on_message = on_message
        self._inside = threading.Lock()
        transport.start(self._deliver, self._ended, self._changed)

    @property
    def payloads(self) -> list[bytes]:
        return [message.data for message in self.messages]

    def visit(self) -> None:
        """Note that something runs on the I/O thread, as a delivery does."""
        if not self._inside.acquire(blocking=False):
            self.overlaps += 1
            return
        try:
            self.threads.add(threading.get_ident())
            time.sleep(0)  # gives another thread that should not be here its chance
        finally:
            self._inside.release()

    def _deliver(self, batch: list[Message]) -> None:
        self.log.append("deliver")
        self.threads.add(threading.get_ident())
        alone = self._inside.acquire(blocking=False)
        self.overlaps += not alone
        try:
            self.batches.append(len(batch))
            for message in batch:
                self.messages.append(message)
                if self._on_message is not None:
                    self._on_message(message)
                else:
                    time.sleep(0)
        finally:
            if alone:
                self._inside.release()

    def _changed(self, event: ChannelEvent) -> None:
        self.log.append("changed")
        self.visit()
        self.changes.append(event)

    def _ended(self, fault: Exception | None) -> None:
        self.log.append("ended")
        self.threads.add(threading.get_ident())
        self.ends.append(fault)


def free_port(*, other_than: int = 0) -> int:
    """A UDP port that nobody uses, nor will without naming it."""
    for port in SystemRandom().sample(_NAMED, 100):  # tests may seed the usual one
        with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("", port))
            if port != other_than:
                return port
    raise OSError("no UDP port was found that nobody uses")
