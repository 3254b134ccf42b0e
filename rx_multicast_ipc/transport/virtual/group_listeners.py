"""Who hears a group on a virtual network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple


class Recipients(NamedTuple):
    """Ends that a datagram goes to, and their hosts.

    Attributes:
        hosts: their addresses, each once, in the order of its first end.
        ends: for each end, in the order in which it came, its number and its host's place in ``hosts``.
    """

    hosts: list[str]
    ends: list[tuple[int, int]]


NOBODY: Final = Recipients([], [])


class GroupListeners:
    """The ends that hear a group, on the network or on loopback. A sender looks once for all who are there."""

    def __init__(self) -> None:
        self._ends: dict[int, tuple[str, tuple[str, ...]]] = {}
        self._choosy = 0
        self._all: Recipients | None = None
        self._on_host: dict[str, Recipients] = {}

    def join(self, end: int, host: str, sources: tuple[str, ...]) -> None:
        """An end begins to hear; only these sources, if there are any."""
        self._ends[end] = host, sources
        self._choosy += bool(sources)
        self._all = None
        self._on_host.pop(host, None)

    def leave(self, end: int) -> None:
        """It does not hear any more, if it did."""
        host, sources = self._ends.pop(end, ("", ()))
        self._choosy -= bool(sources)
        self._all = None
        self._on_host.pop(host, None)

    def recipients(self, source: str, host: str | None) -> Recipients:
        """Who hears what comes from the address ``source``; only ends on ``host``, if it does not leave that one."""
        if self._choosy:
            return _recipients(
                (end, where)
                for end, (where, sources) in self._ends.items()
                if (host is None or where == host) and (not sources or source in sources)
            )
        if host is not None:
            found = self._on_host.get(host)
            if found is None:
                found = self._on_host[host] = _recipients(
                    (end, where) for end, (where, _) in self._ends.items() if where == host
                )
            return found
        if self._all is None:
            self._all = _recipients((end, where) for end, (where, _) in self._ends.items())
        return self._all


def _recipients(ends: Iterable[tuple[int, str]]) -> Recipients:
    places: dict[str, int] = {}
    numbered = [(end, places.setdefault(host, len(places))) for end, host in ends]
    return Recipients(list(places), numbered)
