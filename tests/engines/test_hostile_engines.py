"""Whatever others publish on an engine, and whatever a server says, no channel of this process ends by it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc.transport.engine.nats import subjects, wire

from ..helpers import Seen, run
from ..nats_servers import NatsServer, close_kept_connections
from .helpers import PATIENCE, alone, make_stream, send_until_accepted, until

pytestmark = pytest.mark.usefixtures("unhandled")

NINES = b"9" * 300
NESTED = b"[" * 100_000

REPLIES = [
    *(b"", b"x", b"_rxn.", b"_rxn.\xc2\xb2", b"_rxn." + NINES, b"_rxn.-.5", b"_rxn.1.2.3", b"_rxn.a.b.c.d.e"),
    *(b"_rx.x.ack.1.2", b"$JS.ACK.a.b.1.2.3.4.5", b"$JS.ACK.a.b.1." + b".".join([NINES] * 4), b"$JS.FC.x"),
    b"spoken.$JS.FC.x",
]

HEADERS = [
    *(b"", b"NATS/1.0\r\n\r\n", b"NATS/1.0 100\r\n\r\n", b"NATS/1.0 \xb2\xb2\xb2\r\n\r\n", b"NATS/1.0 100", b"x" * 50),
    *(b"NATS/1.0 100\r\nNats-Last-Consumer: %b\r\n\r\n" % last for last in (b"9" * 5000, b"-1", b"\xc2\xb2", b"x")),
    *(b"NATS/1.0 100\r\nNats-Consumer-Stalled: %b\r\n\r\n" % to for to in (b"spoken.to", b"spoken.to 6\nab")),
    b"NATS/1.0 100\r\nNats-Consumer-Stalled: spoken.$JS.FC.x\r\n\r\n",
    b"NATS/1.0 100\r\nNats-Consumer-Stalled: $JS.FC.x 0\tspoken.to\r\n\r\n",
]

NO_ANSWERS = [
    *(b"", b"5", b"null", b"[]", b"\xff", NESTED, b'{"error":5}', b'{"error":{"description":[]}}', b'{"stream":"s"}'),
    *(b'{"stream":"s","seq":1e999}', b'{"stream":"s","seq":"%b"}' % (b"9" * 5000), b'{"stream":5,"seq":1}', b"{}"),
]
"""What no stream says of a message that it has."""

SAID = [
    *(b"MSG a 1 -5\r\n", b"MSG a 1 -999\r\nxxxx\r\n", b"MSG a 1 99999999999\r\n", b"MSG a 1 " + NINES + b"\r\n"),
    *(b"MSG\r\n", b"MSG \r\n", b"MSG a\r\n", b"MSG a 1 \xc2\xb2\r\n", b"HMSG a 1 -5 5\r\n12345\r\n"),
    *(b"HMSG a 1 9 5\r\n12345\r\n", b"INFO " + NESTED + b"\r\n", b"INFO []\r\n", b"INFO 5\r\n"),
    *(b'INFO {"max_payload":"x","connect_urls":5}\r\n', b'INFO {"max_payload":-1}\r\n', b"-ERR\r\n", b"+OK\r\n"),
    b'INFO {"max_payload":null,"connect_urls":[5,null,"a:\xc2\xb2","b:99999999999"]}\r\n',
    b"-ERR 'Permissions Violation for Subscription to \"" + b"\xff" * 1000 + b"\"'\r\n",
    *(b"-ERR 'Permissions Violation for Publish to \x1b[2J'\r\n", b"PONG\r\n" * 50, b"\r\n" * 50, b"\xff" * 500),
    b"a" * (2 << 20),
]


class RawClient:
    """Another program at a NATS server, which may say anything."""

    def __init__(self, server: NatsServer) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        self._file = self._socket.makefile("rb")
        self._file.readline()
        self._socket.sendall(b'CONNECT {"headers":true,"verbose":false,"user":"raw"}\r\n')
        self.flush()

    def publish(self, subject: bytes, reply: bytes = b"", headers: bytes = b"", payload: bytes = b"") -> None:
        sizes = b"%d %d" % (len(headers), len(headers) + len(payload)) if headers else b"%d" % len(payload)
        command = b"HPUB" if headers else b"PUB"
        self._socket.sendall(b"%b %b %b %b\r\n%b%b\r\n" % (command, subject, reply, sizes, headers, payload))

    def subscribe(self, subject: bytes) -> None:
        self._socket.sendall(b"SUB %b 1\r\n" % subject)
        self.flush()

    def flush(self) -> None:
        self._socket.sendall(b"PING\r\n")
        while self._file.readline() != b"PONG\r\n":
            pass

    def next(self) -> tuple[bytes, bytes, bytes]:
        """Subject, reply and payload of what comes by a subscription."""
        while True:
            words = self._file.readline().split()
            if words and words[0] in (b"MSG", b"HMSG"):
                payload = self._file.read(int(words[-1]) + 2)[:-2]
                sizes = 1 if words[0] == b"MSG" else 2
                return words[1], words[3] if len(words) == 4 + sizes else b"", payload

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()


@contextmanager
def hostile_server(said: bytes) -> Generator[str]:
    """A server that lets everybody in. The first hears ``said``, and then a message, once it publishes; later ones hear
    that message as soon as they are subscribed."""
    accepted: list[socket.socket] = []

    def talk(one: socket.socket, number: int) -> None:
        with one, one.makefile("rb") as file, suppress(OSError):
            one.sendall(b'INFO {"max_payload":1048576}\r\n')
            sid, is_open = b"", False
            for line in file:
                words = line.split()
                if words[:1] == [b"SUB"]:
                    sid = words[2] if not words[1].startswith((b"_rx.", b"rx.to.")) else sid
                if words[:1] == [b"PING"]:
                    one.sendall(b"PONG\r\n")
                is_asked = words[:1] == [b"PUB" if number == 0 else b"PING"]
                if sid and is_asked and not is_open:
                    is_open = True
                    one.sendall(said if number == 0 else b"")
                    one.sendall(b"MSG rx.224-0-2-1.61088.x.1 %b 15\r\nfrom the server\r\n" % sid)

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    one, _ = listener.accept()
                    accepted.append(one)
                    threading.Thread(target=talk, args=(one, len(accepted) - 1), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        port: int = listener.getsockname()[1]
        yield f"nats://127.0.0.1:{port}"
        close_kept_connections(port)
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "options", [{}, {"topics": "robot/*"}, {"reliable": True}], ids=["plain", "topics", "reliable"]
)
def test_nothing_that_is_published_ends_a_channel(server: NatsServer, port: int, options: dict[str, Any]) -> None:
    with ipc.open_channel(port, interface=alone(server.url, "victim"), **options) as channel, RawClient(server) as raw:
        seen = Seen(channel.messages)
        session, number = channel.sender_address
        group, to = subjects.of_group(channel.group), f"rx.to.{session}"
        nines = NINES.decode()
        places = [
            *(f"{to}.{number}.x.1", f"{to}.².x.1", f"{to}.٣.x.1", f"{to}.{nines}.x.1", f"{to}.-1.x.1", f"{to}.1"),
            *(f"{to}.{number}.x.²", f"{to}.{number}.x.1.2.3", f"{group}.x.²", f"{group}.x.{nines}", f"{group}.x"),
            *(f"{group}.{session}.9.robot.x", f"{group}.y.7.robot.%FF", f"_rx.{session}.x", f"_rx.{session}.ack"),
        ]
        for place in places:
            for reply in REPLIES:
                for body in (b"", b"x", b"\xf5\x10", b"\xf5\x1f" + b"\xff" * 40, b"\xf6" * 40):
                    raw.publish(place.encode(), reply, b"", body)
            for headers in HEADERS:
                raw.publish(place.encode(), b"", headers)
        raw.flush()
        with ipc.open_channel(port, interface=server.url, **options) as other:
            send_until_accepted(other, "robot/x\0still here")
            seen.wait_for(lambda seen: any(message.data == b"robot/x\0still here" for message in seen.values))


def test_nothing_that_answers_ends_an_acknowledged_send(server: NatsServer, port: int) -> None:
    with RawClient(server) as raw, ipc.open_channel(port, interface=alone(server.url, "sender")) as channel:
        raw.subscribe(f"{subjects.of_group(channel.group)}.>".encode())
        acknowledged = Seen(channel.broadcast("x", acknowledged=True))
        _, reply, _ = raw.next()
        for answer in (*NO_ANSWERS, b'{"stream":"HISTORY","seq":7}'):
            raw.publish(reply, payload=answer)
        raw.flush()
        assert [each.by for each in acknowledged.wait_for_end().values] == [(("HISTORY", 7),)]


def test_nothing_that_is_sent_to_a_history_ends_it_or_is_sent_on(streams: NatsServer, port: int) -> None:
    make_stream(streams.url, "HISTORY", "rx.>")
    with ipc.open_channel(port, interface=streams.url) as channel, RawClient(streams) as raw, RawClient(streams) as ear:
        ear.subscribe(b"spoken.>")
        seen = Seen(ipc.messages(port, interface=streams.url, since="all"))
        run(channel.broadcast("1"))
        seen.wait_for_count(1)
        session = channel.sender_address[0].encode()
        for number in range(1, 12):
            for reply in (b"spoken.to", *REPLIES):
                for headers in HEADERS:
                    raw.publish(b"_rxh.%b.%d" % (session, number), reply, headers, b"x")
        raw.flush()
        for text in ("2", "3"):
            run(channel.broadcast(text))
        until(lambda: [message.text for message in seen.values] == ["1", "2", "3"])
        seen.subscription.dispose()
        raw.publish(b"spoken.by.nobody.else")
        assert ear.next()[0] == b"spoken.by.nobody.else"


def test_a_history_answers_the_flow_control_of_its_server(streams: NatsServer, port: int) -> None:
    make_stream(streams.url, "HISTORY", "rx.>")
    with ipc.open_channel(port, interface=streams.url) as channel, RawClient(streams) as ear:
        run(channel.broadcast_all([bytes(1 << 17)] * 64))  # several times what a server sends before it asks
        run(channel.broadcast("end", acknowledged=True))
        ear.subscribe(b"$JS.FC.>")
        assert run(ipc.messages(port, interface=streams.url, since="all", until_now=True).pipe(ops.count())) == 65
        subject, _, payload = ear.next()
        assert (subject[:15], payload) == (b"$JS.FC.HISTORY.", b"")


@pytest.mark.parametrize("said", SAID, ids=lambda said: ascii(said[:40]))
def test_nothing_that_a_server_says_ends_a_channel(said: bytes) -> None:
    with hostile_server(said) as url, ipc.open_channel(interface=url) as channel:
        seen = Seen(channel.messages)
        run(channel.broadcast("now"))
        seen.wait_for(lambda seen: any(message.data == b"from the server" for message in seen.values))
        assert 0 < channel.transport.payload_limit <= 64 << 20
        assert not channel.closed


@pytest.mark.parametrize("said", SAID, ids=lambda said: ascii(said[:40]))
def test_nothing_that_a_server_says_first_is_more_than_cannot_open(said: bytes) -> None:
    def talk(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                one, _ = listener.accept()
                with one, suppress(OSError):
                    one.sendall(said)
                    one.recv(1000)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=talk, args=(listener,), daemon=True).start()
        with pytest.raises(ipc.CannotOpen):
            ipc.open_channel(interface=f"nats://127.0.0.1:{listener.getsockname()[1]}")
        listener.shutdown(socket.SHUT_RDWR)


PIECES = [*SAID[:8], b"\r\n", b"MSG ", b" 1 ", b"5", b"-", b"HMSG ", b"MSG a 1 2\r\nab\r\n", b"PING\r\n"]


@given(st.binary(max_size=200) | st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join))
def test_what_is_read_is_cut_into_messages_or_refused(data: bytes) -> None:
    for pieces in ([data], [data[at : at + 1] for at in range(len(data))]):
        parser, found = wire.Parser(), list[Any]()
        with suppress(wire.NotNats, IndexError):
            for piece in pieces:
                found += parser.feed(piece)
        said = sum(len(each.payload) + len(each.headers) for each in found if isinstance(each, wire.Delivered))
        assert said <= len(data)


@given(st.lists(st.sampled_from([b"$JS", b"ACK", b"1", b"9" * 400, b"-1", b"\xc2\xb2", b""]), max_size=12))
def test_what_stands_in_a_reply_is_a_place_or_none(words: list[bytes]) -> None:
    reply = b".".join(words)
    place = wire.place_in_stream(reply)
    assert place is None or place.at < 1e10
    for number in (subjects.number_in(reply), subjects.number_in_topic(reply)):
        assert number is None or abs(number) < 10**20
