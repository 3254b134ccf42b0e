"""``record``: writes the messages of a group to a capture file."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.subject import AsyncSubject

from ..blocking_run import run as run_to_end
from ..capture import write
from ..channel import Channel
from ..channel_options import ChannelOptions
from ..errors import CaptureFailed, InvalidInterface, MessageTimeout
from ..message import Message
from ..transport.udp.transport import UdpTransport
from ..validation.stream import Stream
from . import exit_codes
from .closed_descriptors import check_open
from .output import Output, reader_gone, tell
from .progress_line import Status, amount
from .reliable_argument import ReliableNotices, add_reliable, reliable_options
from .shared_arguments import (
    add_form,
    add_group,
    add_other_name,
    add_verbose,
    examples,
    group_of,
    options_of,
    seconds,
    whole,
)

_RECEIVE_BUFFER: Final = 64 << 20
"""Bytes: a disk may take its time."""

_CATCH_UP: Final = 10.0
"""Seconds that what had arrived by the end is given to be read."""


def configure(parser: ArgumentParser) -> None:
    parser.description = (
        "Write every message of a group, and every one that is sent to this process alone, to a pcap file with "
        "nanosecond times that Wireshark, tcpdump and replay open. Tells at the end how many it wrote, and exactly how "
        "many it missed (on Linux); exit code 1 if it missed any. A crash loses nothing that was written. A new file "
        "is its owner's alone to read."
    )
    parser.epilog = examples(
        "rx-multicast-ipc record today.pcap  # until Ctrl-C",
        "rx-multicast-ipc record first.pcap --count 3 --force",
        "rx-multicast-ipc record meeting.pcap --duration 1.5 --human",
        "rx-multicast-ipc record - --count 2 | tcpdump -nr -",
    )
    parser.add_argument("file", metavar="FILE", help='the capture file to write ("-": standard output)')
    parser.add_argument("-c", "--count", type=whole, metavar="N", help="end after N messages")
    parser.add_argument("-d", "--duration", type=seconds, metavar="SECONDS", help="end after this time")
    add_other_name(parser, "--timeout", "duration", type=seconds)
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    parser.add_argument(
        "--receive-buffer",
        type=whole,
        default=_RECEIVE_BUFFER,
        metavar="BYTES",
        help="kernel buffer to ask for (default: %(default)s; what is granted is in the JSON output)",
    )
    add_form(parser)
    add_group(parser)
    add_reliable(parser)
    add_verbose(parser)


def run(options: Namespace, output: Output) -> int:
    to_stdout = options.file == "-"
    if to_stdout:
        check_open("output")
    path = "/dev/stdout" if to_stdout else options.file
    special = to_stdout or (os.path.exists(path) and not os.path.isfile(path))  # a pipe or a device
    if not options.force and not special and os.path.exists(path):
        tell(f"{path} exists; choose another name, or --force to replace it")
        return exit_codes.USAGE
    group = group_of(options)
    if group.engine is not None:
        raise InvalidInterface(
            f"a capture file holds IP addresses, which senders on {group.interface} do not have; a stream of NATS "
            'keeps messages, and ipc.messages(since="all") reads them'
        )
    open_transport = partial(UdpTransport, gro=False)  # so that the count of what was missed is exact
    settings: ChannelOptions = {
        "receive_buffer": options.receive_buffer,
        "backlog": 1,
        **reliable_options(options),
        **options_of(options),
    }
    with (
        Channel(group, open_transport, settings) as channel,
        ReliableNotices(channel, options) as notices,
    ):
        missing = (lambda: notices.missing) if options.reliable else None
        recording = _Recording(channel, path, options.count, missing, replace=options.force or special)
        interrupted = False
        try:
            if options.verbose or recording.watched:
                tell(f"listening to {channel.group}; Ctrl-C ends")
            recording.wait(options.duration, reader_gone() if to_stdout else rx.never())
        except KeyboardInterrupt:  # how most recordings end
            interrupted = True
        except CaptureFailed as error:
            if isinstance(error.__cause__, BrokenPipeError):
                raise error.__cause__ from None
            raise
        recording.end()
        if not to_stdout:
            recording.tell(output)
        else:
            tell(recording.summary)
    if interrupted:
        return exit_codes.INTERRUPTED
    return exit_codes.NOTHING if recording.missed else exit_codes.OK


class _Recording:
    """What is written of a channel to a file, from now on.

    Attributes:
        missed: how many messages the kernel dropped meanwhile; None if it does not tell. On a reliable channel, how
            many packets were not repaired.
    """

    def __init__(
        self, channel: Channel, path: str, count: int | None, missing: Callable[[], int] | None, *, replace: bool
    ) -> None:
        self._channel = channel
        self._missing = missing
        self._path = path
        self._written = 0
        self._bytes = 0
        self._dropped_before = channel.statistics.dropped
        self.missed: int | None = None
        self._started = time.monotonic()
        self._seconds = 0.0
        self._status = Status()
        self._ended: AsyncSubject[Any] = AsyncSubject()
        batches = channel.batches if count is None else channel.batches.pipe(_first(count))
        self._subscription = batches.pipe(write(path, channel, replace=replace), ops.do_action(self._count)).subscribe(
            self._ended
        )

    @property
    def watched(self) -> bool:
        """Whether progress is shown on a terminal."""
        return self._status.watched

    def wait(self, duration: float | None, gone: Observable[Any]) -> None:
        """Return when so many messages were written, or after so many seconds; raises what ended it."""
        ends = [self._ended.pipe(ops.default_if_empty(None)), gone]
        if duration is not None:
            ends.append(rx.timer(duration))
        run_to_end(rx.merge(*ends).pipe(ops.take(1), ops.default_if_empty(None)))

    def end(self) -> None:
        """Write what has arrived by now, and no more."""
        with suppress(MessageTimeout):  # more arrives than can be read
            run_to_end(_caught_up(self._channel), timeout=_CATCH_UP)
        self._subscription.dispose()
        self._seconds = time.monotonic() - self._started
        self.missed = self._missed()
        self._status.clear()

    @property
    def summary(self) -> str:
        """How many messages were written and missed, for people."""
        missed = "it is not known how many were missed" if self.missed is None else f"missed {self.missed:,}"
        written = f"wrote {amount(self._written, 'message')} ({amount(self._bytes, 'byte')}) to {self._path}"
        return f"{written} in {self._seconds:.1f} s; {missed if self.missed != 0 else 'missed none'}"

    def tell(self, output: Output) -> None:
        """Print what became of it."""
        if not output.is_json:
            output.lines([self.summary])
            return
        record = {"event": "end", "file": self._path, "written": self._written, "bytes": self._bytes}
        statistics = self._channel.statistics
        granted, repaired = statistics.receive_buffer, {"repaired": statistics.repaired} if self._missing else {}
        end = {"missed": self.missed, **repaired, "seconds": self._seconds, "receive_buffer": granted}
        output.records([{**record, **end}])

    def _count(self, batch: list[Message]) -> None:
        self._written += len(batch)
        self._bytes += sum([len(message.data) for message in batch])
        if self._status.due:
            self._status.show(f"{amount(self._written, 'message')}, {self._missed() or 0:,} missed")

    def _missed(self) -> int | None:
        if self._missing is not None:
            return self._missing()
        dropped = self._channel.statistics.dropped
        return None if dropped is None else dropped - (self._dropped_before or 0)


def _first(count: int) -> Callable[[Observable[list[Message]]], Observable[list[Message]]]:
    """The first ``count`` messages of a stream of batches."""
    left = count

    def cut(batch: list[Message]) -> list[Message]:
        nonlocal left
        some = batch[:left]
        left -= len(some)
        return some

    def operator(batches: Observable[list[Message]]) -> Observable[list[Message]]:
        return batches.pipe(ops.map(cut), ops.take_while(lambda _: left > 0, inclusive=True))

    return operator


def _caught_up(channel: Channel) -> Observable[None]:
    """Emits when the channel's thread has looked for more, and there was nothing."""

    def subscribe(observer: ObserverBase[None], _: SchedulerBase | None = None) -> DisposableBase:
        received = -1

        def look(scheduler: SchedulerBase, _: object) -> DisposableBase | None:  # once a turn, after it has read
            nonlocal received
            before, received = received, channel.statistics.received
            if received > before:
                return scheduler.schedule(look)
            observer.on_next(None)
            observer.on_completed()
            return None

        return channel.scheduler.schedule(look)

    return Stream(subscribe)
