"""The results as a table and as a picture."""

from __future__ import annotations

import os
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

QUIET = 0.5
"""Load average up to which a machine counts as quiet."""

NAMES = {
    "ours": "rx_multicast_ipc, broadcast_all, filter + map",
    "ours_batches": "rx_multicast_ipc, broadcast_all, batches",
    "ours_single": "rx_multicast_ipc, sent one by one, filter + map",
    "before": "rx_multicast_ipc before batching",
    "raw": "raw Python sockets",
    "c": "C, sendto and recvmmsg",
    "asyncio_endpoint": "asyncio datagram endpoint",
    "zeromq": "ZeroMQ, TCP",
    "zenoh_tcp": "Zenoh, TCP",
    "zenoh_shared_memory": "Zenoh, TCP, from 3072 B up shared memory",
    "nats_core": "NATS, nats-py",
    "cyclonedds_reliable": "CycloneDDS, reliable",
    "iceoryx2_shared_memory": "iceoryx2, shared memory",
    "lcm_udpm": "LCM",
    "node_dgram": "Node dgram",
    "npm_multicast_ipc": "npm multicast-ipc",
}
PEERS = (
    *("zeromq", "zenoh_tcp", "zenoh_shared_memory", "nats_core", "cyclonedds_reliable", "iceoryx2_shared_memory"),
    *("lcm_udpm", "node_dgram", "npm_multicast_ipc"),
)

ROUND_TRIPS = {
    "ours": "raw",
    "ours_no_echo": "raw",
    "ours_never_polls": "raw",
    "ours_spin": "raw",
    "before": "raw",
    "zeromq": "raw",
    "asyncio_ours": "asyncio_endpoint",
    "asyncio_ours_loop": "asyncio_endpoint",
}
"""Kinds of round trips, and what each is compared with."""

NAMES_OF_TRIPS = {
    "raw": "raw Python sockets",
    "ours": "channels",
    "ours_no_echo": "channels without echo",
    "ours_never_polls": "channels with spin=0",
    "ours_spin": "channels with spin=0.0003",
    "before": "channels of the older checkout",
    "zeromq": "ZeroMQ, TCP",
    "asyncio_endpoint": "asyncio's datagram endpoint",
    "asyncio_ours": "channels on asyncio",
    "asyncio_ours_loop": 'channels on asyncio with read_on="loop"',
}

NAMES_OF_DELAYS = NAMES_OF_TRIPS | {"ours_spin": "channels with spin=0.0015"}


def load() -> str:
    """What else the machine does, for whoever reads the figures."""
    busy = os.getloadavg()[0]
    warning = "" if busy <= QUIET else f" **busy: figures of a quiet machine need {QUIET} at most**"
    return f"Load average when it began: {busy:.2f}.{warning}"


def table(results: dict[str, Any]) -> str:
    """Markdown of the sections that there are: throughput, every ratio that is claimed, and what grows."""
    rates: dict[str, dict[str, float]] = {
        size: {name: median(some) for name, some in found.items()}
        for size, found in results.get("throughput", {}).items()
    }
    lines = [f"Machine: {results['machine']}. {results.get('load', '')} Medians of alternating passes.", ""]
    if rates:
        names = sorted({name for found in rates.values() for name in found}, key=list(NAMES).index)
        lines += [
            "| zero-loss messages/s | " + " | ".join(f"{size} B" for size in rates) + " |",
            "|---|" + "--:|" * len(rates),
        ]
        for name in names:
            cells = (f"{found.get(name, 0):,.0f}" if found.get(name) else "-" for found in rates.values())
            lines.append(f"| {NAMES[name]} | " + " | ".join(cells) + " |")
        missing = [NAMES[name] for name in NAMES if name not in names and name != "before"]
        lines += ["", f"Not run: {', '.join(missing) or 'none'}.", ""]
    rows = ratios(results, rates)
    if rows:
        lines += ["| what | measured | compared with | ratio | least to most |", "|---|--:|--:|--:|--:|"]
        lines += [row.line for row in rows]
    if "growth" in results:
        lines += ["", "| what grows | what it costs |", "|---|---|"]
        for name, values in results["growth"].items():
            told = ", ".join(f"{point}: {median(some):,.1f}" for point, some in values.items())
            lines.append(f"| {name} ({UNITS[name]}) | {told} |")
    return "\n".join(lines)


UNITS = {
    "subscribers": "ns a message",
    "operators": "ns a message",
    "channels": "µs to open one",
    "backlog": "ns a message",
    "passing": "KiB of growth",
    "processes": "ns of sender CPU a message",
}


class Row(NamedTuple):
    """A figure, and what it is compared with: each a pass."""

    what: str
    measured: list[float]
    compared: list[float]

    @property
    def line(self) -> str:
        each = [a / b for a, b in zip(self.measured, self.compared, strict=False) if b]
        figures = f"{median(self.measured):,.4g} | {median(self.compared):,.4g} | {median(each):.2f}"
        return f"| {self.what} | {figures} | {min(each):.2f} to {max(each):.2f} |"


def ratios(results: dict[str, Any], rates: dict[str, dict[str, float]]) -> list[Row]:
    """What is claimed: of pairs of one pass, the median of their ratios, and its spread."""
    rows: list[Row] = []
    for size, medians in rates.items():
        found = results["throughput"][size]
        peers = {name: medians[name] for name in PEERS if medians.get(name)}
        if found.get("ours") and found.get("raw"):
            rows.append(Row(f"zero-loss messages/s, {size} B, over raw Python sockets", found["ours"], found["raw"]))
        if found.get("ours") and peers:
            best = max(peers, key=peers.__getitem__)
            rows.append(
                Row(f"zero-loss messages/s, {size} B, over the best peer ({NAMES[best]})", found["ours"], found[best])
            )
        if found.get("ours_single") and found.get("raw"):
            what = f"zero-loss messages/s sent one by one, {size} B, over raw"
            rows.append(Row(what, found["ours_single"], found["raw"]))
    if cost := results.get("costs"):
        what = "drain, ns a message, filter + map, over a bare recvfrom loop"
        rows.append(Row(what, cost["drain_ours"], cost["drain_raw"]))
        for name, what in (
            ("send_broadcast", "broadcast(x).subscribe()"),
            ("send_stream", "a stream into broadcast_all"),
            ("send_iterable", "broadcast_all of an iterable"),
        ):
            fast, bare = ([1e9 / value for value in cost[key]] for key in (name, "send_raw"))
            rows.append(Row(f"messages/s by {what}, over a sendto loop", fast, bare))
        for name in cost:
            if name.startswith("ours_single at"):
                what = f"receiver's CPU, ns a message{name.removeprefix('ours_single')}, over raw"
                rows.append(Row(what, cost[name], cost[name.replace("ours_single", "raw")]))
    for section, what, names in (
        ("roundtrip", "round trip {}, µs, {}", NAMES_OF_TRIPS),
        ("one_way", "one-way delay {} at 1,000/s, µs, {}", NAMES_OF_DELAYS),
    ):
        for how, times in results.get(section, {}).items():
            for kind, bare in ROUND_TRIPS.items():
                if kind in times and bare in times:
                    rows += [
                        Row(
                            f"{what.format(told, how)}, {names[kind]} over {names[bare]}",
                            [one[rank] for one in times[kind]],
                            [one[rank] for one in times[bare]],
                        )
                        for rank, told in (("p50", "p50"), ("p99", "p99"), ("cpu", "CPU of one side"))
                        if rank in times[kind][0]
                    ]
    if begin := results.get("startup"):
        for name, unit, what in (
            ("rx_multicast_ipc", "ms", "import, ms of CPU"),
            ("first_message", "ms", "import, a channel and a message, ms of CPU"),
            ("rx_multicast_ipc", "kib", "memory after import, KiB"),
            ("first_message", "kib", "memory after import, a channel and a message, KiB"),
        ):
            if name in begin:
                ours, theirs = ([one[unit] for one in begin[each]] for each in (name, "reactivex"))
                rows.append(Row(f"{what}, over import reactivex", ours, theirs))
    if command := results.get("command_line"):
        start, ping = command["start"], command["ping"]
        what = "the send command, start to datagram out, ms, over import reactivex"
        rows.append(Row(what, start["send"], start["reactivex"]))
        rows.append(Row("the ping command's median round trip, ms, over a bare socket's", ping["ping"], ping["raw"]))
    return rows


def draw(results: dict[str, Any], path: Path) -> None:
    """Zero-loss throughput, a panel a size: a dot a contender on a linear scale from 0, as SVG."""
    sizes = [size for size in ("64", "1024", "8192", "60000") if size in results["throughput"]]
    names = [name for name in NAMES if any(results["throughput"][size].get(name) for size in sizes)]
    left, panel, row, gap = 330, 190, 22, 26
    height = 50 + row * len(names)
    parts: list[str] = []
    for at, name in enumerate(names):
        weight = "font-weight='bold'" if name.startswith("ours") else ""
        parts.append(f"<text x='{left - 12}' y='{54 + row * at}' text-anchor='end' {weight}>{NAMES[name]}</text>")
    for number, size in enumerate(sizes):
        rates = {name: median(some) for name in names if (some := results["throughput"][size].get(name))}
        x, most = left + number * (panel + gap), max(rates.values())
        parts.append(f"<text x='{x}' y='22' font-weight='bold'>{int(size):,} bytes</text>")
        for at, name in enumerate(names):
            y = 50 + row * at
            parts.append(f"<line x1='{x}' x2='{x + panel}' y1='{y}' y2='{y}' stroke='#ddd'/>")
            if name in rates:
                dot = x + rates[name] / most * (panel - 64)
                colour = "#1b6ca8" if name.startswith("ours") else "#777"
                parts.append(f"<circle cx='{dot:.0f}' cy='{y}' r='4.5' fill='{colour}'/>")
                parts.append(f"<text x='{dot + 8:.0f}' y='{y + 4}' class='small'>{_short(rates[name])}</text>")
    width = left + len(sizes) * (panel + gap)
    style = "text{font:13px sans-serif;fill:#222}.small{font-size:11px;fill:#555}"
    path.write_text(
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width} {height + 24}'>"
        f"<style>{style}</style><rect width='100%' height='100%' fill='white'/>{''.join(parts)}"
        f"<text x='{left}' y='{height + 12}' class='small'>messages a second without loss; panels begin at 0</text>"
        "</svg>"
    )


def _short(rate: float) -> str:
    return f"{rate / 1e6:.2f} M" if rate >= 1e6 else f"{rate / 1e3:,.0f} k" if rate >= 1e4 else f"{rate:,.0f}"
