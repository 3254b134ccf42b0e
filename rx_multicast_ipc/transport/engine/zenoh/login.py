"""How a session with a Zenoh router is opened, and why it is not."""

from __future__ import annotations

import json
import os
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ....errors import CannotOpen, InvalidOption, MissingExtra, NotAuthorized
from ....option_values.engines import Zenoh
from ....strangers.decoding import whole_or_none

PATIENCE: Final = 2.5
"""Seconds that a router has to let us in."""

_PROBE: Final = 0.5
"""Seconds that what listens there instead has to show what it is."""


_NONSENSE: Final = b"\x01\x00\xff\r\n\r\n"
"""A frame of one byte that means nothing: a router closes the connection, an HTTP server says what it thinks of it."""


def load() -> Any:
    """The package; raises ``MissingExtra``."""
    try:
        import zenoh
    except ImportError:
        raise MissingExtra("Zenoh", "eclipse-zenoh", "zenoh") from None
    return zenoh


_used = False
_used_by_parent = False


def _forked() -> None:
    global _used_by_parent
    _used_by_parent = _used


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def open_session(engine: Zenoh) -> Any:
    """A session that is a client of a router.

    Raises:
        MissingExtra: the package is not installed.
        InvalidOption: the configuration is none.
        CannotOpen, NotAuthorized: there is no router, or it does not let us in; or this is a forked child.
    """
    global _used
    zenoh = load()
    config = _configuration(zenoh, engine)
    if _used_by_parent:  # where it would wait for ever for threads that the fork left behind
        raise CannotOpen(
            "Zenoh cannot be used in a forked child of a process that has used it; start the child with the method "
            '"spawn" (multiprocessing.get_context("spawn")), or fork before the first channel on Zenoh is opened'
        )
    _used = True
    try:
        return zenoh.open(config)
    except zenoh.ZError as error:
        raise _reason(engine) from _without_secrets(error)


def _configuration(zenoh: Any, engine: Zenoh) -> Any:
    try:
        text: Any = engine.config  # a dict became text
        if text is None:
            config = zenoh.Config()
        elif text.lstrip().startswith("{"):
            config = zenoh.Config.from_json5(text)
        else:
            config = zenoh.Config.from_file(text)
    except zenoh.ZError:
        raise InvalidOption(
            "config of Zenoh is the path of a JSON5 file of Zenoh's, its text or a dict, and this cannot be read as one"
        ) from None
    ours: dict[str, Any] = {
        "mode": "client",
        "connect/endpoints": list(engine.endpoints),
        "connect/timeout_ms": 0,  # one attempt: what is to be done next is said at once
        "connect/exit_on_failure": True,
        "connect/retry": {"period_init_ms": 20, "period_max_ms": 400, "period_increase_factor": 2},
        "scouting/multicast/enabled": False,  # nothing but what was named is looked for
        "scouting/gossip/enabled": False,
        "transport/unicast/open_timeout": round(PATIENCE * 1000),
        "transport/shared_memory/enabled": False,  # else what is larger than 3 KiB leaves memory behind after a crash
        "transport/link/tx/queue/size/data": 16,
    }
    if engine.user is not None:
        ours |= {"transport/auth/usrpwd/user": engine.user, "transport/auth/usrpwd/password": engine.password or ""}
    if isinstance(engine.tls, str):
        ours["transport/link/tls/root_ca_certificate"] = engine.tls
    for key, value in ours.items():
        config.insert_json5(key, json.dumps(value))
    return config


def _reason(engine: Zenoh) -> CannotOpen:
    """Why there is no session: what each endpoint shows of itself to a plain connection."""
    reasons: list[CannotOpen] = []
    for endpoint in engine.endpoints:
        protocol, _, rest = endpoint.partition("/")
        host, _, port = rest.partition("?")[0].rpartition(":")
        number = whole_or_none(port) or 0
        if protocol not in ("tcp", "tls") or not 0 < number < 65_536:
            reasons.append(CannotOpen(f"no Zenoh router is to be reached at {endpoint}"))
        else:
            reasons.append(_look(engine, protocol, host.strip("[]"), number))
    refused = [reason for reason in reasons if isinstance(reason, NotAuthorized)]
    return (refused or reasons)[0]


def _look(engine: Zenoh, protocol: str, host: str, port: int) -> CannotOpen:
    where = f"{host}:{port}"
    try:
        opened = socket.create_connection((host, port), _PROBE)
    except (socket.gaierror, UnicodeError):  # the latter for what no name can be
        return CannotOpen(f"{host} is no host that is known here; is its name right?")
    except ConnectionRefusedError:
        return CannotOpen(f"nothing listens at {where}; is the router started, and the port right?")
    except OSError as error:
        return CannotOpen(f"{where} is not to be reached: {error}")
    with opened:
        opened.settimeout(_PROBE)
        if protocol == "tls":
            return _look_at_certificate(engine, opened, host, where)
        answer: bytes | None = None
        with suppress(OSError):
            opened.sendall(_NONSENSE)
        try:
            answer = opened.recv(64)
        except TimeoutError:
            return CannotOpen(f"something listens at {where}, but says nothing, so it is no Zenoh router")
        except OSError:  # it closed the connection, as a router does that hears nonsense
            pass
        if answer and int.from_bytes(answer[:2], "little") != len(answer) - 2:  # else it is a frame of Zenoh's
            what = "an HTTP server" if answer.startswith((b"HTTP/", b"<")) else "no Zenoh router"
            return CannotOpen(f"what listens at {where} is {what}; is the port right?")
    return _not_let_in(where)


def _look_at_certificate(engine: Zenoh, opened: socket.socket, host: str, where: str) -> CannotOpen:
    advice = f'Zenoh("{engine.url}", tls="ca.pem")'
    if isinstance(engine.tls, str) and not Path(engine.tls).is_file():
        return CannotOpen(f"there is no file {engine.tls!r} with a certificate authority: {advice}")
    try:
        context = ssl.create_default_context(cafile=engine.tls if isinstance(engine.tls, str) else None)
        context.wrap_socket(opened, server_hostname=host).close()
    except ssl.SSLCertVerificationError as error:
        return CannotOpen(
            f"the certificate of {where} is not to be trusted: {error.verify_message}; if it should be, name the file "
            f"with its authority: {advice}"
        )
    except OSError as error:
        return CannotOpen(f"no TLS with {where}: {error}")
    return _not_let_in(where)


def _not_let_in(where: str) -> CannotOpen:
    return NotAuthorized(
        f"what listens at {where} does not let us in: a Zenoh router that expects another user and password "
        "(Zenoh(url, user=, password=)), or no Zenoh router"
    )


def _without_secrets(error: Exception) -> Exception | None:
    """``error`` where its text is only of endpoints; a configuration would be in others."""
    return error if str(error).startswith("Unable to connect") else None
