"""Which engine carries a channel instead of a network segment: what ``interface=`` takes beside an interface's name."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

import msgspec

from ..errors import InvalidInterface, InvalidOption
from ..strangers.decoding import whole_or_none
from ..validation.arguments import shown
from ..validation.secrets_in_urls import masked

if TYPE_CHECKING:
    from ssl import SSLContext
else:
    SSLContext = Any  # loaded where TLS is used; help() and inspect.signature() need the name

LARGEST_ON_ENGINES: Final = 64 << 20
"""Bytes of payload that no engine exceeds; what one that is set up takes is known once it is connected to."""

Since = str | float | datetime
"""From when on what an engine kept is wanted: ``"all"``, ``"last"``, seconds before now, or a time."""

_NATS_PORT: Final = 4222


class Engine(msgspec.Struct, frozen=True, eq=True):
    """One existing server, or a cluster of them, and how to log in. Equal ones share a connection.

    Attributes:
        url: where it is, without anything that is secret.
    """

    url: str

    SECRETS: ClassVar[frozenset[str]] = frozenset()
    """Fields whose values no text shows."""

    def __repr__(self) -> str:
        shown: list[str] = []
        for name in self.__struct_fields__[1:]:
            value = getattr(self, name)
            if value is not None:
                shown.append(f", {name}=***" if name in self.SECRETS else f", {name}={value!r}")
        return f"{type(self).__name__}({self.url!r}{''.join(shown)})"


class Nats(Engine, frozen=True):
    """A NATS server, for ``interface=`` of everything that opens channels: for what does not belong in a URL.

    ``interface="nats://host:4222"`` is short for ``interface=Nats("nats://host:4222")``.

    Args:
        url: ``"nats://host:4222"``, or ``"tls://host:4222"`` to insist on TLS; several servers of a cluster between
            commas. It may hold ``user:password@`` or ``token@``, which are taken out of it.
        user, password: what the server knows the program by.
        token: or this, alone.
        nkey: or the seed of an nkey (``"SU..."``), or the path of a file that holds one. It needs the extra ``nats``.
        tls: True for TLS with the system's authorities, the path of a file with others' certificates, or an
            ``ssl.SSLContext``. Not needed where the server asks for TLS and the system knows its authority.
        subject: hear and speak on this subject of others' instead of the library's own: ``"orders.new"``, or with
            wildcards ``"orders.*"``, ``"orders.>"`` to hear several. ``Message.topic`` tells the subject of each.

    Raises:
        InvalidInterface: the URL is none of NATS.
        InvalidOption: another argument is of the wrong type.
    """

    user: str | None = None
    password: str | None = None
    token: str | None = None
    nkey: str | None = None
    tls: bool | str | SSLContext | None = None
    subject: str | None = None

    SECRETS: ClassVar[frozenset[str]] = frozenset({"user", "password", "token", "nkey"})
    SCHEMES: ClassVar[tuple[str, ...]] = ("nats", "tls")

    def __post_init__(self) -> None:
        login, url = _split(self.url, self.SCHEMES, _NATS_PORT)
        found: dict[str, Any] = {"url": url}
        if login and self.user is None and self.token is None and self.nkey is None:
            user, colon, password = login.partition(":")
            found |= {"user": _unquote(user), "password": _unquote(password)} if colon else {"token": _unquote(user)}
        if url.startswith("tls:") and self.tls is None:
            found["tls"] = True
        for name, value in found.items():
            msgspec.structs.force_setattr(self, name, value)
        for name in ("user", "password", "token", "nkey"):
            if not isinstance(getattr(self, name), str | None):
                raise InvalidOption(f"{name} is text, not a {type(getattr(self, name)).__name__}")
        if isinstance(self.tls, os.PathLike):
            msgspec.structs.force_setattr(self, "tls", os.fspath(self.tls))
        if not isinstance(self.tls, bool | str | None) and type(self.tls).__name__ != "SSLContext":
            raise InvalidOption(
                f"tls is True, the path of a file with certificates, or an ssl.SSLContext, not {shown(self.tls)}"
            )
        if self.subject is not None:
            _check_subject(self.subject)

    @property
    def servers(self) -> list[tuple[str, int]]:
        """Host and port of each server."""
        hosts = self.url.partition("://")[2].split(",")
        return [(host.strip("[]"), int(port)) for host, _, port in (each.rpartition(":") for each in hosts)]


class Zenoh(Engine, frozen=True):
    """A Zenoh router, for ``interface=`` of everything that opens channels: for what does not belong in a URL.

    ``interface="zenoh://host:7447"`` is short for ``interface=Zenoh("zenoh://host:7447")``. The program is a client of
    the router, and looks for nothing but what is named.

    Args:
        url: ``"zenoh://host:7447"``; several routers to choose from between commas. Or endpoints as Zenoh writes them:
            ``"tcp/host:7447"``, ``"quic/host:7447"``, or a list of them.
        config: a JSON5 file of Zenoh's configuration, its text, or a dict. What is needed here stands above it.
        user, password: what the router knows the program by.
        tls: True to speak TLS with ``zenoh://`` hosts, or the path of a file with the authority of their certificates.
        block: what becomes of a message where the way to the router is full. False drops it, and receivers count it
            (``statistics.lost``). True waits: nothing is lost, but one receiver that stopped can make every sender
            wait, for seconds, also on an event loop or in a subscriber.

    Raises:
        InvalidInterface: the URL is none of Zenoh.
        InvalidOption: another argument is of the wrong type.
    """

    config: str | dict[str, Any] | None = None
    user: str | None = None
    password: str | None = None
    tls: bool | str | None = None
    block: bool = False

    SECRETS: ClassVar[frozenset[str]] = frozenset({"config", "user", "password"})
    SCHEMES: ClassVar[tuple[str, ...]] = ("zenoh",)

    def __post_init__(self) -> None:
        found: dict[str, Any] = {}
        given: Any = self.url
        if isinstance(given, list | tuple):
            given = ",".join(map(str, cast("list[object]", given)))
        if isinstance(given, str) and "://" not in given and given.partition("/")[0] in _ZENOH_PROTOCOLS:
            found["url"] = given
        else:
            login, found["url"] = _split(given, self.SCHEMES, _ZENOH_PORT)
            if login and self.user is None:
                user, _, password = login.partition(":")
                found |= {"user": _unquote(user), "password": _unquote(password)}
        if isinstance(self.config, dict):
            try:
                found["config"] = msgspec.json.encode(self.config).decode()
            except Exception as error:
                kind = type(error).__name__  # its text may hold what is secret
                raise InvalidOption(f"config holds what JSON cannot say ({kind}); see Zenoh's documentation") from None
        elif not isinstance(self.config, str | None):
            raise InvalidOption(f"config is a file, a text or a dict, not a {type(self.config).__name__}")
        for name, value in found.items():
            msgspec.structs.force_setattr(self, name, value)
        for name in ("user", "password"):
            if not isinstance(getattr(self, name), str | None):
                raise InvalidOption(f"{name} is text, not a {type(getattr(self, name)).__name__}")
        if isinstance(self.tls, os.PathLike):
            msgspec.structs.force_setattr(self, "tls", os.fspath(self.tls))
        if not isinstance(self.tls, bool | str | None) or not isinstance(self.block, bool):
            raise InvalidOption("tls is True or the path of a file with an authority, and block is True or False")

    @property
    def endpoints(self) -> tuple[str, ...]:
        """As Zenoh writes them."""
        scheme, slashes, hosts = self.url.partition("://")
        if not slashes:
            return tuple(scheme.split(","))
        protocol = "tls" if self.tls else "tcp"
        return tuple(f"{protocol}/{host}" for host in hosts.split(","))


_ZENOH_PORT: Final = 7447
_ZENOH_PROTOCOLS: Final = ("tcp", "udp", "tls", "quic", "ws", "unixsock-stream")


def engine_of(interface: object) -> Engine | None:
    """The engine that ``interface`` names; None for what is a network interface, or nothing at all.

    Raises:
        InvalidInterface: it looks like a URL, but of no engine that there is. What it holds before ``@`` is not shown.
    """
    if isinstance(interface, Engine):
        return interface
    if not isinstance(interface, str) or not _looks_like_url(interface):
        return None
    scheme = interface.partition(":")[0].lower()
    make = ENGINES.get(scheme)
    if make is None or "://" not in interface:
        raise InvalidInterface(
            f"{shown(masked(interface))} names no engine; there are "
            + ", ".join(f'"{known}://host:port"' for known in ENGINES)
            + ', and the names of interfaces, such as "eth0"'
        )
    return make(interface)


ENGINES: Final[dict[str, Callable[[str], Engine]]] = {"nats": Nats, "tls": Nats, "zenoh": Zenoh}
"""What makes an engine of a URL, by the URL's scheme."""


def _looks_like_url(text: str) -> bool:
    head, slash, _ = text.partition(":/")
    return "@" in text or "://" in text or bool(slash and head.isalnum())


def _split(url: object, schemes: tuple[str, ...], port: int) -> tuple[str, str]:
    """The login in ``url``, and the URL without it, with a port for each host."""
    if not isinstance(url, str):
        raise InvalidInterface(
            f'an engine is named by a URL such as "{schemes[0]}://host:{port}", not by a {type(url).__name__}'
        )
    scheme, slashes, rest = url.partition("://")
    logins: list[str] = []
    hosts: list[str] = []
    for each in rest.rstrip("/").split(","):
        login, _, host = each.strip().rpartition("://")[2].rpartition("@")
        logins.append(login)
        hosts.append(_with_port(host, port))
    if not slashes or scheme.lower() not in schemes or "" in hosts:
        raise InvalidInterface(f'{shown(masked(url))} is no URL such as "{schemes[0]}://host:{port}"')
    return next(filter(None, logins), ""), f"{scheme.lower()}://{','.join(hosts)}"


def _with_port(text: str, port: int) -> str:
    """``host:port``; empty for what is none."""
    host, colon, number = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, number = text, str(port)
    right = 0 < (whole_or_none(number) or 0) < 65_536
    return f"{host}:{number}" if host and host.isprintable() and right and not set(host) & set("/?# ") else ""


def _check_subject(subject: object) -> None:
    tokens = subject.split(".") if isinstance(subject, str) else []
    wild = [token for token in tokens if ("*" in token or ">" in token) and token not in ("*", ">")]
    if (
        not isinstance(subject, str)
        or "" in tokens
        or wild
        or ">" in tokens[:-1]
        or any(each.isspace() or each == "\0" or "\ud800" <= each <= "\udfff" for each in subject)
    ):
        raise InvalidOption(
            f'subject has tokens between dots, such as "orders.new", in which "*" stands for one whole token and ">" '
            f"for the rest, not {shown(subject)}"
        )


def _unquote(text: str) -> str:
    from urllib.parse import unquote  # for a URL with a login alone

    return unquote(text)
