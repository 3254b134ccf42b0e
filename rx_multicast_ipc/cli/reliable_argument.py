"""``--reliable``: hear what reliable channels say, and tell of repairs, gaps and traffic of the other kind."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from types import TracebackType
from typing import Self

from reactivex.disposable import SerialDisposable

from ..channel import Channel
from ..channel_events import ChannelEvent, Gap
from ..channel_options import ChannelOptions
from ..message import Message
from ..transport.framed.packet_codec import is_packet
from .output import host_port, tell
from .progress_line import amount


def add_reliable(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--reliable",
        action="store_true",
        help="open a reliable channel, as those who are to hear each other must: what is lost is repaired, or told",
    )


def reliable_options(options: Namespace) -> ChannelOptions:
    """What :func:`add_reliable` read, as an option of channels."""
    return {"reliable": True} if options.reliable else {}


class ReliableNotices:
    """Tells, on standard error, of each gap, once of traffic of the other kind, and at its end of what was repaired.

    Args:
        channel: open; the notices end before it closes.
        options: as :func:`add_reliable` read them.
    """

    def __init__(self, channel: Channel, options: Namespace) -> None:
        self._channel = channel
        self._reliable: bool = options.reliable
        self._subscription = SerialDisposable()
        self._missing = 0

    def __enter__(self) -> Self:
        if self._reliable:
            self._subscription.disposable = self._channel.events.subscribe(self._on_event)
        else:
            self._subscription.disposable = self._channel.batches.subscribe(self._look)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._subscription.dispose()
        statistics = self._channel.statistics
        if self._reliable and (statistics.repaired or statistics.gaps):
            tell(self.summary)
        if self._reliable and statistics.foreign and not statistics.received:
            tell(
                f"{amount(statistics.foreign, 'datagram')} in {self._channel.group} were not of reliable channels; "
                "to hear raw ones, leave out --reliable"
            )

    @property
    def summary(self) -> str:
        """What was repaired and what was not, for people."""
        repaired = amount(self._channel.statistics.repaired, "packet")
        return f"{repaired} repaired, {amount(self._missing, 'packet')} missing for good"

    @property
    def missing(self) -> int:
        """Packets that will not come."""
        return self._missing

    def _on_event(self, event: ChannelEvent) -> None:
        if isinstance(event, Gap):
            self._missing += event.count
            tell(f"{amount(event.count, 'packet')} of {host_port(event.sender)} will not come: {event.reason}")

    def _look(self, batch: list[Message]) -> None:
        """One message a batch is looked at: reliable channels are not heard once alone."""
        message = batch[0]
        if is_packet(message.data):
            self._subscription.dispose()
            tell(
                f"{host_port(message.sender)} sends packets of a reliable channel, which raw ones hear as bytes; "
                "to hear its messages, add --reliable"
            )
