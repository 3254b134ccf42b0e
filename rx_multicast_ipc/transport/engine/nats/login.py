"""How a connection to a NATS server begins: TCP, what the server says of itself, TLS, and who we are."""

from __future__ import annotations

import base64
import json
import socket
import ssl
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

from ....errors import CannotOpen, InvalidOption, MissingExtra, NotAuthorized
from ....option_values.engines import Nats
from ....strangers.decoding import json_object_or_none
from ....subscribing.start_thread import start_thread
from ....validation.numeric_address import Ip
from .wire import NotNats, Parser, Said

PATIENCE: Final = 3.0
"""Seconds that a server has to let us in."""

_SILENCE: Final = 1.5
"""Seconds after which a server that said nothing is asked what it is: one of NATS speaks first."""


class Login(NamedTuple):
    """A server that let us in.

    Attributes:
        socket: the connection to it, which does not block.
        info: what it said of itself.
        parser: which may hold the beginning of what it said next.
        server: host and port.
    """

    socket: socket.socket
    info: dict[str, Any]
    parser: Parser
    server: tuple[str, int]


def log_in(engine: Nats, server: tuple[str, int], seconds: float, known_as: str) -> Login:
    """Connect to one server.

    Args:
        engine: who we are.
        server: host and port.
        seconds: how long it has.
        known_as: the host whose certificate is expected of a server that only the others of its cluster told of.

    Raises:
        CannotOpen, NotAuthorized: it is not there, is no NATS server, is not to be trusted, or does not let us in.
        MissingExtra, InvalidOption: the nkey cannot be used.
    """
    deadline = time.monotonic() + seconds
    where = f"{server[0]}:{server[1]}"
    opened = _connect(server, where, deadline)
    try:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        handshake = _Handshake(opened, where, deadline)
        info = handshake.hear_info()
        if info.get("tls_required") or engine.tls:
            handshake.secure(engine, server[0] if server in engine.servers else known_as, info)
        handshake.say(b"CONNECT %b\r\nPING\r\n" % json.dumps(_who_we_are(engine, info)).encode())
        handshake.hear_pong()
        handshake.socket.setblocking(False)
        return Login(handshake.socket, info, handshake.parser, server)
    except BaseException:
        opened.close()
        raise


class _Handshake:
    """The handshake with a server, by a deadline."""

    def __init__(self, opened: socket.socket, where: str, deadline: float) -> None:
        self.socket = opened
        self.parser = Parser()
        self._where = where
        self._deadline = deadline
        self._heard: list[Any] = []

    def say(self, data: bytes) -> None:
        self._limit()
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise CannotOpen(f"{self._where} closed the connection: {error}") from error

    def hear_info(self) -> dict[str, Any]:
        said = self._hear(first=True)
        if said.what != b"INFO":
            raise self._no_nats(said.what + b" " + said.text)
        info = json_object_or_none(said.text)
        if info is None:
            raise self._no_nats(said.text)
        return info

    def hear_pong(self) -> None:
        while (said := self._hear()).what != b"PONG":
            if said.what == b"-ERR":
                raise refusal(self._where, said.text)

    def secure(self, engine: Nats, host: str, info: dict[str, Any]) -> None:
        if not (info.get("tls_required") or info.get("tls_available")):
            raise CannotOpen(f"{self._where} speaks no TLS; leave tls out, or set up TLS at the server")
        self._limit()
        try:
            self.socket = tls_context(engine).wrap_socket(self.socket, server_hostname=host)
        except ssl.SSLCertVerificationError as error:
            raise CannotOpen(
                f"the certificate of {self._where} is not to be trusted: {error.verify_message}; if it should be, name "
                f'the file with its authority: Nats("{engine.url}", tls="ca.pem")'
            ) from error
        except OSError as error:
            raise CannotOpen(f"no TLS with {self._where}: {error}") from error

    def _hear(self, *, first: bool = False) -> Said:
        asked = False
        while not self._heard:
            self._limit(_SILENCE if first and not asked else PATIENCE)
            try:
                data = self.socket.recv(65_536)
            except TimeoutError as error:
                if first and not asked:
                    asked = True
                    self.say(b"GET / HTTP/1.0\r\n\r\n")
                    continue
                raise CannotOpen(
                    f"something listens at {self._where}, but says nothing, so it is no NATS server; is the port right?"
                ) from error
            except OSError as error:
                raise CannotOpen(f"{self._where} closed the connection: {error}") from error
            if not data:
                if asked:
                    raise self._no_nats(b"")
                raise CannotOpen(
                    f"{self._where} closed the connection at once; does it expect TLS from the first byte?"
                )
            if data.startswith((b"HTTP/", b"<")):
                raise self._no_nats(data)
            try:
                self._heard += self.parser.feed(data)
            except (NotNats, ValueError, IndexError):
                raise self._no_nats(data) from None
        said = self._heard.pop(0)
        return said if isinstance(said, Said) else Said(b"", b"")

    def _no_nats(self, data: bytes) -> CannotOpen:
        if data.startswith((b"HTTP/", b"<")):
            return CannotOpen(
                f"an HTTP server listens at {self._where}, no NATS server; is the port right? (NATS: 4222)"
            )
        return CannotOpen(f"what listens at {self._where} is no NATS server; is the port right? (NATS: 4222)")

    def _limit(self, most: float = PATIENCE) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise CannotOpen(f"{self._where} did not let us in within {PATIENCE:g} s; is it a NATS server?")
        self.socket.settimeout(min(left, most))


def refusal(where: str, text: bytes) -> CannotOpen:
    """The error for what a server says as ``-ERR``."""
    reason = text.decode("utf-8", "replace").strip("' ")
    if "authorization" in reason.lower() or "authentication" in reason.lower():
        return NotAuthorized(
            f"{where} does not let us in ({reason}); are user and password right? "
            f'Nats("nats://{where}", user=, password=)'
        )
    if "permissions violation" in reason.lower():
        return NotAuthorized(f"{where} forbids it: {reason}; have its permissions changed, or use another login")
    return CannotOpen(f"{where} refused: {reason}")


def tls_context(engine: Nats) -> ssl.SSLContext:
    """What the engine's ``tls`` stands for. Raises ``InvalidOption``."""
    if isinstance(engine.tls, ssl.SSLContext):
        return engine.tls
    try:
        return ssl.create_default_context(cafile=engine.tls if isinstance(engine.tls, str) else None)
    except (OSError, ValueError) as error:
        raise InvalidOption(f"tls names a file with certificates, and {engine.tls!r} is none: {error}") from error


def _connect(server: tuple[str, int], where: str, deadline: float) -> socket.socket:
    fault: OSError | None = None
    for address in _look_up(server, where, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            return socket.create_connection(address, left)
        except OSError as error:
            fault = error
    if isinstance(fault, ConnectionRefusedError):
        raise CannotOpen(f"nothing listens at {where}; start a server there, or correct host and port") from fault
    if fault is None or isinstance(fault, TimeoutError):
        raise CannotOpen(f"{where} does not answer; is the host right, and does a firewall let us through?") from fault
    raise CannotOpen(f"{where} cannot be reached: {fault}") from fault


def _look_up(server: tuple[str, int], where: str, deadline: float) -> list[tuple[str, int]]:
    """Addresses of a host; on a thread of its own, for a resolver takes its time."""
    host, port = server
    if Ip.parse(host) is not None:
        return [server]
    found: list[tuple[str, int]] = []
    faults: list[OSError] = []

    def ask() -> None:
        try:
            found.extend((str(each[4][0]), port) for each in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            faults.append(error if isinstance(error, OSError) else OSError(str(error)))

    asking = start_thread(ask, name=f"look up {host}")
    asking.join(max(0.0, deadline - time.monotonic()))
    if not found:
        reason = faults[0] if faults else TimeoutError("no answer")
        raise CannotOpen(f"there is no host of that name, of {where}: {reason}; correct the URL") from reason
    return found


def _who_we_are(engine: Nats, info: dict[str, Any]) -> dict[str, Any]:
    """What CONNECT says. Its text is secret."""
    said: dict[str, Any] = {
        "verbose": False,
        "pedantic": False,
        "lang": "python-rx-multicast-ipc",
        "version": "1",
        "protocol": 1,
        "echo": False,
        "headers": True,
        "no_responders": True,
        "tls_required": bool(engine.tls),
    }
    if engine.user is not None:
        said |= {"user": engine.user, "pass": engine.password or ""}
    if engine.token is not None:
        said["auth_token"] = engine.token
    if engine.nkey is not None:
        said |= _signed(engine.nkey, str(info.get("nonce", "")))
    return said


def _signed(nkey: str, nonce: str) -> dict[str, str]:
    """The server's nonce, signed with the seed of an nkey (https://docs.nats.io/reference/reference-protocols/nkeys)."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    except ImportError:
        raise MissingExtra("an nkey", "cryptography", "nats") from None
    try:
        text = nkey if nkey.startswith("SU") else Path(nkey).read_text().strip()
        seed = base64.b32decode(text + "=" * (-len(text) % 8))
        key = Ed25519PrivateKey.from_private_bytes(seed[2:34])
    except (OSError, ValueError):
        raise InvalidOption(
            'nkey is the seed of a user\'s nkey, "SU...", or the path of a file that holds one'
        ) from None
    public = bytes([20 << 3]) + key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    encoded = base64.b32encode(public + _crc16(public).to_bytes(2, "little")).decode().rstrip("=")
    return {"nkey": encoded, "sig": base64.urlsafe_b64encode(key.sign(nonce.encode())).decode().rstrip("=")}


def _crc16(data: bytes) -> int:
    """CRC-16/XMODEM."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
        crc &= 0xFFFF
    return crc
