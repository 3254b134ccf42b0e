"""Every mistake has its own error, at once, that says what to do next."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Callable
from typing import Any

import pytest

import rx_multicast_ipc as ipc


@pytest.mark.parametrize("port", [0, -1, 65_536, 70_000])
def test_a_port_out_of_range(port: int) -> None:
    with pytest.raises(ipc.InvalidPort, match=f"from 1 to 65535, not {port}"):
        ipc.open_channel(port)


@pytest.mark.parametrize("port", ["x", "61088", None, 1.5, True])
def test_a_port_that_is_no_number(port: Any) -> None:
    with pytest.raises(ipc.InvalidPort, match="whole number"):
        ipc.open_channel(port)


@pytest.mark.parametrize(
    ("group", "reason"),
    [
        ("10.0.0.1", "10.0.0.1 is not a multicast address; a group is"),
        ("nonsense", "'nonsense' is no IP address; a group is"),
        ("", "no IP address"),
        (None, "no IP address"),
        (3758096901, "no IP address"),
        ("::1", "not a multicast address"),
        ("ff02::1:7", 'host-only multicast needs IPv4; use an IPv4 group such as "224.0.2.1"'),
        ("ff02::1:7%eth0", 'pass interface="eth0"'),
    ],
)
def test_a_group_that_is_none(group: Any, reason: str) -> None:
    with pytest.raises(ipc.InvalidGroup, match=reason):
        ipc.open_channel(61088, group)


@pytest.mark.parametrize("interface", ["nosuch0", "203.0.113.9", "fe80::1%nosuch0"])
def test_an_interface_that_is_not_here(interface: str) -> None:
    group = "ff02::1:7" if ":" in interface else "224.0.2.1"
    with pytest.raises(ipc.InvalidInterface, match='there are "loopback", "default"'):
        ipc.open_channel(61088, group, interface=interface)


@pytest.mark.parametrize("interface", ["", 7, [], ["eth0", ""], [None]])
def test_an_interface_that_is_no_name(interface: Any) -> None:
    with pytest.raises(ipc.InvalidInterface, match='it may be "loopback", "default", "all", a name'):
        ipc.open_channel(61088, interface=interface)


@pytest.mark.parametrize("interface", ["loopback", "all"])
def test_an_interface_that_stands_alone(interface: str) -> None:
    with pytest.raises(ipc.InvalidInterface, match="stands alone"):
        ipc.open_channel(61088, interface=["lo", interface])


@pytest.mark.parametrize(
    ("sources", "reason"),
    [
        ("10.0.0.2", "a list of senders"),
        (["bot"], "one sender's numeric address"),
        (["224.0.0.1"], "one sender's numeric address"),
        (["fe80::1"], "IPv6 address, but"),
        ([7], "one sender's numeric address"),
    ],
)
def test_a_source_that_is_none(sources: Any, reason: str) -> None:
    with pytest.raises(ipc.InvalidAddress, match=reason):
        ipc.open_channel(61088, sources=sources)


def test_more_sources_than_systems_take() -> None:
    with pytest.raises(ipc.InvalidOption, match="11 sources are more than the 10"):
        ipc.open_channel(61088, sources=[f"10.0.0.{number}" for number in range(11)])


def test_an_interface_of_the_other_ip_version() -> None:
    with pytest.raises(ipc.InvalidInterface, match=r"IPv6 address, but 224\.0\.2\.1 is an IPv4 group"):
        ipc.open_channel(61088, interface="fe80::1")


def test_a_link_local_group_needs_to_know_its_link() -> None:
    with pytest.raises(ipc.InvalidGroup, match="name the interface"):
        ipc.open_channel(61088, "ff02::1:7", interface="default")


@pytest.mark.parametrize("ttl", [-1, 256, "1", 1.5, True])
def test_a_ttl_that_is_none(ttl: Any) -> None:
    with pytest.raises(ipc.InvalidTTL, match="0 to 255"):
        ipc.open_channel(61088, interface="default", ttl=ttl)


def test_a_ttl_that_would_leave_a_loopback_channels_machine() -> None:
    with pytest.raises(ipc.InvalidTTL, match="never does"):
        ipc.open_channel(61088, ttl=1)
    ipc.open_channel(61088, ttl=0).close()


@pytest.mark.parametrize("option", ["receive_buffer", "backlog"])
@pytest.mark.parametrize("value", [0, -1, "x", 1.5, True])
def test_a_size_that_is_none(option: str, value: Any) -> None:
    with pytest.raises(ipc.InvalidOption, match=option):
        ipc.open_channel(61088, **{option: value})


def test_a_receive_buffer_that_no_system_can_be_asked_for() -> None:
    with pytest.raises(ipc.InvalidOption, match="receive_buffer is a number of bytes, 2147483647 at most"):
        ipc.open_channel(61088, receive_buffer=2**31)


@pytest.mark.parametrize("data", [5, None, 1.5, ["x"], {"a": 1}, object()])
def test_a_payload_that_is_neither_text_nor_bytes(channel: ipc.Channel, data: Any) -> None:
    sends: tuple[Callable[[Any], object], ...] = (
        channel.broadcast,
        lambda x: channel.send(x, 1, "127.0.0.1"),
        ipc.broadcast,
    )
    for send in sends:
        with pytest.raises(ipc.InvalidPayload, match=f"not {type(data).__name__}; encode it first"):
            send(data)
    assert channel.statistics.sent == 0


def test_text_that_utf8_cannot_encode(channel: ipc.Channel) -> None:
    with pytest.raises(ipc.InvalidPayload, match="send bytes instead"):
        channel.broadcast("\ud800")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("192.0.2.7", 'open it with interface="default"'),
        ("8.8.8.8", "not on this machine's loopback"),
        ("::1", "IPv6 address, but this channel's group is IPv4"),
        (None, "host name or a numeric address"),
        (5, "host name or a numeric address"),
    ],
)
def test_a_destination_that_a_loopback_channel_may_not_send_to(channel: ipc.Channel, address: Any, reason: str) -> None:
    with pytest.raises(ipc.InvalidAddress, match=reason):
        channel.send("x", 61088, address)


def test_a_name_that_stands_for_another_machine_is_no_destination_on_loopback(
    channel: ipc.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(*_: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("192.0.2.7", 0))]

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    with pytest.raises(ipc.InvalidAddress, match="not on this machine's loopback"):
        ipc.run(channel.send("x", 61088, "elsewhere.example"), timeout=5)
    assert channel.statistics.sent == 0


def test_a_reply_to_who_gave_no_port(channel: ipc.Channel) -> None:
    with pytest.raises(ipc.InvalidPort, match="cannot be answered"):
        channel.reply(ipc.Message(b"", port=0), "x")


def test_a_port_that_another_program_holds_alone(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(("", port))
        with pytest.raises(ipc.PortInUse, match=f"holds port {port} without sharing.*another port") as raised:
            ipc.open_channel(port)
    assert isinstance(raised.value.__cause__, OSError)


@pytest.mark.parametrize(
    "error",
    [
        ipc.PayloadTooLarge(70_000, 65_507),
        ipc.MessageTimeout(5.0),
        ipc.BufferOverflow(10),
        ipc.ChannelClosed(),
        ipc.CaptureCorrupt("x.pcap", 24, "a packet is cut"),
        ipc.DecodeFailed(ipc.Message(b"x"), ValueError("bad")),
        ipc.InvalidPort("port"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_survives_the_way_between_processes(error: ipc.MulticastError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy)) == (type(error), str(error))


def test_every_error_is_a_multicast_error_and_is_drawn_in_the_tree() -> None:
    from rx_multicast_ipc import errors

    assert errors.__doc__ is not None
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, Exception) and kind is not ipc.NeverSubscribedWarning:
            assert issubclass(kind, ipc.MulticastError), name
            assert name in errors.__doc__
            assert getattr(ipc, name) is kind


@pytest.mark.parametrize(
    "use",
    [
        lambda: ipc.messages(0),
        lambda: ipc.broadcast("x", 0),
        lambda: ipc.send("x", 0, "127.0.0.1"),
        lambda: ipc.with_socket(lambda api: api.messages, 0),
    ],
)
def test_mistakes_are_told_by_the_call_not_by_the_subscription(use: Callable[[], object]) -> None:
    with pytest.raises(ipc.InvalidPort):
        use()
