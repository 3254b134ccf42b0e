"""What the kernel does decides, not what libraries have: each feature is left by itself, at first and in use."""

from __future__ import annotations

import errno
import socket
import time
from typing import Any

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc.transport.udp import kernel_features
from rx_multicast_ipc.transport.udp.kernel_features import KernelFeatures

from ...helpers import finish, needs_linux, needs_namespaces, python
from .own_network import LINK
from .sandbox import needs_seccomp, sandboxed
from .test_transport import FOREIGN_JOIN

pytestmark = needs_linux

ALL = kernel_features.find()

TALK = """
import threading, time
import rx_multicast_ipc as ipc
from rx_multicast_ipc.transport.udp import kernel_features
port = PORT
payloads = [b"one", b"two", b"six", b"four", b"seven", b"", bytes(20_000), bytes(20_000)] + [b"x" * 100] * 100
def talk(one, two):
    heard, direct, ended = [], [], threading.Event()
    def take(message):
        (direct if message.direct else heard).append(message.data)
        if message.direct:
            ended.set()
    with two.messages.subscribe(take):
        sent = ipc.run(one.broadcast_all(payloads), timeout=60)
        ipc.run(one.broadcast("end"), timeout=60)
        while heard[-1:] != [b"end"]:
            time.sleep(0.002)
        ipc.run(one.send("alone", two.sender_address[1], two.sender_address[0]), timeout=60)
        assert ended.wait(60)
    assert heard == [*payloads, b"end"], [len(data) for data in heard]
    assert direct == [b"alone"], direct
"""

REFUSALS = {
    "recvmmsg": "Refusal('recvmmsg')",
    "recvmmsg as unknown": "Refusal('recvmmsg', error=38)",
    "sendmmsg": "Refusal('sendmmsg')",
    "sendmmsg as unknown": "Refusal('sendmmsg', error=38)",
    "sendmsg": "Refusal('sendmsg')",
    "sendmsg as unknown": "Refusal('sendmsg', error=38)",
    "recvmsg": "Refusal('recvmsg'), Refusal('recvmmsg')",
    "UDP_GRO": "Refusal('setsockopt', 17, 104)",
    "SO_MEMINFO": "Refusal('getsockopt', 1, 55)",
    "IP_MULTICAST_ALL": "Refusal('setsockopt', 0, 49)",
    "all": "Refusal('recvmsg'), Refusal('recvmmsg'), Refusal('sendmmsg'), Refusal('sendmsg'), "
    "Refusal('setsockopt', 17, 104), Refusal('setsockopt', 0, 49), Refusal('getsockopt', 1, 55)",
}


@needs_seccomp
@pytest.mark.parametrize("refusals", REFUSALS.values(), ids=REFUSALS)
def test_in_a_sandbox_channels_do_all_that_they_do_elsewhere(port: int, refusals: str) -> None:
    code = (
        TALK.replace("PORT", str(port))
        + f"""
refuse({refusals})
with ipc.open_channel(port) as one, ipc.open_channel(port) as two:
    talk(one, two)
    print(kernel_features.current())
"""
    )
    print(sandboxed(code))


@needs_seccomp
@pytest.mark.parametrize("refusals", [REFUSALS[name] for name in REFUSALS if name not in ("recvmsg", "all")])
def test_what_is_refused_only_in_use_is_given_up_then(port: int, refusals: str) -> None:
    code = (
        TALK.replace("PORT", str(port))
        + f"""
with ipc.open_channel(port) as one, ipc.open_channel(port) as two:
    talk(one, two)
    refuse({refusals})
    talk(one, two)
    with ipc.open_channel(port) as three:
        talk(two, three)
"""
    )
    assert sandboxed(code) == ""


@needs_seccomp
def test_what_cannot_be_told_apart_any_more_is_lost_and_told_once(port: int) -> None:
    code = (
        TALK.replace("PORT", str(port))
        + f"""
import logging, sys
logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
with ipc.open_channel(port) as one, ipc.open_channel(port) as two:
    talk(one, two)
    refuse({REFUSALS["recvmsg"]})
    heard = threading.Event()
    with two.messages.subscribe(lambda _: heard.set()):
        while not heard.wait(0.01):
            ipc.run(one.broadcast_all(["again", "again"]))
    heard.clear()
    with two.messages.subscribe(lambda _: heard.set()):
        while not heard.wait(0.01):
            ipc.run(one.send("again", two.sender_address[1], two.sender_address[0]))
with ipc.open_channel(port) as one, ipc.open_channel(port) as two:
    talk(one, two)
"""
    )
    told = sandboxed(code).splitlines()
    assert told
    assert all("recvmsg, which tells where they end, is refused" in line for line in told)
    assert len(told) <= 4  # one for each socket


@needs_seccomp
@pytest.mark.parametrize(
    ("refusals", "missing"),
    [
        ("Refusal('recvmmsg')", {"recvmmsg"}),
        ("Refusal('recvmsg')", {"recvmsg", "recvmmsg", "udp_gro"}),
        ("Refusal('sendmmsg')", {"sendmmsg"}),
        ("Refusal('sendmsg')", {"udp_segment", "udp_gro"}),
        ("Refusal('setsockopt', 17, 104)", {"udp_gro"}),
        ("Refusal('setsockopt', 0, 49)", {"ip_multicast_all"}),
        ("Refusal('setsockopt', 41, 29)", {"ipv6_multicast_all"}),
        ("Refusal('getsockopt', 1, 55)", {"so_meminfo"}),
    ],
)
def test_each_feature_is_left_by_itself(refusals: str, missing: set[str]) -> None:
    code = f"""
from rx_multicast_ipc.transport.udp import kernel_features
refuse({refusals})
print(*[name for name, there in kernel_features.find()._asdict().items() if not there])
"""
    others = {name for name, there in ALL._asdict().items() if not there}
    assert set(sandboxed(code).split()) == missing | others


@needs_seccomp
@needs_namespaces
@pytest.mark.parametrize("when", ["before", "after"])
def test_where_the_kernel_gives_what_others_joined_it_is_dropped_after_reading(when: str) -> None:
    refusal = "refuse(Refusal('setsockopt', 0, 49))\n"
    find = "from rx_multicast_ipc.transport.udp import kernel_features; kernel_features.find()\n"
    code = (refusal + find if when == "before" else find + refusal) + FOREIGN_JOIN
    assert sandboxed(code, LINK) == "here 1\n"


OLD_KERNEL = """
import socket
class Socket(socket.socket):  # as before Linux 4.18: UDP_SEGMENT beside a datagram is not looked at
    def sendmsg(self, buffers, ancillary=(), flags=0, address=None):
        kept = [one for one in ancillary if one[:2] != (17, 103)]
        return super().sendmsg(buffers, kept, flags, *(() if address is None else (address,)))
socket.socket = Socket
"""


def test_a_kernel_that_takes_segmentation_and_ignores_it_sends_each_payload_by_itself(port: int) -> None:
    code = (
        TALK.replace("PORT", str(port))
        + """
with ipc.open_channel(port) as one, ipc.open_channel(port) as two:
    talk(one, two)
    print(one.statistics.sent, kernel_features.current().udp_segment)
"""
    )
    assert finish(python(OLD_KERNEL + code)) == "110 False\n"


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_features, "_settled", False)
    monkeypatch.setattr(kernel_features, "_current", kernel_features.PLAIN)


def test_nothing_is_tried_when_the_package_is_imported() -> None:
    code = """
import socket
def refuse(*_, **__):
    raise AssertionError
socket.socket.__init__ = refuse
import rx_multicast_ipc
from rx_multicast_ipc.transport.udp import kernel_features
print(kernel_features.current() == kernel_features.PLAIN)
"""
    assert finish(python(code)) == "True\n"


@pytest.mark.usefixtures("untried")
def test_it_is_tried_once_a_process_in_less_than_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    durations: list[float] = []
    for _ in range(20):
        monkeypatch.setattr(kernel_features, "_settled", False)
        before = time.thread_time()
        assert kernel_features.find() == ALL
        durations.append(time.thread_time() - before)

    def try_all() -> None:
        raise AssertionError("tried again")

    monkeypatch.setattr(kernel_features, "_try_all", try_all)
    assert kernel_features.find() == ALL
    assert min(durations) < 0.001


@needs_namespaces
def test_with_loopback_down_it_is_tried_again_at_the_next_opening() -> None:
    code = """
import subprocess
from rx_multicast_ipc.transport.udp import kernel_features
subprocess.run(["ip", "link", "set", "lo", "down"], check=True)
print(kernel_features.find().sendmmsg)
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
print(kernel_features.find() == kernel_features.find(), kernel_features.find().recvmsg)
"""
    assert sandboxed(code, "true") == "False\nTrue True\n"


@pytest.mark.usefixtures("untried")
def test_without_descriptors_nothing_is_taken_for_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", refuse)
        with pytest.raises(OSError, match="Too many"):
            kernel_features.find()
    assert kernel_features.find() == ALL


def test_the_transport_says_what_it_uses(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_features, "_current", KernelFeatures(recvmsg=True, udp_gro=True))
    with ipc.open_channel(port) as channel:
        transport: Any = channel.transport
        assert repr(transport) == f"<UdpTransport 224.0.2.1:{port} on loopback by recvmsg, UDP_GRO>"


@needs_namespaces
def test_a_firewall_that_refuses_datagrams_ends_no_feature() -> None:
    code = """
import subprocess
import rx_multicast_ipc as ipc
from rx_multicast_ipc.transport.udp import kernel_features
with ipc.open_channel(61088) as channel:
    before = kernel_features.current()
    for payloads in (["one", "two"], ["one", "three"]):
        try:
            print(ipc.run(channel.broadcast_all(payloads), timeout=60))
        except ipc.SendFailed as error:
            print("a firewall refused it" in str(error))
    print(kernel_features.current() == before)
"""
    rules = (
        "nft add table ip t && nft 'add chain ip t out { type filter hook output priority 0; }' && "
        "nft add rule ip t out ip daddr 224.0.2.1 drop"
    )
    assert sandboxed(code, rules) == "True\nTrue\nTrue\n"
