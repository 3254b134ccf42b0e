"""What a switch does to datagrams that it should not: rules of nftables, whose victims are counted."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence

import pytest

from .namespace import Namespace

_BRIDGE = "bridge faults"
_DEVICE = "netdev faults"


class Fault:
    """A rule in force until it is healed."""

    def __init__(self, switch: Namespace, table: str, counter: str) -> None:
        self._switch = switch
        self._table = table
        self._counter = counter
        self._last: int | None = None

    @property
    def count(self) -> int:
        """How many packets it dropped, or doubled."""
        if self._last is not None:
            return self._last
        listed = json.loads(self._switch.run("nft", "-j", "list", "counter", *self._table.split(), self._counter))
        (packets,) = [entry["counter"]["packets"] for entry in listed["nftables"] if "counter" in entry]
        return packets

    def end(self) -> None:
        """Keep the count; the rule itself is about to be deleted."""
        self._last = self.count


class Faults:
    """The rules of one switch, on the ports that lead to hosts. A port's name ends in ``*`` for any of that start."""

    def __init__(self, switch: Namespace) -> None:
        self._switch = switch
        self._faults: list[Fault] = []

    def lose(self, percent: float, ports: Sequence[str], protocol: str = "udp") -> Fault:
        """Drop each UDP datagram (each fragment of it) on its way out of these ports with this probability."""
        return self._drop([f'oifname "{port}" meta l4proto {protocol} {_chance(percent)}' for port in ports])

    def separate(self, pairs: Sequence[tuple[str, str]]) -> Fault:
        """Drop every packet between these ports, in both directions."""
        both_ways = [pair for one, other in pairs for pair in ((one, other), (other, one))]
        return self._drop([f'iifname "{coming}" oifname "{going}"' for coming, going in both_ways])

    def duplicate(self, percent: float, ports: Sequence[str]) -> Fault:
        """Send each UDP datagram out of these ports (by their full names) a second time with this probability."""
        counter = self._counter(_DEVICE)
        lines: list[str] = []
        for number, port in enumerate(
            ports
        ):  # the mark is there lest the copy, which comes by here too, be copied again
            chain = f"{_DEVICE} {counter}_{number}"
            lines += [
                f'add chain {chain} {{ type filter hook egress device "{port}" priority 0; }}',
                f"add rule {chain} meta l4proto udp meta mark != 1 {_chance(percent)}"
                f' meta mark set 1 counter name {counter} dup to "{port}"',
            ]
        return self._add(_DEVICE, counter, lines)

    def heal(self) -> None:
        """Delete all rules. Their counts stay."""
        for fault in self._faults:
            fault.end()
        if self._faults:
            self._switch.run("nft", "flush", "ruleset")
            self._faults.clear()

    def _drop(self, conditions: Sequence[str]) -> Fault:
        counter = self._counter(_BRIDGE)
        chain = f"{_BRIDGE} forward"
        lines = [f"add chain {chain} {{ type filter hook forward priority 0; }}"]
        lines += [f"add rule {chain} {condition} counter name {counter} drop" for condition in conditions]
        return self._add(_BRIDGE, counter, lines)

    def _counter(self, table: str) -> str:
        return f"{table.split()[0]}_{len(self._faults)}"

    def _add(self, table: str, counter: str, lines: Sequence[str]) -> Fault:
        if shutil.which("nft") is None:
            pytest.skip("needs nft(8) to lose, double and separate datagrams")
        script = "\n".join([f"add table {table}", f"add counter {table} {counter}", *lines])
        self._switch.run("nft", "-f", "-", text=script)
        fault = Fault(self._switch, table, counter)
        self._faults.append(fault)
        return fault


def _chance(percent: float) -> str:
    """A condition that holds so often, at random."""
    return f"numgen random mod 10000 < {round(percent * 100)}" if percent < 100 else ""
