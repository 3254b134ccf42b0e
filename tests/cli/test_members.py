"""``members``: who is in a group."""

from __future__ import annotations

import signal

from ..helpers import ipc, needs_linux
from .helpers import command, end, records, start, wait_until_listening

pytestmark = needs_linux


def test_it_tells_who_is_there(port: int) -> None:
    with (
        ipc.open_channel(port, presence=ipc.Presence("Bob", b"\xff")) as bob,
        ipc.open_channel(port, presence=ipc.Presence("Ann", b"likes tea"), reliable=True) as ann,
        ipc.open_channel(port),
    ):
        code, out, err = command("members", "--port", port, "--timeout", 5)
    assert (code, err) == (0, "")
    assert records(out) == [
        {
            "event": "member",
            "name": "Ann",
            "address": "127.0.0.1",
            "port": ann.sender_address[1],
            "about": "likes tea",
        },
        {
            "event": "member",
            "name": "Bob",
            "address": "127.0.0.1",
            "port": bob.sender_address[1],
            "about": {"$bytes": "ff"},
        },
    ]


def test_people_get_a_table_and_nothing_steers_their_terminal(port: int) -> None:
    with ipc.open_channel(port, presence=ipc.Presence("Ann", b"\x1b[2J")):
        code, out, _ = command("members", "--port", port, "--timeout", 5, "--human")
    head, line = out.decode().splitlines()
    assert code == 0
    assert head.split() == ["name", "address", "about"]
    assert line.startswith("Ann   127.0.0.1:")
    assert line.endswith("\\x1b[2J")


def test_nobody_there_is_an_exit_code(port: int) -> None:
    with ipc.open_channel(port):
        assert command("members", "--port", port, "--timeout", 1.2) == (1, b"", "")


def test_it_follows_who_comes_and_who_leaves(port: int) -> None:
    process = start("members", "--follow", "--port", port, "--verbose", "--json")
    wait_until_listening(process)
    assert process.stdout is not None
    with ipc.open_channel(port, presence="Ann"):
        (joined,) = records(process.stdout.readline())
    (left,) = records(process.stdout.readline())
    assert (joined["event"], joined["name"]) == ("joined", "Ann")
    assert (left["event"], left["name"], left["reason"]) == ("left", "Ann", "said goodbye")
    process.send_signal(signal.SIGINT)
    end(process)
