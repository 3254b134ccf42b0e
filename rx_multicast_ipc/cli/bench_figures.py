"""What a run of ``bench`` has found: how it is printed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ..group import Group
from ..message import Address
from .bench_protocol import Report
from .output import Output, host_port
from .ping_figures import PeerFigures
from .progress_line import amount


class Sent(msgspec.Struct, frozen=True):
    """What was sent.

    Attributes:
        count: datagrams.
        size: bytes of each.
        seconds: how long it took.
    """

    count: int
    size: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.count / self.seconds if self.seconds else 0.0


def print_figures(
    group: Group, sent: Sent, reports: Mapping[Address, Report], peers: Sequence[PeerFigures], output: Output
) -> None:
    """Print what every listener reported of a run.

    Args:
        group: to which it was sent.
        sent: what.
        reports: of the listeners.
        peers: round trips to them, and to others that answered pings.
        output: where.
    """
    if output.is_json:
        output.records(_record(address, report, sent, _peer(peers, address)) for address, report in reports.items())
        rates = {"messages_per_second": sent.per_second, "bytes_per_second": sent.per_second * sent.size}
        end = {"event": "end", "sent": sent.count, "size": sent.size, "seconds": sent.seconds}
        output.records([{**end, **rates, "listeners": len(reports), "answered_pings": len(peers)}])
        return
    megabytes = sent.per_second * sent.size / 1e6
    head = f"{amount(sent.count, 'datagram')} of {amount(sent.size, 'byte')} to {group} in {sent.seconds:.2f} s"
    lines = ["", f"{head}: {sent.per_second:,.0f}/s, {megabytes:,.1f} MB/s, {8 * megabytes:,.1f} Mbit/s"]
    if reports:
        names = [host_port(address) for address in reports]
        width = max(map(len, names))
        lines.append(
            f"{'':{width}}  {'received':>10}  {'lost':>9}  {'a second':>9}  {'MB/s':>7}  {'reordered':>9}"
            f"  {'duplicates':>10}  {'round trip: median':>18}  {'p99':>8}  {'max (ms)':>8}"
        )
        lines += [
            f"{name:{width}}  {_line(report, sent, _peer(peers, address))}"
            for name, (address, report) in zip(names, reports.items(), strict=True)
        ]
    else:
        answered = f" ({amount(len(peers), 'other program')} answered pings)" if peers else ""
        lines.append(
            f"nobody reported{answered}: start rx-multicast-ipc bench --listen, with the same options, elsewhere"
        )
    output.lines(lines)


def _peer(peers: Sequence[PeerFigures], address: Address) -> PeerFigures | None:
    return next((peer for peer in peers if (peer.address, peer.port) == address), None)


def _record(address: Address, report: Report, sent: Sent, peer: PeerFigures | None) -> dict[str, Any]:
    pace = report.received / report.seconds if report.seconds else None
    return {
        "event": "listener",
        "address": address[0],
        "port": address[1],
        "sent": sent.count,
        "received": report.received,
        "lost": max(0, sent.count - report.received),
        "duplicates": report.duplicates,
        "reordered": report.reordered,
        "seconds": report.seconds,
        "messages_per_second": pace,
        "bytes_per_second": None if pace is None else report.bytes / report.seconds,
        "pings": None if peer is None else {"sent": peer.sent, "received": peer.received, "lost": peer.lost},
        "ms": None if peer is None else msgspec.to_builtins(peer.ms),
    }


def _line(report: Report, sent: Sent, peer: PeerFigures | None) -> str:
    lost = max(0, sent.count - report.received)
    part = f"{lost:,} {lost / max(1, sent.count):.1%}" if lost else "0"
    pace = report.received / report.seconds if report.seconds else 0.0
    times = ["-"] * 3 if peer is None else [f"{value:.3f}" for value in (peer.ms.median, peer.ms.p99, peer.ms.maximum)]
    return (
        f"{report.received:10,}  {part:>9}  {pace:9,.0f}  {pace * sent.size / 1e6:7.1f}  {report.reordered:9,}"
        f"  {report.duplicates:10,}  {times[0]:>18}  {times[1]:>8}  {times[2]:>8}"
    )
