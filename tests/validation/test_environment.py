"""What environment variables say for calls that say nothing."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc.errors import InvalidOption
from rx_multicast_ipc.testing import VirtualClock, VirtualNetwork
from rx_multicast_ipc.validation import environment


def test_calls_that_name_no_port_and_group_take_those_of_the_environment(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RX_MULTICAST_IPC_PORT", str(port))
    monkeypatch.setenv("RX_MULTICAST_IPC_GROUP", " 239.1.2.3 ")
    with ipc.open_channel() as channel:
        assert (channel.group.port, channel.group.address) == (port, "239.1.2.3")
        ipc.run(ipc.broadcast("by the environment"))
        assert ipc.run(channel.wait_for_message(timeout=60)).text == "by the environment"
    with VirtualNetwork(VirtualClock()).open_channel() as virtual:
        assert (virtual.group.port, virtual.group.address) == (port, "239.1.2.3")
    assert f"239.1.2.3:{port}" in repr(ipc.messages())


def test_calls_that_name_them_do_not(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RX_MULTICAST_IPC_PORT", "nonsense")
    monkeypatch.setenv("RX_MULTICAST_IPC_GROUP", "nonsense")
    with ipc.open_channel(port, "239.1.2.3", interface="loopback") as channel:
        assert (channel.group.port, channel.group.address) == (port, "239.1.2.3")


def test_blank_variables_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (environment.PORT, environment.GROUP, environment.INTERFACE):
        monkeypatch.setenv(name, "  ")
    group = ipc.Group.of()
    assert (group.port, group.address, group.interface) == (61088, "224.0.2.1", "loopback")


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("RX_MULTICAST_IPC_PORT", "0", ipc.InvalidPort),
        ("RX_MULTICAST_IPC_PORT", "65536", ipc.InvalidPort),
        ("RX_MULTICAST_IPC_PORT", "http", ipc.InvalidPort),
        ("RX_MULTICAST_IPC_PORT", "-1", ipc.InvalidPort),
        ("RX_MULTICAST_IPC_PORT", "1e4", ipc.InvalidPort),
        ("RX_MULTICAST_IPC_PORT", "9" * 5000, ipc.InvalidPort),
        ("RX_MULTICAST_IPC_GROUP", "10.0.0.1", ipc.InvalidGroup),
        ("RX_MULTICAST_IPC_GROUP", "example.org", ipc.InvalidGroup),
        ("RX_MULTICAST_IPC_INTERFACE", "loopback,eth0", ipc.InvalidInterface),
        ("RX_MULTICAST_IPC_INTERFACE", "fe80::1", ipc.InvalidInterface),
    ],
)
@pytest.mark.parametrize("call", [ipc.open_channel, ipc.messages, lambda: ipc.broadcast("x"), ipc.Group.of])
def test_a_bad_one_is_refused_at_once_and_named(
    monkeypatch: pytest.MonkeyPatch, call: Callable[[], object], name: str, text: str, error: type[Exception]
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(error, match=name) as raised:
        call()
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)


def test_what_a_reader_of_a_variable_raises_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(text: str) -> int:
        raise InvalidOption(f"not {text}")

    monkeypatch.setenv("RX_MULTICAST_IPC_KEY", "this")
    with pytest.raises(InvalidOption, match=r"not this .*RX_MULTICAST_IPC_KEY is 'this'"):
        environment.read(environment.KEY, refuse, 1)


@pytest.mark.parametrize("command", ["listen", "send", "topics", "ping", "record", "replay"])
def test_a_command_with_a_bad_one_is_a_mistake_in_the_call(command: str) -> None:
    given = {"send": ["x"], "record": ["x.pcap"], "replay": ["x.pcap"]}.get(command, [])
    ended = subprocess.run(
        [sys.executable, "-m", "rx_multicast_ipc", command, *given],
        capture_output=True,
        text=True,
        env={**os.environ, "RX_MULTICAST_IPC_PORT": "0"},
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    assert "RX_MULTICAST_IPC_PORT" in ended.stderr


def test_a_commands_help_is_there_whatever_the_environment_says() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "rx_multicast_ipc", "listen", "--help"],
        capture_output=True,
        text=True,
        env={**os.environ, "RX_MULTICAST_IPC_PORT": "0"},
        timeout=60,
        check=False,
    )
    assert (ended.returncode, "RX_MULTICAST_IPC_PORT" in ended.stdout) == (0, True)
