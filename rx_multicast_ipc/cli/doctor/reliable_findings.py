"""What reliable channels repaired during an exchange, and whether others here are reliable while this one is not."""

from __future__ import annotations

from collections.abc import Iterator

from reactivex.abc import DisposableBase
from reactivex.disposable import SerialDisposable

from ...channel import Channel
from ...message import Address, Message
from ...transport.framed.packet_codec import is_packet
from ..output import host_port
from .finding import Finding, Severity, note


class ReliableTraffic:
    """Looks on while a channel is open.

    Args:
        channel: raw or reliable.
        reliable: which.
    """

    def __init__(self, channel: Channel, reliable: bool) -> None:
        self._channel = channel
        self._reliable = reliable
        self._framed: Address | None = None
        self._subscription = SerialDisposable()

    def begin(self) -> DisposableBase:
        """Start; disposing ends it."""
        if not self._reliable:
            self._subscription.disposable = self._channel.messages.subscribe(self._look)
        return self._subscription

    def findings(self, subject: str) -> Iterator[Finding]:
        """What was found out, by name of the interface."""
        statistics = self._channel.statistics
        if self._framed is not None:
            yield note(
                "reliable-traffic",
                subject,
                f"{host_port(self._framed)} sends packets of a reliable channel",
                "raw channels hear them as bytes, and reliable ones do not hear raw ones",
                "open channels that are to hear each other alike; for this command, add --reliable",
            )
        if not self._reliable:
            return
        counted = {"repaired": statistics.repaired, "gaps": statistics.gaps, "foreign": statistics.foreign}
        seen = f"{statistics.repaired:,} packets were repaired, and {statistics.gaps:,} gaps remained"
        if statistics.gaps:
            means = "more was lost than could be repaired: a receiver was too slow, or the way was cut for too long"
            fix = ("raise keep= and patience= of ipc.Reliable on the sender",)
            yield Finding("reliable-gaps", Severity.WARNING, subject, seen, means, fix, counted)
        else:
            yield Finding("reliable", Severity.OK, subject, seen, figures=counted)
        if statistics.foreign:
            yield note(
                "raw-traffic",
                subject,
                f"{statistics.foreign:,} datagrams were not of reliable channels",
                "others here are raw, and this command did not hear them",
                "leave out --reliable to hear raw channels",
            )

    def _look(self, message: Message) -> None:
        if is_packet(message.data):
            self._framed = message.sender
            self._subscription.dispose()
