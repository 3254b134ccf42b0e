"""The servers of a cluster, in the order in which they are tried, and the pauses between two attempts."""

from __future__ import annotations

import time
from random import Random
from typing import Any, Final, cast

from ....errors import CannotOpen, MulticastError
from ....option_values.engines import Nats
from ....strangers.decoding import whole_or_none
from .login import PATIENCE, Login, log_in

_MOST: Final = 256
"""Servers that are known."""

_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.4
"""Seconds between two attempts to get back to a server, the first of which comes at once."""

_jitter: Final = Random()  # of its own, so that nobody's seed is used up by a server that is away


class Cluster:
    """Knows the servers that the user named, and those that they told of.

    Args:
        engine: names servers, and says who we are.
    """

    def __init__(self, engine: Nats) -> None:
        self._engine = engine
        self._servers = list(engine.servers)
        self._pause = 0.0

    def log_in(self) -> Login:
        """Log in at the first server that lets us in; it is the last one to be tried again.

        Raises:
            CannotOpen, NotAuthorized, MissingExtra, InvalidOption: what the first one said that refused.
        """
        first: MulticastError | None = None
        deadline = time.monotonic() + PATIENCE
        for place, server in enumerate(list(self._servers)):
            left = (deadline - time.monotonic()) / (len(self._servers) - place)
            try:
                login = log_in(self._engine, server, max(left, 0.1), self._engine.servers[0][0])
            except MulticastError as error:
                first = first or error
            else:
                self._servers.remove(login.server)
                self._servers.append(login.server)
                self._pause = 0.0
                return login
        raise first or CannotOpen(f"{self._engine.url} names no server")

    def learn(self, info: dict[str, Any]) -> None:
        """Note the servers that one tells of."""
        urls = info.get("connect_urls")
        for text in cast("list[object]", urls) if isinstance(urls, list) else ():
            host, _, port = str(text).rpartition(":")
            server = host.strip("[]"), whole_or_none(port) or 0
            if server not in self._servers and 0 < server[1] < 65_536 and len(self._servers) < _MOST:
                self._servers.append(server)

    def next_pause(self) -> float:
        """Seconds until the next attempt: longer after each that failed, and at random, so that clients spread."""
        self._pause = min(_LONGEST_PAUSE, max(_FIRST_PAUSE, 2 * self._pause))
        return self._pause * _jitter.uniform(0.5, 1.0)
