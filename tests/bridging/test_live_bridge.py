"""Bridges between groups on loopback, with real sockets, threads and processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator
from contextlib import contextmanager

import pytest
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc import Bridge, BridgeRole

from ..cli.helpers import start
from ..helpers import Seen, finish, needs_linux, needs_posix, nothing_left_behind, python, run, wait_until
from ..wine import is_wine

WIDE_GROUP = "239.255.7.7"
PATIENT = 2.0
"""Seconds. A bridge that the machine does not run for a quarter of its ``takeover`` may be taken for gone."""


def wide_port(port: int) -> int:
    """The same, but under Wine, where a socket hears other groups on its port."""
    return port + is_wine()


@contextmanager
def joined(port: int, **options: float) -> Generator[Bridge]:
    """A bridge that carries between the default group and WIDE_GROUP."""
    sides = ipc.Group.of(port), ipc.Group.of(wide_port(port), WIDE_GROUP)
    with ipc.bridge(*sides, **{"takeover": PATIENT, **options}) as bridge:  # pyright: ignore[reportArgumentType]
        run(bridge.roles.pipe(ops.first(lambda role: role is BridgeRole.CARRYING)))
        yield bridge


def test_it_lets_go_of_everything(port: int) -> None:
    with ipc.open_channel(port) as here, ipc.open_channel(wide_port(port), WIDE_GROUP) as there:
        with nothing_left_behind(), joined(port) as bridge:
            run(here.broadcast("hello"))
            run(there.broadcast("hello"))
            wait_until(lambda: bridge.statistics.ends == 2)
        assert bridge.closed


@pytest.mark.wine_fault("groups of others")
def test_a_process_ends_with_a_bridge_open() -> None:
    code = (
        "import rx_multicast_ipc as ipc\n"
        "from reactivex import operators as ops\n"
        "bridge = ipc.bridge(ipc.Group.of(), ipc.Group.of(61088, '239.255.7.7'), takeover=0.2)\n"
        "ipc.run(bridge.roles.pipe(ops.take(2)), timeout=60)\n"
        "print(bridge.role)"
    )
    assert finish(python(code)) == "carrying\n"


def test_one_that_is_forgotten_goes_on_and_says_so(port: int) -> None:
    bridges = [ipc.bridge(ipc.Group.of(port), ipc.Group.of(wide_port(port), WIDE_GROUP))]
    driver = bridges[0]._driver  # pyright: ignore[reportPrivateUsage]
    try:
        with pytest.warns(ResourceWarning, match="goes on to the end of the process; use it in a with block"):
            bridges.clear()
        assert not driver.closed
    finally:
        driver.close()


def test_it_may_be_closed_by_one_of_its_own_subscribers(port: int) -> None:
    with nothing_left_behind():
        bridge = ipc.bridge(ipc.Group.of(port), ipc.Group.of(wide_port(port), WIDE_GROUP), takeover=0.2)
        roles = Seen(bridge.roles)
        bridge.roles.subscribe(lambda role: bridge.close() if role is BridgeRole.CARRYING else None)
        roles.wait_for_end()


@needs_linux  # which alone counts what did not fit into a socket's buffer
def test_many_messages_cross_whole_and_in_order(port: int) -> None:
    assert any(all_cross(port) for _ in range(10))


def all_cross(port: int) -> bool:
    """Whether a bridge carried all the time. Stopped for long by the machine, it comes anew, and missed what came."""
    with joined(port) as bridge, ipc.open_channel(port) as here, ipc.open_channel(wide_port(port), WIDE_GROUP) as there:

        def wait_for(condition: Callable[[], object]) -> None:
            wait_until(lambda: condition() or bridge.statistics.takeovers > 1)

        seen = Seen(there.messages)
        payloads = [b"%06d" % number for number in range(5000)]
        run(here.broadcast_all(payloads, rate=20_000))
        wait_for(lambda: bridge.statistics.to_wide + bridge.statistics.dropped == 5000)
        run(there.broadcast("end"))  # which may come before what is still in the socket: own messages come from memory
        wait_for(lambda: len(seen.values) + bridge.statistics.dropped + (there.statistics.dropped or 0) >= 5001)
        if bridge.statistics.takeovers > 1:
            return False
        heard = [message.data for message in seen.values if message.data != b"end"]
        assert heard == sorted(set(heard))
        assert len(heard) + bridge.statistics.dropped + (there.statistics.dropped or 0) == 5000
        return True


def test_reliable_channels_do_not_notice_it(port: int) -> None:
    with (
        joined(port),
        ipc.open_channel(port, reliable=True) as here,
        ipc.open_channel(wide_port(port), WIDE_GROUP, reliable=True) as there,
    ):
        seen = Seen(there.messages)
        large = bytes(range(256)) * 4000
        run(here.broadcast(large))
        run(here.broadcast("end"))
        assert [message.data for message in seen.wait_for_count(2)] == [large, b"end"]
        answers = Seen(here.messages.pipe(ops.filter(lambda m: m.direct)))
        run(there.reply(seen.values[1], "thanks"))
        assert answers.wait_for_count(1)[0].data == b"thanks"


@needs_posix
def test_a_bridge_that_is_stopped_and_goes_on_carries_nothing_twice(port: int) -> None:
    """What waited in its sockets was carried by the other one, or was missed, and is not carried late."""
    command = ("bridge", "loopback", "loopback", "-p", port, "--wide-group", WIDE_GROUP, "--takeover", PATIENT)
    processes = [start(*command)]
    try:
        with ipc.open_channel(port) as here, ipc.open_channel(wide_port(port), WIDE_GROUP) as there:
            seen = Seen(there.messages)
            probe(here, seen)
            sides = ipc.Group.of(port), ipc.Group.of(wide_port(port), WIDE_GROUP)
            with ipc.bridge(*sides, takeover=PATIENT) as other:
                run(other.roles.pipe(ops.first(lambda role: role is BridgeRole.STANDING_BY)))
                processes[0].send_signal(signal.SIGSTOP)
                os.waitpid(processes[0].pid, os.WUNTRACED)  # until it has stopped
                for number in range(20):
                    run(here.broadcast(f"while stopped {number}"))
                run(other.roles.pipe(ops.first(lambda role: role is BridgeRole.CARRYING)))
                wait_until(
                    lambda: other.statistics.missed >= 20
                )  # and probes, if it was stopped before it carried the last
                run(here.broadcast("by the other"))
                seen.wait_for(lambda seen: seen.values[-1].data == b"by the other")
                processes[0].send_signal(signal.SIGCONT)
                for number in range(20):
                    run(here.broadcast(f"after {number}"))
                seen.wait_for(lambda seen: seen.values[-1].data == b"after 19")
                stdout = processes[0].stdout
                assert stdout is not None
                while b"standing by" not in stdout.readline():
                    pass
                run(here.broadcast("end"))
                seen.wait_for(lambda seen: seen.values[-1].data == b"end")
                heard = [message.data for message in seen.values if message.data != b"probe"]
                assert heard == [b"by the other", *(b"after %d" % number for number in range(20)), b"end"]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def probe(here: ipc.Channel, seen: Seen[ipc.Message]) -> None:
    """Wait until something is carried."""

    def asked() -> bool:
        run(here.broadcast("probe"))
        return bool(seen.values)

    wait_until(asked)


@pytest.mark.parametrize("which", [0, 1])
def test_one_that_cannot_be_opened_leaves_nothing_behind(port: int, which: int) -> None:
    sides = [ipc.Group.of(port), ipc.Group.of(wide_port(port), WIDE_GROUP)]
    sides[which] = ipc.Group.of(port, interface="192.0.2.77")
    with nothing_left_behind(), pytest.raises(ipc.MulticastError):
        ipc.bridge(*sides)
