"""The batch system calls: the same results as one by one, nothing kept alive, and the odd cases of each."""

from __future__ import annotations

import errno
import gc
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc import Message
from rx_multicast_ipc.group import Group
from rx_multicast_ipc.transport.udp import batch_reader, batch_sending, kernel_features, reader_choice
from rx_multicast_ipc.transport.udp.batch_reader import BatchReader
from rx_multicast_ipc.transport.udp.datagram_readers import MessageReader, PlainReader, Reader, Reception

from ...helpers import needs_linux, nothing_left_behind

pytestmark = [
    needs_linux,
    pytest.mark.skipif(not kernel_features.find().recvmmsg, reason="this machine has no batch system calls"),
]

UDP_GRO = 104


DIRECT = Reception(True, "", ("127.0.0.1", 9))
TO_GROUP = Reception(False, "", ("224.0.2.1", 9))


@pytest.fixture(params=[False, True], ids=["single", "trains"])
def receiver(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        if request.param:
            opened.setsockopt(kernel_features.SOL_UDP, UDP_GRO, 1)
        opened.bind(("127.0.0.1", 0))
        opened.setblocking(False)
        yield opened


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        yield opened


def read_all(reader: Reader, receiver: socket.socket) -> list[Message]:
    messages: list[Message] = []
    while batch := reader.read(receiver, DIRECT):
        messages += batch
    return messages


@pytest.mark.parametrize("kind", [BatchReader, MessageReader, PlainReader])
def test_a_message_has_all_its_fields(kind: type[PlainReader], sender: socket.socket) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        before = time.time()
        sender.sendto(b"x", receiver.getsockname())
        (message,) = kind("IPv4").read(receiver, DIRECT)
        assert (message.data, message.sender, message.family) == (b"x", sender.getsockname(), "IPv4")
        assert (message.direct, message.destination) == (True, ("127.0.0.1", 9))
        assert before <= message.received_at <= time.time()


def test_on_windows_a_loopback_channel_drops_what_does_not_come_from_loopback(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_choice, "PLATFORM", "win32")
    heard = [
        *((b"one", ("192.0.2.9", 5)), (b"two", ("127.0.0.1", 5)), (b"three", ("192.0.2.9", 5))),
        *((b"four", ("127.8.0.1", 6)), (b"five", ("10.0.0.1", 7))),
    ]

    class Wire:
        def recvfrom(self, _size: int) -> tuple[bytes, tuple[str, int]]:
            if not heard:
                raise BlockingIOError
            return heard.pop(0)

    wire: Any = Wire()
    reader = reader_choice.group_reader(Group.of(port))
    messages = reader.read(wire, TO_GROUP)
    assert [message.data for message in messages] == [b"two", b"four"]
    assert reader.bytes_read == 7
    heard.append((b"six", ("192.0.2.9", 5)))
    assert reader.read(wire, TO_GROUP) == []
    assert type(reader_choice.group_reader(Group.of(port, interface="eth0"))) is type(reader_choice.reader("IPv4"))


def send_many(sender: socket.socket, payloads: Sequence[bytes], receiver: socket.socket) -> int:
    sent = batch_sending.SentMany()
    batch_sending.send_many(sender, payloads, receiver.getsockname(), sent)
    return sent.payloads


@pytest.mark.parametrize("kind", [BatchReader, MessageReader])
def test_sizes_that_change_back_and_forth_arrive_whole(
    receiver: socket.socket, sender: socket.socket, kind: type[MessageReader]
) -> None:
    reader = kind("IPv4")
    for size in (10, 60_000, 10, 8192, 8193, 0, 65_507, 1, 1, 30_000, 5):
        payloads = [bytes([size % 251]) * size for _ in range(20)]
        assert send_many(sender, payloads, receiver) == 20
        assert [message.data for message in read_all(reader, receiver)] == payloads


def test_a_train_with_a_shorter_last_datagram_comes_apart_right(receiver: socket.socket, sender: socket.socket) -> None:
    control = [(kernel_features.SOL_UDP, kernel_features.UDP_SEGMENT, (100).to_bytes(2, "little"))]
    sender.sendmsg([b"a" * 100 + b"b" * 100 + b"c" * 7], control, 0, receiver.getsockname())
    assert [message.data for message in read_all(BatchReader("IPv4"), receiver)] == [b"a" * 100, b"b" * 100, b"c" * 7]


def test_more_senders_than_are_remembered_are_told_apart(
    receiver: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_reader, "_SENDERS", 4)
    senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(20)]
    for opened in senders:
        opened.bind(("127.0.0.1", 0))
        opened.sendto(b"x", receiver.getsockname())
    found = [message.sender for message in read_all(BatchReader("IPv4"), receiver)]
    assert found == [opened.getsockname() for opened in senders]
    for opened in senders:
        opened.close()


def test_ipv6_addresses_are_those_that_the_socket_module_gives() -> None:
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("::1", 0))
        receiver.setblocking(False)
        sender.bind(("::1", 0))
        send_many(sender, [b"a", b"bc", b"de"], receiver)
        messages = read_all(BatchReader("IPv6"), receiver)
        assert [message.data for message in messages] == [b"a", b"bc", b"de"]
        assert {(message.sender, message.family) for message in messages} == {(sender.getsockname()[:2], "IPv6")}


def test_one_small_message_keeps_nothing_of_its_batch_alive(receiver: socket.socket, sender: socket.socket) -> None:
    reader = BatchReader("IPv4")
    send_many(sender, [b"small"] + [bytes(1000)] * 50, receiver)
    kept = read_all(reader, receiver)[0]
    assert type(kept.data) is bytes
    assert gc.get_referents(kept.data) == []


def test_reading_in_turns_takes_everything(receiver: socket.socket, sender: socket.socket) -> None:
    payloads = [b"%d" % number for number in range(300)]
    send_many(sender, payloads, receiver)
    assert [message.data for message in read_all(BatchReader("IPv4"), receiver)] == payloads


def test_a_socket_that_cannot_be_read_raises_its_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as wrong, pytest.raises(OSError, match=r".+") as raised:
        BatchReader("IPv4").read(wrong, TO_GROUP)
    assert raised.value.errno == errno.ENOTCONN


class NoSegmentation:
    """A socket on a link that takes no gro, as one with a smaller MTU."""

    def __init__(self, opened: socket.socket) -> None:
        self._opened = opened

    def sendmsg(self, *_: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened, name)


def test_where_a_link_takes_no_trains_datagrams_go_one_by_one(receiver: socket.socket, sender: socket.socket) -> None:
    payloads = [b"%03d" % number for number in range(200)]
    link: Any = NoSegmentation(sender)
    assert send_many(link, payloads, receiver) == 200
    assert [message.data for message in read_all(BatchReader("IPv4"), receiver)] == payloads


def test_a_send_that_fails_says_how_many_went_before_it(receiver: socket.socket, sender: socket.socket) -> None:
    payloads = [b"a", b"bb", bytes(65_508), b"c"]
    assert send_many(sender, payloads, receiver) == 2


def test_a_failed_transfer_says_how_many_were_sent(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def send_three(_opened: object, _payloads: object, _to: object, sent: batch_sending.SentMany) -> None:
        sent.payloads = sent.packets = 3

    monkeypatch.setattr(batch_sending, "send_many", send_three)
    with ipc.open_channel(port) as channel:
        transport: Any = channel.transport

        def refuse(*_: object) -> None:
            raise ipc.SendFailed("refused")

        monkeypatch.setattr(transport._outlet, "send", refuse)
        with pytest.raises(ipc.SendFailed) as raised:
            ipc.run(channel.broadcast_all(["a", "b", "c", "d", "e"]))
        assert raised.value.sent == 3


def test_a_hundred_readers_leave_nothing_behind() -> None:
    with nothing_left_behind():
        for _ in range(100):
            BatchReader("IPv4")
