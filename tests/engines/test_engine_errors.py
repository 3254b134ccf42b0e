"""What goes wrong with an engine has an error of its own, soon, and no text that a person may see holds a secret."""

from __future__ import annotations

import http.server
import logging
import pickle
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc.transport.engine.nats import connection, login
from rx_multicast_ipc.validation import environment

from ..helpers import run
from ..nats_servers import NatsServer, free_tcp_port
from .helpers import until

SECRET = "geh3im-Pa55wort"

SECURE = """
authorization {{ users: [
    {{ user: ann, password: "{secret}" }}
    {{ user: bob, password: "{secret}", permissions: {{
        publish: {{ deny: ["rx.224-0-2-1.4321.>"] }}, subscribe: {{ deny: ["rx.224-0-2-1.4322.>"] }} }} }}
] }}
"""


@pytest.fixture(scope="module")
def guarded() -> Iterator[NatsServer]:
    """A server that lets in who has the secret."""
    with NatsServer(SECURE.format(secret=SECRET)) as server:
        yield server


@contextmanager
def within(seconds: float) -> Generator[None]:
    """CPU and load aside, what is within ends by itself in time: no timer of it is longer."""
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < seconds + 10.0


@contextmanager
def listening(answer: Callable[[socket.socket], object]) -> Generator[int]:
    """Something that listens on a port, which is no engine."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    accepted, _ = listener.accept()
                except OSError:
                    return
                answer(accepted)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def error_of(interface: ipc.Nats | str, port: int = 61_088) -> ipc.MulticastError:
    """What opening a channel raises: in time, fit for pickling, and without the secret, with all that caused it."""
    with within(3.0), pytest.raises(ipc.MulticastError) as caught:
        ipc.open_channel(port, interface=interface).close()
    found: BaseException | None = caught.value
    assert str(pickle.loads(pickle.dumps(found))) == str(found)
    while found is not None:
        assert SECRET not in f"{found} {found!r} {found.args}"
        found = found.__cause__ or found.__context__
    return caught.value


def test_nothing_listens_there() -> None:
    error = error_of(f"nats://ann:{SECRET}@127.0.0.1:{free_tcp_port()}")
    assert type(error) is ipc.CannotOpen
    assert "nothing listens at 127.0.0.1:" in str(error)
    assert isinstance(error.__cause__, ConnectionRefusedError)


def test_there_is_no_such_host() -> None:
    assert "there is no host of that name" in str(error_of(f"nats://ann:{SECRET}@host.invalid:4222"))


@pytest.mark.parametrize("login", [f"ann:{SECRET}x", f"{SECRET}", "", f"zoe:{SECRET}"])
def test_the_login_is_wrong(guarded: NatsServer, login: str) -> None:
    url = f"nats://{login}{'@' if login else ''}127.0.0.1:{guarded.port}"
    error = error_of(url)
    assert type(error) is ipc.NotAuthorized
    assert "does not let us in" in str(error)


def test_the_right_login_in_the_url_or_beside_it(guarded: NatsServer, port: int) -> None:
    for engine in (
        ipc.Nats(guarded.url, user="ann", password=SECRET),
        ipc.Nats(f"nats://ann:{SECRET}@127.0.0.1:{guarded.port}"),
    ):
        with ipc.open_channel(port, interface=engine) as channel:
            texts = f"{engine!r} {engine} {channel!r} {channel.group!r} {channel.group} {channel.transport!r}"
            texts += f"{channel.messages!r} {channel.transport.statistics}"
            texts += f"{[thread.name for thread in threading.enumerate()]} {ipc.messages(port, interface=engine)!r}"
            assert SECRET not in texts
            assert guarded.url in texts


@pytest.fixture
def asks_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever says nothing is soon asked what it is."""
    monkeypatch.setattr(login, "_SILENCE", 0.3)


def test_nobody_is_waited_for_longer_than_three_seconds() -> None:
    assert connection.PATIENCE == login.PATIENCE <= 3.0


@pytest.mark.usefixtures("asks_soon")
def test_an_http_server_is_told_from_a_nats_server() -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    error = error_of(f"nats://ann:{SECRET}@127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()
    assert "an HTTP server listens at" in str(error)


ANSWERS: dict[str, tuple[Callable[[socket.socket], object], str]] = {
    "closes": (lambda accepted: accepted.close(), "closed the connection at once"),
    "a mail server": (lambda accepted: accepted.sendall(b"220 mail.example ESMTP\r\n"), "is no NATS server"),
    "noise": (lambda accepted: accepted.sendall(b"\x00\xff" * 50 + b"\r\n"), "is no NATS server"),
    "nonsense": (lambda accepted: accepted.sendall(b"INFO {not json}\r\n"), "is no NATS server"),
    "silence": (lambda accepted: accepted, "says nothing"),
}


@pytest.mark.parametrize("kind", ANSWERS)
@pytest.mark.usefixtures("asks_soon")
def test_what_is_no_nats_server(kind: str) -> None:
    answer, said = ANSWERS[kind]
    kept: list[socket.socket] = []

    def take(accepted: socket.socket) -> None:
        kept.append(accepted)
        answer(accepted)

    with listening(take) as port:
        assert said in str(error_of(f"nats://{SECRET}@127.0.0.1:{port}"))
    for accepted in kept:
        accepted.close()


@pytest.mark.parametrize(
    "url",
    [
        *(f"{scheme}://ann:{SECRET}@host:1" for scheme in ("amqp", "natss", "http", "")),
        *(f"{odd}" for odd in (f"nats:/ann:{SECRET}@host", f"nats:ann:{SECRET}@host", f"ann:{SECRET}@host")),
        *(f"nats://ann:{SECRET}@{hosts}" for hosts in ("", "host:0", "host:x", "host:99999", "a,,b", "host/path")),
        f"nats://ann:{SECRET},more@host:0",
        *(f"nats://ann:{SECRET}@{host}:1" for host in ("a\udcff", "\x1b[2J", "a\u202eb")),
    ],
)
def test_a_url_of_no_engine_names_those_there_are(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = error_of(url)
    assert isinstance(error, ipc.InvalidInterface)
    assert "nats://host:" in str(error)
    monkeypatch.setenv(environment.INTERFACE, url)
    with pytest.raises(ipc.InvalidInterface) as caught:
        ipc.open_channel()
    assert environment.INTERFACE in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_certificate_of_an_unknown_authority(tmp_path: Path, port: int) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes certificates, is not installed")
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    subprocess.run([*made, "-keyout", str(key), "-out", str(certificate), *names], check=True, capture_output=True)
    with NatsServer(f'tls {{ cert_file: "{certificate}", key_file: "{key}" }}') as server:
        error = error_of(f"nats://ann:{SECRET}@127.0.0.1:{server.port}")
        assert "is not to be trusted" in str(error)
        assert "no file" not in str(error)
        error = error_of(ipc.Nats(server.url, tls=str(tmp_path / "missing.pem"), password=SECRET, user="ann"))
        assert isinstance(error, ipc.InvalidOption)
        engine = ipc.Nats(server.url, tls=str(certificate))
        other = ipc.Nats(server.url, tls=str(certificate), user="other")
        with ipc.open_channel(port, interface=engine) as one, ipc.open_channel(port, interface=other) as two:
            ipc.run(one.broadcast_all([bytes(1000)] * 1000))
            heard = [run(two.wait_for_message()) for _ in range(1000)]
            ipc.run(two.reply(heard[0], "back"))
            run(one.wait_for_message(lambda m: m.text == "back"))


def test_tls_where_there_is_none(server: NatsServer) -> None:
    assert "speaks no TLS" in str(error_of(ipc.Nats(server.url, tls=True)))


def test_what_may_not_be_sent_is_told_as_an_event_and_in_the_log(
    guarded: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[object] = []
    with (
        caplog.at_level(logging.DEBUG, "rx_multicast_ipc"),
        ipc.open_channel(4321, interface=ipc.Nats(guarded.url, user="bob", password=SECRET)) as channel,
    ):
        channel.events.subscribe(events.append)
        ipc.run(channel.broadcast("not allowed"))
        until(lambda: events)
        ipc.run(channel.broadcast("not allowed"))
        until(lambda: len(events) == 2)
        (address, number) = channel.sender_address
    (event, _) = events
    assert isinstance(event, ipc.Forbidden)
    assert event.subject == f"rx.224-0-2-1.4321.{address}.{number}"
    assert caplog.text.count("forbids to send") == 1
    assert SECRET not in caplog.text + repr(event)


def test_what_may_not_be_listened_to_cannot_be_opened(guarded: NatsServer) -> None:
    error = error_of(ipc.Nats(guarded.url, user="bob", password=SECRET), port=4322)
    assert type(error) is ipc.NotAuthorized
    assert "forbids it" in str(error)
    with ipc.open_channel(4323, interface=ipc.Nats(guarded.url, user="bob", password=SECRET)):
        pass  # the connection goes on


def test_no_secret_is_logged_while_a_server_dies_and_comes_back(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.DEBUG, "rx_multicast_ipc"),
        NatsServer(SECURE.format(secret=SECRET)) as server,
        ipc.open_channel(port, interface=f"nats://ann:{SECRET}@127.0.0.1:{server.port}") as channel,
    ):
        events: list[object] = []
        channel.events.subscribe(events.append)
        server.kill()
        until(lambda: events)
        with pytest.raises(ipc.SendFailed) as caught:
            ipc.run(channel.broadcast("x"))
        with pytest.raises(ipc.CannotOpen) as unopened:
            ipc.open_channel(port + 1, interface=f"nats://ann:{SECRET}@127.0.0.1:{server.port}")
        server.start()
        until(lambda: len(events) == 2)
    assert SECRET not in caplog.text + f"{events} {caught.value!r} {unopened.value!r}"
    assert "is away" in str(caught.value)
    assert "went away" in caplog.text


def test_an_nkey_without_what_signs_it(server: NatsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.ed25519", None)
    error = error_of(ipc.Nats(server.url, nkey=SECRET))
    assert isinstance(error, ipc.MissingExtra)
    assert "rx-multicast-ipc[nats]" in str(error)


def test_an_nkey_lets_in_who_has_it(port: int) -> None:
    pytest.importorskip("cryptography")
    seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"  # of the documentation of NATS
    public = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"
    with NatsServer(f"authorization {{ users: [ {{ nkey: {public} }} ] }}") as server:
        engine = ipc.Nats(server.url, nkey=seed)
        assert seed not in repr(engine)
        ipc.open_channel(port, interface=engine).close()
        assert seed not in str(error_of(ipc.Nats(server.url, nkey="SUAnonsense")))


@pytest.mark.parametrize(
    "wrong",
    [
        {"ttl": 3},
        {"sources": ["10.0.0.1"]},
        {"send_from": "group"},
        {"group": "255.255.255.255"},
        {"interface": ["lo", "nats://127.0.0.1:4222"]},
    ],
    ids=str,
)
def test_what_an_engine_does_not_have(server: NatsServer, wrong: dict[str, object]) -> None:
    options: dict[str, object] = {"interface": server.url, **wrong}
    with pytest.raises((ipc.InvalidArgument, ipc.Unsupported)):
        ipc.open_channel(**options)  # pyright: ignore


@pytest.mark.parametrize("subject", ["", "a..b", "a b", "a.>.b", "x*", "a.b>", ".a", "a.", "a\r\nPUB b 0"])
def test_what_is_no_subject(subject: str) -> None:
    with pytest.raises(ipc.InvalidOption):
        ipc.Nats("nats://127.0.0.1", subject=subject)
