"""The bridge command."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from typing import Any

import msgspec
import pytest

import rx_multicast_ipc as ipc

from ..helpers import PATIENCE, interrupt, run
from .helpers import command, end, records, start

WIDE_GROUP = "239.255.7.7"
JOIN = ("bridge", "loopback", "loopback", "--wide-group", WIDE_GROUP, "--takeover", 3)
"""With more than the usual, for a bridge that a busy machine does not run for a quarter of it may be taken for gone."""


@pytest.mark.wine_fault("groups of others")
def test_it_joins_two_groups_and_tells_what_it_does_and_what_it_carried(port: int) -> None:
    process = start(*JOIN, "--port", port)
    assert [found["role"] for found in _roles(process, 2)] == ["listening", "carrying"]
    with ipc.open_channel(port) as here, ipc.open_channel(port, WIDE_GROUP) as there:
        there.respond(lambda m: m.text == "who?", lambda _: "me").subscribe()
        assert run(here.request("who?", lambda m: m.text == "me", timeout=PATIENCE)).direct
    interrupt(process)
    code, out, err = end(process)
    assert (code, err) == (130, "")
    (told,) = records(out)
    assert (told["event"], told["to_wide"], told["to_local"], told["ends"]) == ("end", 1, 1, 2)


@pytest.mark.wine_fault("groups of others")
def test_it_ends_after_its_duration(port: int) -> None:
    code, out, err = command(*JOIN, "--port", port, "--duration", 0, "--human")
    assert (code, err) == (0, "")
    assert b"to wide 0" in out


@pytest.mark.wine_fault("groups of others")
def test_a_killed_one_is_replaced_and_what_was_missed_is_counted(port: int) -> None:
    with ExitStack() as stack:
        processes = [start(*JOIN, "-p", port) for _ in range(2)]
        for process in processes:
            stack.callback(end, process)
            stack.callback(process.kill)
        last = [_roles(process, 2)[-1]["role"] for process in processes]
        assert sorted(last) == ["carrying", "standing by"]
        first, second = processes if last[0] == "carrying" else reversed(processes)
        sender = stack.enter_context(ipc.open_channel(port))
        listener = stack.enter_context(ipc.open_channel(port, WIDE_GROUP))
        heard: list[str] = []
        listener.messages.subscribe(lambda m: heard.append(m.text))
        run(sender.broadcast("0"))
        run(listener.wait_for_message())
        first.kill()
        first.wait()
        for number in range(1, 8):
            run(sender.broadcast(f"{number}"))
        (told,) = _roles(second, 1)
        assert (told["role"], told["missed"]) == ("carrying", 7)
        run(sender.broadcast("8"))
        run(listener.wait_for_message())
        assert heard == ["0", "8"]


def test_mistakes_are_told_in_one_line() -> None:
    code, out, err = command("bridge", "loopback", "loopback")
    assert (code, out) == (2, b"")
    assert err.startswith("rx-multicast-ipc: a bridge joins two segments")


def _roles(process: subprocess.Popen[bytes], count: int) -> list[dict[str, Any]]:
    assert process.stdout is not None
    return [msgspec.json.decode(process.stdout.readline()) for _ in range(count)]
