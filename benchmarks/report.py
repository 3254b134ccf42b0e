"""The results as a table and as a picture."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

NAMES = {
    "ours": "rx_multicast_ipc, broadcast_all, filter + map",
    "ours_batches": "rx_multicast_ipc, broadcast_all, batches",
    "ours_single": "rx_multicast_ipc, sent one by one, filter + map",
    "before": "rx_multicast_ipc before batching",
    "raw": "raw Python sockets",
    "c": "C, sendto and recvmmsg",
    "asyncio_endpoint": "asyncio datagram endpoint",
    "zeromq": "ZeroMQ, TCP",
    "zenoh_tcp": "Zenoh, TCP (shared memory from 3072 B up)",
    "lcm_udpm": "LCM",
    "node_dgram": "Node dgram",
    "npm_multicast_ipc": "npm multicast-ipc",
}
PEERS = ("zeromq", "zenoh_tcp", "lcm_udpm", "node_dgram", "npm_multicast_ipc")


def table(results: dict[str, Any]) -> str:
    """Markdown: throughput, then every ratio that is claimed."""
    rates = {
        size: {name: median(some) for name, some in found.items()} for size, found in results["throughput"].items()
    }
    names = sorted({name for found in rates.values() for name in found}, key=list(NAMES).index)
    lines = [f"Machine: {results['machine']}. Medians of {passes(results)} alternating passes.", ""]
    lines += [
        "| zero-loss messages/s | " + " | ".join(f"{size} B" for size in rates) + " |",
        "|---|" + "--:|" * len(rates),
    ]
    for name in names:
        cells = (f"{found.get(name, 0):,.0f}" if found.get(name) else "-" for found in rates.values())
        lines.append(f"| {NAMES[name]} | " + " | ".join(cells) + " |")
    missing = [NAMES[name] for name in NAMES if name not in names and name != "before"]
    lines += ["", f"Not run: {', '.join([*missing, 'NATS (needs a server)', 'DDS'])}.", ""]
    lines += ["| what | measured | compared with | ratio |", "|---|--:|--:|--:|"]
    lines += [f"| {what} | {a:,.4g} | {b:,.4g} | {a / b:.2f} |" for what, a, b in ratios(results, rates)]
    growth = results["growth"]
    lines += ["", "| what grows | what it costs |", "|---|---|"]
    for name, values in growth.items():
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


def passes(results: dict[str, Any]) -> int:
    return max(len(some) for found in results["throughput"].values() for some in found.values())


def ratios(results: dict[str, Any], rates: dict[str, dict[str, float]]) -> list[tuple[str, float, float]]:
    """What is claimed, and what it is compared with. Pairs of one pass, then the median of the pairs' ratio."""
    rows: list[tuple[str, float, float]] = []
    for size, found in rates.items():
        ours = found.get("ours")
        peers = {name: found[name] for name in PEERS if found.get(name)}
        if ours and found.get("raw"):
            rows.append((f"zero-loss messages/s, {size} B, over raw Python sockets", ours, found["raw"]))
        if ours and peers:
            best = max(peers, key=peers.__getitem__)
            rows.append((f"zero-loss messages/s, {size} B, over the best peer ({NAMES[best]})", ours, peers[best]))
        if found.get("ours_single") and found.get("raw"):
            rows.append(
                (f"zero-loss messages/s sent one by one, {size} B, over raw", found["ours_single"], found["raw"])
            )
    cost = {name: median(some) for name, some in results["costs"].items()}
    rows.append(("drain, ns a message, filter + map, over a bare recvfrom loop", cost["drain_ours"], cost["drain_raw"]))
    for name, what in (
        ("send_broadcast", "broadcast(x).subscribe()"),
        ("send_stream", "a stream into broadcast_all"),
        ("send_iterable", "broadcast_all of an iterable"),
    ):
        rows.append((f"messages/s by {what}, over a sendto loop", 1e9 / cost[name], 1e9 / cost["send_raw"]))
    for name in cost:
        if name.startswith("ours_single at"):
            other = name.replace("ours_single", "raw")
            rows.append(
                (f"receiver's CPU, ns a message{name.removeprefix('ours_single')}, over raw", cost[name], cost[other])
            )
    trips = {
        kind: {rank: median(one[rank] for one in some) for rank in some[0]}
        for kind, some in results["roundtrip"].items()
    }
    for kind in trips:
        if kind != "raw":
            rows += [
                (f"round trip {rank}, µs, {kind.replace('_', ' ')} over raw", value, trips["raw"][rank])
                for rank, value in trips[kind].items()
            ]
    begin = {
        name: {unit: median(one[unit] for one in some) for unit in some[0]} for name, some in results["startup"].items()
    }
    for unit, what in (("ms", "import, ms"), ("kib", "memory after import, KiB")):
        rows.append((f"{what}, over import reactivex", begin["rx_multicast_ipc"][unit], begin["reactivex"][unit]))
    command = {
        what: {name: median(some) for name, some in found.items()} for what, found in results["command_line"].items()
    }
    start, ping = command["start"], command["ping"]
    rows.append(
        ("the send command, start to datagram out, ms, over import reactivex", start["send"], start["reactivex"])
    )
    rows.append(("the ping command's median round trip, ms, over a bare socket's", ping["ping"], ping["raw"]))
    return rows


def draw(results: dict[str, Any], path: Path) -> None:
    """Bars of zero-loss throughput at three sizes, as SVG; a logarithmic scale."""
    from math import log10

    sizes = [size for size in ("64", "1024", "8192") if size in results["throughput"]]
    names = [name for name in NAMES if any(name in results["throughput"][size] for size in sizes)]
    left, width, row, gap = 330, 560, 16, 12
    parts: list[str] = []
    y = 30
    colours = {"64": "#1b6ca8", "1024": "#5aa469", "8192": "#d08c2e"}
    low, high = 3.0, 7.0
    for name in names:
        label = "font-weight='bold'" if name.startswith("ours") else ""
        middle = y + row * len(sizes) / 2 + 4
        parts.append(f"<text x='{left - 8}' y='{middle}' text-anchor='end' {label}>{NAMES[name]}</text>")
        for size in sizes:
            some = results["throughput"][size].get(name)
            rate = median(some) if some else 0
            length = max(0.0, (log10(max(rate, 1)) - low) / (high - low) * width)
            parts.append(f"<rect x='{left}' y='{y}' width='{length:.0f}' height='{row - 3}' fill='{colours[size]}'/>")
            parts.append(f"<text x='{left + length + 5:.0f}' y='{y + row - 5}' class='small'>{rate:,.0f}</text>")
            y += row
        y += gap
    legend = "".join(
        f"<rect x='{left + 110 * i}' y='6' width='12' height='12' fill='{colours[size]}'/>"
        f"<text x='{left + 110 * i + 17}' y='17'>{size} bytes</text>"
        for i, size in enumerate(sizes)
    )
    style = "text{font:13px sans-serif;fill:#222}.small{font-size:11px;fill:#555}"
    path.write_text(
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {left + width + 90} {y + 24}'>"
        f"<style>{style}</style><rect width='100%' height='100%' fill='white'/>{legend}{''.join(parts)}"
        f"<text x='{left}' y='{y + 12}' class='small'>messages a second without loss, logarithmic from 1,000</text>"
        "</svg>"
    )
