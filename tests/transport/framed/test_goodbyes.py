"""Ends that open, send and close, over and over, and interpreters that end: heard, or warned of."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from rx_multicast_ipc.testing import FaultyNetwork, VirtualClock, VirtualNetwork
from rx_multicast_ipc.testing.conformance.transport_rig import free_port
from rx_multicast_ipc.transport import close_at_exit

from ...helpers import PATIENCE, wait_until

TIMES = 200


@pytest.mark.parametrize("loss", [0.1, 0.4])
def test_each_of_many_short_lives_is_heard_or_warned_of(loss: float, caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    network = VirtualNetwork(clock, latency=0.002, loss=loss, seed=4)
    end = network.open_channel(host="10.0.0.1", reliable=True)
    heard: set[bytes] = set()
    end.messages.subscribe(lambda message: heard.add(message.data))
    clock.advance_by(1.0)
    lost: list[int] = []
    for number in range(TIMES):
        sender = network.open_channel(host="10.0.0.2", reliable=True)
        sender.broadcast(b"%d" % number).subscribe()
        with caplog.at_level(logging.WARNING, "rx_multicast_ipc"):
            caplog.clear()
            sender.close()
            clock.advance_by(2.0)
        if b"%d" % number not in heard:
            lost.append(number)
            assert sender.statistics.unacknowledged
            assert "were not acknowledged" in caplog.text
    assert len(lost) <= loss * loss * TIMES


def test_who_had_everything_and_left_is_nobody_to_warn_of(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    network = VirtualNetwork(clock, latency=0.002)
    sender, receiver = (network.open_channel(host=f"10.0.0.{number}", reliable=True) for number in (1, 2))
    clock.advance_by(1.0)
    sender.broadcast_all([b"x"] * 50).subscribe()
    clock.advance_by(1.0)
    receiver.close()
    clock.advance_by(2.0)
    sender.close()
    clock.advance_by(2.0)
    assert sender.statistics.unacknowledged == 0
    assert caplog.text == ""


ENDS = """
import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing import FaultyNetwork
channel = FaultyNetwork(loss={loss}, seed={seed}).open_channel({port}, reliable=True)
{more}
channel.broadcast("last words").subscribe()
"""


@pytest.mark.parametrize("seed", range(3))
def test_an_interpreter_that_ends_is_heard_or_warned_of(seed: int) -> None:
    port = free_port()
    with FaultyNetwork(loss=0.5, seed=seed + 100).open_channel(port, reliable=True) as end:
        heard: list[bytes] = []
        end.messages.subscribe(lambda message: heard.append(message.data))
        script = ENDS.format(loss=0.5, seed=seed, port=port, more="")
        ended = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            check=True,
            timeout=PATIENCE,
            capture_output=True,
            text=True,
        )
        wait_until(lambda: heard or "were not acknowledged" in ended.stderr)
    assert heard in ([], [b"last words"])


def test_an_interpreter_that_ends_hears_its_own_last_words() -> None:
    more = 'channel.messages.subscribe(lambda message: print(message.text))\nprint("begun")'
    script = ENDS.format(loss=0.0, seed=0, port=free_port(), more=more)
    ended = subprocess.run([sys.executable, "-c", script], check=True, timeout=PATIENCE, capture_output=True, text=True)
    assert ended.stdout.split("\n") == ["begun", "last words", ""]


class _Slow:
    """An end that does not end."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def finish(self, deadline: float) -> None:
        pass

    def wait_ended(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return False

    def forget(self) -> None:
        pass


def test_the_interpreter_waits_longer_for_ends_that_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(close_at_exit, "_open", {})
    close: Any = close_at_exit
    usual, lingering = _Slow(), _Slow()
    close_at_exit.add(usual)
    close_at_exit.add(lingering, 1.2)
    close._close_all()
    assert 0.0 <= usual.waits[0] <= 0.5
    assert usual.waits[0] < lingering.waits[0] <= 1.2
