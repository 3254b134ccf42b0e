"""Protocols that came before: members that send from the group's port, and networks that use broadcast."""

from __future__ import annotations

import pytest
from reactivex.testing import TestScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc.group import Group
from rx_multicast_ipc.testing import VirtualNetwork

from ...helpers import needs_linux, needs_namespaces, run
from .own_network import LINK, told

pytestmark = needs_linux


@pytest.mark.parametrize("echo", [True, False])
def test_what_is_sent_from_the_groups_port_says_so(port: int, echo: bool) -> None:
    with ipc.open_channel(port) as member, ipc.open_channel(port, send_from="group", echo=echo) as responder:
        assert responder.sender_address == ("127.0.0.1", port)
        run(responder.broadcast("I am here"))
        message = run(member.wait_for_message())
        assert message.sender == ("127.0.0.1", port)
        run(member.reply(message, "so am I"))
        reply = run(responder.wait_for_message(lambda m: m.direct))
        assert (reply.text, reply.sender) == ("so am I", member.sender_address)


def test_members_on_one_port_hear_each_other_and_themselves_once(port: int) -> None:
    with ipc.open_channel(port, send_from="group") as one, ipc.open_channel(port, send_from="group") as two:
        run(one.broadcast_all(["a", "b", "c"]))
        run(two.broadcast("end"))
        for channel in (one, two):
            heard = [run(channel.wait_for_message()) for _ in range(4)]
            assert sorted(message.text for message in heard) == ["a", "b", "c", "end"]
            assert not any(message.direct for message in heard)
            assert channel.statistics.dropped == 0


def test_without_echo_a_member_on_the_groups_port_hears_those_with_ports_of_their_own(port: int) -> None:
    with ipc.open_channel(port, send_from="group", echo=False) as quiet, ipc.open_channel(port) as other:
        run(quiet.broadcast("mine"))
        run(other.broadcast("theirs"))
        assert run(quiet.wait_for_message()).text == "theirs"
        assert quiet.statistics.dropped == 0


def test_groups_that_others_joined_on_the_port_are_not_heard_as_direct(port: int) -> None:
    with (
        ipc.open_channel(port, "224.0.2.1", send_from="group") as one,
        ipc.open_channel(port, "224.0.2.2", send_from="group") as two,
    ):
        run(two.broadcast("to the second"))
        assert run(two.wait_for_message()).text == "to the second"
        run(one.broadcast("to the first"))
        assert run(one.wait_for_message()).text == "to the first"
        assert one.statistics.received == 1


@pytest.mark.parametrize("value", ["groups", None, 5353, True])
def test_send_from_is_own_or_group(value: object) -> None:
    options = {"send_from": value}
    with pytest.raises(ipc.InvalidOption, match='"own"'):
        ipc.open_channel(**options)  # pyright: ignore[reportArgumentType]


def test_a_virtual_network_says_that_it_has_no_shared_ports() -> None:
    with pytest.raises(ipc.Unsupported, match="send_from"):
        VirtualNetwork(TestScheduler()).open_channel(send_from="group")


BROADCAST = """
import socket
import rx_multicast_ipc as ipc
where = {"group": GROUP, "interface": INTERFACE}
with ipc.open_channel(6454, **where) as one, ipc.open_channel(6454, **where) as two:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as foreign:
        foreign.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        foreign.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        foreign.bind(("", 6454))
        foreign.settimeout(60)
        ipc.run(one.broadcast_all(["Art-Net", "Art-Poll", "!"]))
        print(*[foreign.recv(100).decode() for _ in range(3)])
        heard = [ipc.run(two.wait_for_message(timeout=60)) for _ in range(3)]
        print(*[m.text for m in heard], {(m.sender == one.sender_address, m.direct) for m in heard})
        print(*[ipc.run(one.wait_for_message(timeout=60)).text for _ in range(3)])
        foreign.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"net0")
        foreign.sendto(b"theirs", (GROUP, 6454))
        print(ipc.run(two.wait_for_message(timeout=60)).text)
    ipc.run(two.reply(heard[0], "alone"))
    print(ipc.run(one.wait_for_message(lambda m: m.direct, timeout=60)).text, one.statistics.dropped)
"""


@needs_namespaces
@pytest.mark.parametrize("group", ["255.255.255.255", "192.0.2.255"])
@pytest.mark.parametrize("interface", ["net0", "192.0.2.77", "default"])
def test_a_broadcast_address_is_as_good_as_a_group(group: str, interface: str) -> None:
    code = BROADCAST.replace("GROUP", repr(group)).replace("INTERFACE", repr(interface))
    script = LINK + " && ip route add default dev net0"
    heard = "Art-Net Art-Poll !"
    assert told(code, script) == f"{heard}\n{heard} {{(True, False)}}\n{heard}\ntheirs\nalone 0\n"


@needs_namespaces
def test_a_broadcast_on_another_interface_is_not_heard() -> None:
    code = """
import socket
import rx_multicast_ipc as ipc
with ipc.open_channel(6454, "255.255.255.255", interface="net0") as here:
    with ipc.open_channel(6454, "255.255.255.255", interface="far0") as there:
        for _ in range(20):
            ipc.run(there.broadcast("there"))
            assert ipc.run(there.wait_for_message(timeout=60)).text == "there"
    ipc.run(here.broadcast("here"))
    print(ipc.run(here.wait_for_message(timeout=60)).text, here.statistics.received)
"""
    far = "ip link add far0 type veth peer name far1 && ip link set far0 up && ip link set far1 up"
    script = f"{LINK} && {far} && ip addr add 198.51.100.1/24 dev far0"
    assert told(code, script) == "here 1\n"


@needs_namespaces
@pytest.mark.parametrize(
    ("arguments", "error", "advice"),
    [
        ("'255.255.255.255', interface='lo'", "InvalidGroup", "carries no broadcast"),
        ("'192.0.2.127', interface='net0'", "InvalidGroup", '"192.0.2.255"'),
        ("'10.9.0.3', interface='net0'", "InvalidGroup", "neither a multicast address nor a broadcast"),
        ("'255.255.255.255', interface='default'", "NoRoute", "name the interface"),
    ],
)
def test_what_is_no_broadcast_address_there_is_told_with_those_that_are(
    arguments: str, error: str, advice: str
) -> None:
    code = f"""
import rx_multicast_ipc as ipc
try:
    ipc.open_channel(6454, {arguments})
except ipc.MulticastError as error:
    print(type(error).__name__, error)
"""
    script = LINK
    said = told(code, script)
    assert said.startswith(error + " ")
    assert advice in said


@pytest.mark.parametrize(
    ("options", "error", "advice"),
    [
        ({}, ipc.InvalidGroup, "loopback"),
        ({"interface": "all"}, ipc.InvalidInterface, "one interface"),
        ({"interface": ["eth0", "eth1"]}, ipc.InvalidInterface, "one interface"),
        ({"interface": "eth0", "ttl": 2}, ipc.InvalidTTL, "leave ttl out"),
        ({"interface": "eth0", "sources": ["10.0.0.1"]}, ipc.InvalidOption, "ops.filter"),
    ],
)
def test_what_broadcast_cannot_do_is_told_before_anything_is_opened(
    options: dict[str, object], error: type[ipc.InvalidArgument], advice: str
) -> None:
    with pytest.raises(error, match=advice):
        Group.of(6454, "255.255.255.255", **options)  # pyright: ignore[reportArgumentType]


@needs_namespaces
def test_sending_to_a_broadcast_address_from_a_multicast_channel_says_how() -> None:
    code = """
import rx_multicast_ipc as ipc
with ipc.open_channel(interface="net0") as channel:
    try:
        ipc.run(channel.send("x", 7, "192.0.2.255"))
    except ipc.SendFailed as error:
        print("opened with it as its group" in str(error))
"""
    assert told(code, LINK) == "True\n"
