from __future__ import annotations

import errno
import logging
import socket
import subprocess
import sys
import threading
from types import ModuleType
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc.transport.udp import host_addresses, socket_options, socket_plans, transport

from ...helpers import (
    PATIENCE,
    ROOT,
    Seen,
    finish,
    in_namespace,
    needs_linux,
    needs_namespaces,
    nothing_left_behind,
    python,
    raw_sender,
    wait_until,
)
from .own_network import LINK, told, told_apart


@needs_linux
def test_every_datagram_of_a_flood_is_either_received_or_counted_as_dropped(port: int) -> None:
    sent = 20_000
    with ipc.open_channel(port, receive_buffer=4096) as channel, raw_sender() as sender:
        for _ in range(sent):
            sender.sendto(bytes(100), ("224.0.2.1", port))
        wait_until(lambda: channel.statistics.received + (channel.statistics.dropped or 0) == sent)
        statistics = channel.statistics
        channel.close()
        assert statistics.dropped
        assert channel.statistics == statistics


@needs_linux
def test_drops_are_logged_with_advice(
    port: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(transport, "_DROP_CHECK", 0.01)
    release = threading.Event()

    def hold_up(_: ipc.Message) -> None:
        release.wait(PATIENCE)

    with ipc.open_channel(port, receive_buffer=4096) as channel, raw_sender() as sender:
        channel.messages.pipe(ops.take(1)).subscribe(hold_up)
        for _ in range(500):
            sender.sendto(bytes(100), ("224.0.2.1", port))
        release.set()
        wait_until(lambda: "the kernel dropped" in caplog.text)
    assert "raise receive_buffer" in caplog.text
    assert all(record.levelno == logging.WARNING for record in caplog.records)


def test_the_granted_receive_buffer_is_reported(port: int) -> None:
    with ipc.open_channel(port, receive_buffer=20_000) as channel:
        assert channel.statistics.receive_buffer >= 20_000


def test_another_group_on_the_same_port_is_not_heard(port: int) -> None:
    with ipc.open_channel(port, "224.0.2.1") as one, ipc.open_channel(port, "224.0.2.2") as two:
        ipc.run(two.broadcast("to the second"))
        ipc.run(one.broadcast("to the first"))
        assert ipc.run(one.wait_for_message(timeout=PATIENCE)).text == "to the first"
        assert ipc.run(two.wait_for_message(timeout=PATIENCE)).text == "to the second"


def test_unicast_to_the_port_is_left_to_who_listens_on_it(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        peer.bind(("127.0.0.1", port))
        peer.settimeout(PATIENCE)
        with ipc.open_channel(port) as channel, raw_sender() as sender:
            for number in range(100):
                sender.sendto(b"%d" % number, ("127.0.0.1", port))
                assert peer.recv(100) == b"%d" % number
            assert channel.statistics.received == 0


def test_three_ends_of_a_port_and_every_reply_reaches_the_asker(port: int) -> None:
    code = """
import sys
import rx_multicast_ipc as ipc
from reactivex import operators as ops
port, kind = int(sys.argv[1]), sys.argv[2]
with ipc.open_channel(port, backlog=10_000) as channel:
    replies = channel.messages.pipe(ops.filter(lambda m: m.direct))
    if kind == "asker":
        counting = replies.pipe(ops.take(1000), ops.count())
        asking = channel.broadcast_all((f"ask {n}" for n in range(1000)), rate=5000).pipe(ops.ignore_elements())
        wait = channel.wait_for_message(lambda m: m.text == "ready", timeout=60)
        print(ipc.run(wait.pipe(ops.flat_map(lambda _: ops.merge(asking)(counting))), timeout=60))
        ipc.run(channel.broadcast("end"))
    else:
        seen = []
        replies.subscribe(seen.append)
        ipc.run(channel.broadcast("bystander ready"))
        ipc.run(channel.wait_for_message(lambda m: m.text == "end", timeout=60))
        print(len(seen))
"""
    with ipc.open_channel(port, backlog=10_000) as replier:
        answers = replier.messages.pipe(
            ops.filter(lambda m: m.text.startswith("ask ")), ops.flat_map(lambda m: replier.reply(m, "answer"))
        )
        answers.subscribe()
        bystander = python(code, port, "bystander")
        ipc.run(replier.wait_for_message(lambda m: m.text == "bystander ready", timeout=PATIENCE))
        asker = python(code, port, "asker")
        rx.interval(0.05).pipe(
            ops.flat_map(lambda _: replier.broadcast("ready")),
            ops.take_until(replier.messages.pipe(ops.filter(lambda m: m.text == "end"))),
        ).run()
        assert [finish(process) for process in (asker, bystander)] == ["1000\n", "0\n"]


def test_a_read_that_fails_for_good_ends_the_channel_and_says_why(port: int) -> None:
    with nothing_left_behind(), ipc.open_channel(port) as channel:
        seen, waiting = Seen(channel.messages), Seen(channel.wait_for_message())
        transport: Any = channel.transport
        fault = OSError(errno.EIO, "Input/output error")
        transport._fault = fault
        with raw_sender() as other:
            other.sendto(b"x", (channel.group.address, port))
        assert seen.wait_for_end().error is fault
        assert waiting.wait_for_end().values  # what had arrived was still delivered
        assert channel.closed


@pytest.mark.parametrize(
    ("module", "failing"),
    [
        (socket_plans, "receive_plan"),
        (socket_plans, "send_plan"),
        (host_addresses, "source_address"),
        (socket_options, "granted_receive_buffer"),
    ],
)
def test_a_failure_half_way_through_opening_leaves_nothing_open(
    port: int, module: ModuleType, failing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(module, failing, fail)
    with nothing_left_behind(), pytest.raises(OSError, match="Too many open files"):
        ipc.open_channel(port)


@needs_namespaces
def test_an_interface_that_goes_while_a_channel_is_opened_does_not_keep_it_from_opening() -> None:
    code = """
import subprocess, threading
import rx_multicast_ipc as ipc
from rx_multicast_ipc.transport.udp import interfaces, memberships
change_notices, look_around = interfaces.change_notices, memberships.Memberships._look_around
looked = threading.Event()
def go_down():  # after all was found and joined
    subprocess.run("ip link set net0 down", shell=True, check=True)
    return change_notices()
def look(*args):
    look_around(*args)
    looked.set()
interfaces.change_notices, memberships.Memberships._look_around = go_down, look
watch = memberships.IoThread.watch
def watch_late(self, *args, **options):
    looked.wait(0.2)
    watch(self, *args, **options)
memberships.IoThread.watch = watch_late
with ipc.open_channel(interface="all") as channel:
    looked.wait(60)
    print(channel)
"""
    assert told_apart(code, LINK).startswith("<Channel")


@needs_linux
def test_running_out_of_descriptors_is_told_and_leaves_nothing_open() -> None:
    code = """
import os, resource, threading
import rx_multicast_ipc as ipc
def settled():  # close() returns when the channel ended, a moment before its thread did
    while threading.active_count() > 1:
        pass
    return len(os.listdir("/proc/self/fd"))
ipc.open_channel().close()
count = settled()
for spare in range(1, 8):
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + spare, 4096))
    try:
        ipc.open_channel().close()
        outcome = "opened"
    except ipc.CannotOpen as error:
        outcome = type(error).__name__
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    assert settled() == count, (spare, outcome)
    print(outcome)
"""
    outcomes = finish(python(code)).split()
    assert (outcomes[0], outcomes[-1]) == ("CannotOpen", "opened")


@needs_linux
def test_running_out_of_descriptors_is_told_to_who_sends_without_a_channel() -> None:
    code = """
import os, resource, time
import rx_multicast_ipc as ipc
before = len(os.listdir("/proc/self/fd"))
ipc.open_channel().close()
while len(os.listdir("/proc/self/fd")) > before:  # its thread ends a moment later
    time.sleep(0.002)
for spare in range(1, 8):
    before = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + spare, 4096))
    try:
        ipc.run(ipc.broadcast("x", 61000 + spare))
        outcome = "sent"
    except ipc.CannotOpen as error:
        outcome = type(error).__name__
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    assert outcome == "sent" or len(os.listdir("/proc/self/fd")) == before, (spare, outcome)
    print(outcome)
"""
    outcomes = finish(python(code)).split()
    assert (outcomes[0], outcomes[-1]) == ("CannotOpen", "sent")


FOREIGN_JOIN = """
import socket, struct, sys
import rx_multicast_ipc as ipc
group, port = "224.0.2.1", 61088
foreign = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
foreign.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
foreign.bind(("", port))
index = socket.if_nametoindex("net0")
membership = socket.inet_aton(group) + bytes(4) + struct.pack("=i", index)
foreign.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
foreign.settimeout(60)
with ipc.open_channel(port, group, backlog=4096) as channel:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(8) + struct.pack("=i", index))
        for _ in range(100):
            sender.sendto(b"over there", (group, port))
            assert foreign.recv(100) == b"over there"
    ipc.run(channel.broadcast("here"))
    print(ipc.run(channel.wait_for_message(timeout=60)).text, channel.statistics.received)
foreign.close()
"""


@needs_namespaces
def test_what_another_program_joined_on_another_interface_is_not_heard() -> None:
    assert told(FOREIGN_JOIN, LINK) == "here 1\n"


@needs_namespaces
def test_on_macos_the_group_of_all_hosts_is_heard_on_its_interface_alone() -> None:
    """There the kernel gives it to every socket of the port; so does Linux where IP_MULTICAST_ALL stays as it was."""
    as_macos = """
from rx_multicast_ipc.transport.udp import group_socket, socket_plans
group_socket.PLATFORM = "darwin"
socket_plans.MULTICAST_ALL["IPv4"] = "IPPROTO_IP", "IP_MULTICAST_LOOP"  # which is nothing to who listens
"""
    assert told_apart(as_macos + FOREIGN_JOIN.replace("224.0.2.1", "224.0.0.1"), LINK) == "here 1\n"


NETWORK = """
import rx_multicast_ipc as ipc
for options in OPTIONS:
    with ipc.open_channel(**options) as one, ipc.open_channel(**options) as two:
        ipc.run(one.broadcast("hello"))
        message = ipc.run(two.wait_for_message(timeout=60))
        assert message.sender == one.sender_address, (message, one)
        ipc.run(two.reply(message, "welcome"))
        answer = ipc.run(one.wait_for_message(lambda m: m.direct, timeout=60))
        print(message.address.partition("%")[0], message.family, answer.text)
"""


@needs_namespaces
@pytest.mark.parametrize(
    ("options", "address"),
    [
        ({"interface": "net0"}, "192.0.2.77 IPv4"),
        ({"interface": "192.0.2.77"}, "192.0.2.77 IPv4"),
        ({"interface": "default"}, "192.0.2.77 IPv4"),
        ({"interface": "net0", "ttl": 5}, "192.0.2.77 IPv4"),
        ({"interface": "net0", "group": "ff05::1:7"}, "2001:db8::77 IPv6"),
    ],
)
def test_a_channel_on_a_network_interface_talks_over_it(options: dict[str, object], address: str) -> None:
    script = f"{LINK} && ip route add 224.0.0.0/4 dev net0"
    assert told(NETWORK.replace("OPTIONS", repr([options])), script) == f"{address} welcome\n"


@needs_namespaces
def test_over_an_ipv6_link_own_messages_are_known_and_replies_keep_to_their_link() -> None:
    code = """
import rx_multicast_ipc as ipc
from reactivex import operators as ops
link = {"group": "ff02::1:7", "interface": "net1"}
with ipc.open_channel(**{**link, "interface": "net0"}) as bot, ipc.open_channel(**link, echo=False) as asker:
    bot.messages.pipe(ops.flat_map(lambda m: bot.reply(m, "welcome"))).subscribe()
    heard = []
    asker.messages.subscribe(heard.append)
    answer = ipc.run(asker.request("hello", lambda m: True, timeout=60))
    print(answer.text, answer.direct, answer.address.partition("%")[2], asker.sender_address[0].partition("%")[2])
    print(*[m.text for m in heard])
"""
    # Duplicate address detection takes a second, in which a link-local address cannot be sent from.
    script = f"echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad && {LINK}"
    assert told(code, script) == "welcome True net1 net1\nwelcome\n"


@needs_namespaces
@pytest.mark.parametrize(
    ("options", "error"),
    [({"interface": "default"}, "NoRoute"), ({"interface": "default", "group": "ff05::1:7"}, "NoRoute")],
)
def test_where_no_route_leads_to_the_group_the_error_says_so(options: dict[str, object], error: str) -> None:
    code = f"""
import rx_multicast_ipc as ipc
try:
    channel = ipc.open_channel(**{options!r})
    ipc.run(channel.broadcast("x"))
except ipc.MulticastError as error:
    print(type(error).__name__, "loopback" in str(error))
"""
    assert told(code) == f"{error} True\n"


@needs_namespaces
def test_with_loopback_down_a_send_says_what_to_do() -> None:
    code = """
import rx_multicast_ipc as ipc
with ipc.open_channel() as channel:
    try:
        ipc.run(channel.broadcast("x"))
    except ipc.SendFailed as error:
        print(error)
"""
    assert "the interface is down" in told(code, "ip link set lo down")


@needs_namespaces
def test_the_arena_needs_nothing_but_loopback_and_no_packet_leaves_it() -> None:
    # Without ARP and IPv6, which chatter by themselves, every packet on net0 would be ours.
    script = """
echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6 && ip link add net0 type veth peer name net1 &&
ip link set net0 up arp off && ip link set net1 up arp off && ip addr add 192.0.2.77/24 dev net0 &&
ip route add default dev net0 &&
sent() { awk '$1 == "net0:" { print $11 }' /proc/net/dev; }; before=$(sent) &&
"$@" && echo "left: $(($(sent) - before))"
"""
    unprivileged = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]
    command = in_namespace(script, *unprivileged, sys.executable, "examples/arena.py")
    out = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE, cwd=ROOT, check=False)
    assert "welcome -> Ann alone: Welcome Ann!" in out.stdout, out.stderr
    assert out.stdout.endswith("left: 0\n"), out.stdout
