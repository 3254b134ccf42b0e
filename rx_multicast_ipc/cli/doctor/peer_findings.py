"""What an exchange with other machines found out."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final

from ..output import host_port
from . import firewalls
from .finding import Finding, Severity, fault, note, ok, warning
from .peer import Peer
from .peer_exchange import PATIENCE, Exchange, Silence

_SNOOPING: Final = (
    "a switch on the way forgot who listens: one that snoops (IGMP) drops a group after about 260 s if nobody asks for "
    "reports, because there is no querier"
)
_FIX_SNOOPING: Final = (
    "turn on an IGMP querier, in the switch or the router (one in each network)",
    "on a Linux bridge: sudo ip link set dev br0 type bridge mcast_querier 1",
    "or turn off IGMP snooping in the switch (on a Linux bridge: mcast_snooping 0)",
)
_FIX_ONE_WAY: Final = (
    "look at the receiving machine's firewall: rx-multicast-ipc doctor --interface NAME there",
    "turn on an IGMP querier in the switch, or turn off its IGMP snooping",
)


def findings_of(exchange: Exchange, silences: Collection[Silence], subject: str) -> Iterator[Finding]:
    """What was found out about each peer, by name of the interface."""
    if not exchange.peers:
        yield fault(
            "no-peer",
            subject,
            f"nobody else was heard in {exchange.elapsed:.0f} s",
            "the other machine does not run this command now, or multicast passes in neither direction",
            "run it on the other machine at the same time, on the same group and port: rx-multicast-ipc doctor --peer "
            "--interface NAME",
            "ping the other machine's address, to see whether the network connects the two at all",
        )
    for peer in exchange.peers.values():
        name = host_port(peer.address)
        silent = [silence for silence in silences if silence.peer == peer.address]
        yield from map(_of_silence, silent)
        yield from _of_ways(exchange, peer, name, subject, silent=bool(silent))


def _of_silence(silence: Silence) -> Finding:
    name = host_port(silence.peer)
    way = "from here to there" if silence.outgoing else "from there to here"
    if silence.again:
        return note("heard-again", name, f"the group {way} came back {silence.after:.1f} s after the start", "")
    if not silence.alive:
        return note(
            "peer-gone",
            name,
            f"it fell silent {silence.after:.1f} s after the start, and does not answer directly either",
            "it ended, or the network between the two is down",
        )
    return fault(
        "group-silent",
        name,
        f"the group {way} fell silent {silence.after:.1f} s after the start, though it answers directly",
        _SNOOPING,
        *_FIX_SNOOPING,
    )


def _of_ways(exchange: Exchange, peer: Peer, name: str, subject: str, *, silent: bool) -> Iterator[Finding]:
    report = peer.report
    if report is None and not peer.id:  # it only answers
        answered = peer.answered.count
        asked = peer.answered.span or exchange.sent
        yield ok("peer", name, f"it answered {answered} of {asked} pings on {subject}, and sends none itself")
        return
    if not peer.proved and peer.heard.count < PATIENCE:
        seen = f"{peer.heard.count} of its messages came on {subject}, and it answered nothing that was sent to it"
        yield note("unproved", name, seen, "it has only just come or already gone, or its address is forged")
        return
    if not peer.proved and report is None:
        yield fault(
            "one-way",
            name,
            f"{peer.heard.count} of its messages to the group came on {subject}, and nothing that it sends to this end "
            "alone: nothing arrives from here to there, or no replies arrive here",
            "a firewall drops them, here or there; one that admits the group's port alone drops replies, which go to a "
            "port that the system chooses",
            *firewalls.let_replies_in(peer.address[0]),
            *_FIX_ONE_WAY,
        )
        return
    # The last ones may be on their way.
    out_sent = report.last - report.first + 1 if report is not None and report.heard else exchange.sent
    out_heard = report.heard if report is not None else 0
    in_sent = peer.heard.span or (report.sent if report is not None else 0)
    in_heard = peer.heard.count
    figures = {"sent": out_sent, "heard_there": out_heard, "sent_there": in_sent, "heard": in_heard}
    if not silent:
        yield from _of_way(out_heard, out_sent, "from here to there", name)
        yield from _of_way(in_heard, in_sent, "from there to here", name)
    seen = f"it heard {out_heard} of our {out_sent} messages on {subject}, and we {in_heard} of its {in_sent}"
    both = out_heard > 0 and in_heard > 0
    yield Finding("peer", Severity.OK if both else Severity.NOTE, name, seen, figures=figures)


def _of_way(heard: int, sent: int, way: str, name: str) -> Iterator[Finding]:
    if heard == 0 and sent:
        yield fault(
            "one-way",
            name,
            f"nothing arrives {way}, of {sent} messages; the other direction tells of it",
            "multicast passes in one direction only: a firewall at the receiver drops it, or a switch does not know "
            "that it listens",
            *_FIX_ONE_WAY,
        )
    elif heard < sent:
        yield warning(
            "loss",
            name,
            f"{(sent - heard) / sent:.1%} are lost {way}: {sent - heard} of {sent}",
            "UDP does not send again; on a wireless network multicast is lost more than all else",
            "send at a lower rate, in smaller payloads, or acknowledge and send again",
        )
