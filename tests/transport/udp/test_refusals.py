"""Whatever the system refuses: the right error, with advice, and nothing left open."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from rx_multicast_ipc.transport.udp.platform import platform_of

from ...helpers import finish, ipc, needs_linux, needs_namespaces, nothing_left_behind, python
from ...hosts.namespace import Namespace
from .own_network import LINK, told_apart

pytestmark = needs_linux

TELL = """
import os, resource, sys, threading, time
import rx_multicast_ipc as ipc

def held():
    return len(os.listdir("/proc/self/fd")), threading.active_count()

def settled(before):  # a thread ends a moment after its channel
    deadline = time.monotonic() + 60
    while held() != before:
        assert time.monotonic() < deadline, (before, held())
        time.sleep(0.002)

def tell(action):
    try:
        print("well", action())
    except ipc.MulticastError as error:
        print(f"{type(error).__name__}: {error}")

def opening(*arguments, **options):
    ipc.open_channel(*arguments, **options).close()
"""

WARM = """
before = held()
opening()
settled(before)
"""


def told(code: str, script: str = "") -> str:
    return told_apart(TELL + code, script)


@pytest.mark.parametrize("interface", ["loopback", "lo", "127.0.0.1", "default", "all"])
def test_without_descriptors_no_interface_is_said_to_be_missing(interface: str) -> None:
    code = (
        WARM
        + f"""
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
for spare in range(5):
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + spare, hard))
    tell(lambda: opening(interface={interface!r}))
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    settled(before)
"""
    )
    said = told(code, f"{LINK} && ip route add 224.0.0.0/4 dev net0" if _namespaced(interface) else "").splitlines()
    assert len(said) == 5
    for line in said:
        assert line.startswith("CannotOpen: "), line
        assert "ulimit -n" in line


def _namespaced(interface: str) -> bool:
    return interface in ("default", "all")


def refused(script: str, action: Callable[[], object]) -> str:
    """What an action raises in a network that the script made, and that it leaves nothing behind."""
    namespace = Namespace()
    try:
        namespace.run("sh", "-c", f"ip link set lo up && {script}")
        with namespace.entered(), nothing_left_behind(), pytest.raises(ipc.MulticastError) as caught:
            action()
    finally:
        namespace.close()
    return f"{type(caught.value).__name__}: {caught.value}"


@needs_namespaces
@pytest.mark.parametrize(
    ("script", "options", "error", "advice"),
    [
        ("echo 0 > /proc/sys/net/ipv4/igmp_max_memberships", {}, "CannotOpen", "net.ipv4.igmp_max_memberships"),
        (
            "echo 1 > /proc/sys/net/ipv4/igmp_max_msf",
            {"sources": ["127.0.0.1", "127.0.0.2"]},
            "CannotOpen",
            "net.ipv4.igmp_max_msf",
        ),
        (f"{LINK} && ip route add blackhole 224.0.0.0/4", {"interface": "default"}, "NoRoute", "name the interface"),
        (f"{LINK} && ip route add unreachable 224.0.0.0/4", {"interface": "default"}, "NoRoute", "name the interface"),
        (f"{LINK} && ip route add prohibit 224.0.0.0/4", {"interface": "default"}, "NoRoute", "name the interface"),
        (f"{LINK} && ip route add throw 224.0.0.0/4", {"interface": "default"}, "NoRoute", "name the interface"),
        (
            f"{LINK} && ip -6 route add blackhole ff05::/16 table local",
            {"group": "ff05::1:7", "interface": "default"},
            "NoRoute",
            "name the interface",
        ),
        ("true", {"group": "ff02::1:7", "interface": "lo"}, "NoRoute", "IPv4 group"),
        ("true", {"group": "ff05::1:7", "interface": "::1"}, "NoRoute", "ip -6 route add ff00::/8 dev lo"),
        (LINK, {"interface": "::ffff:192.0.2.77"}, "InvalidInterface", "write it as 192.0.2.77"),
        (
            LINK,
            {"group": "ff05::1:7", "interface": "::ffff:192.0.2.77"},
            "InvalidInterface",
            "write it as 192.0.2.77",
        ),
        (LINK, {"group": "ff02::1:7", "interface": "fe80::9%nosuch"}, "InvalidInterface", '"net0"'),
        (
            LINK,
            {"group": "ff02::1:7", "interface": "net0", "sources": ["::ffff:10.0.0.1"]},
            "InvalidAddress",
            "10.0.0.1",
        ),
    ],
)
def test_what_cannot_be_opened_says_what_to_do(script: str, options: dict[str, Any], error: str, advice: str) -> None:
    said = refused(script, lambda: ipc.open_channel(**options))
    assert said.startswith(f"{error}: "), said
    assert advice in said


@needs_namespaces
@pytest.mark.parametrize(
    ("script", "group", "address", "error", "advice"),
    [
        ("ip route add blackhole 10.9.0.0/16", "224.0.2.1", "10.9.0.1", "SendFailed", "blackhole"),
        ("ip route add unreachable 10.9.0.0/16", "224.0.2.1", "10.9.0.1", "SendFailed", "no host answers"),
        ("ip route add prohibit 10.9.0.0/16", "224.0.2.1", "10.9.0.1", "SendFailed", "prohibit"),
        ("ip -6 route add blackhole 2001:db8:9::/48", "ff05::1:7", "2001:db8:9::1", "SendFailed", "blackhole"),
        ("true", "ff05::1:7", "fe80::9%nosuch", "InvalidAddress", '"net0"'),
        ("true", "ff05::1:7", "fe80::9%net\0", "InvalidAddress", '"net0"'),
        ("true", "ff05::1:7", "::ffff:10.9.0.1", "InvalidAddress", "10.9.0.1"),
        ("true", "ff05::1:7", "10.9.0.1", "InvalidAddress", "IPv4"),
    ],
)
def test_what_cannot_be_sent_says_what_to_do(script: str, group: str, address: str, error: str, advice: str) -> None:
    def send() -> None:
        with ipc.open_channel(group=group, interface="default") as channel:
            ipc.run(channel.send("x", 7, address))

    said = refused(f"{LINK} && ip route add 224.0.0.0/4 dev net0 && {script}", send)
    assert said.startswith(f"{error}: "), said
    assert advice in said


needs_64_bits = pytest.mark.skipif(struct.calcsize("P") < 8, reason="no size lies between those two in 32 bits")

NO_ROOM = """
threading.stack_size({stack})
with open("/proc/self/statm") as numbers:
    used = int(numbers.read().split()[0]) * resource.getpagesize()
soft, hard = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (used + {spare}, hard))
tell(opening)
resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
settled(before)
tell(opening)
settled(before)
"""


@pytest.mark.parametrize(
    ("stack", "spare", "advice"),
    [
        (256 << 20, 64 << 20, "limit of threads"),
        pytest.param(1 << 20, 3 << 20, "no memory is left", marks=needs_64_bits),
    ],
    ids=["no thread", "no memory"],
)
def test_without_memory_or_threads_nothing_is_left_open(stack: int, spare: int, advice: str) -> None:
    code = WARM + NO_ROOM.format(stack=stack, spare=spare)
    first, second = told(code).splitlines()
    assert first.startswith("CannotOpen: "), first
    assert advice in first
    assert second == "well None"


@pytest.mark.parametrize("name", ["freebsd14", "openbsd7", "sunos5", "wasi", "aix"])
def test_a_platform_that_is_not_supported_says_so_when_a_channel_is_opened(name: str) -> None:
    code = f"""
import sys
sys.platform = {name!r}
import rx_multicast_ipc as ipc
try:
    ipc.open_channel()
except ipc.Unsupported as error:
    print(error)
"""
    assert name in finish(python(code))
    assert platform_of(name) == "other"
