"""``replay``: sends the messages of a capture file to a group."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from typing import Any, Final

import reactivex as rx
from reactivex import Observable
from reactivex import operators as ops

from ..blocking_run import run as run_to_end
from ..capture import Progress, read
from ..capture.gaps import DEFAULT_LONGEST_GAP
from ..errors import MulticastError
from ..message import Message
from ..sending.paced_send_all import send_all
from ..transport import Transport
from . import exit_codes
from .closed_descriptors import check_open
from .output import Output, tell
from .progress_line import Status, amount, bar
from .shared_arguments import add_form, add_group, add_other_name, examples, natural, open_sender, rate, seconds
from .topic_arguments import TopicPattern
from .topic_arguments import pattern as pattern_of_topics

_DIRECT: Final = "sent to one address, not to a group"
_OTHER_TOPIC: Final = "of another topic, or of none"


def configure(parser: ArgumentParser) -> None:
    parser.description = (
        "Send the payloads that a capture file holds to a group, in order and with the gaps that they were captured "
        "with. Takes what record, tcpdump, Wireshark and others write: pcap and pcapng, also packed by gzip. What was "
        "sent to a multicast group, or to all as a broadcast, is replayed, unless the options below choose among it; "
        "other packets are skipped and counted. Of a damaged file it sends what is whole, and tells where that ends."
    )
    parser.epilog = examples(
        "rx-multicast-ipc replay today.pcap",
        "rx-multicast-ipc replay today.pcap --speed 10 --loop 3",
        "rx-multicast-ipc replay today.pcap --topic 'robot/*'",
        "rx-multicast-ipc replay tcpdump.pcapng --from-port 61088 --port 61089",
        "rx-multicast-ipc replay old.pcap.gz --topspeed --json",
    )
    parser.add_argument("file", metavar="FILE", help='the capture file ("-": standard input)')
    speed = parser.add_mutually_exclusive_group()
    speed.add_argument("--speed", type=rate, default=1.0, metavar="X", help="X times as fast as captured (default: 1)")
    speed.add_argument("--topspeed", action="store_true", help="without any gaps; receivers may lose messages")
    parser.add_argument(
        "--longest-gap",
        type=seconds,
        default=DEFAULT_LONGEST_GAP,
        metavar="SECONDS",
        help="a longer gap in the capture counts as this long; steps of its clock by days are none (default: 60)",
    )
    parser.add_argument("--loop", type=natural, default=1, metavar="N", help="replay it N times; 0: for ever")
    chosen = parser.add_argument_group("which datagrams; all of these must hold")
    chosen.add_argument("--topic", type=pattern_of_topics, metavar="PATTERN", help="those of these topics")
    chosen.add_argument("--from-port", type=int, metavar="PORT", help="those that were sent to this port")
    chosen.add_argument("--from-group", metavar="ADDRESS", help="those that were sent to this group")
    chosen.add_argument("--with-direct", action="store_true", help="also those that were sent to one address alone")
    add_other_name(parser, "--direct", "with_direct", action="store_true")
    add_form(parser)
    add_group(parser)


def run(options: Namespace, output: Output) -> int:
    path = "/dev/stdin" if options.file == "-" else options.file
    if options.file == "-":
        check_open("input")
    replay = _Replay(path, options)
    transport = open_sender(options)
    try:
        replay.run(transport)
    except MulticastError:
        if replay.found:
            replay.tell(transport, output)
        raise
    except KeyboardInterrupt:
        replay.tell(transport, output)
        raise
    finally:
        transport.close()
    replay.tell(transport, output)
    if not replay.found:
        tell(f"there is nothing to replay in {path}")
    return exit_codes.OK if replay.found and not replay.lost else exit_codes.NOTHING


class _Replay:
    """The replay of one file.

    Attributes:
        found: whether there was anything to send.
        skipped: how many packets were not sent, by reason, each time that the file was read.
    """

    def __init__(self, path: str, options: Namespace) -> None:
        self._path = path
        self._status = Status()
        self._loops = options.loop
        self._started = time.monotonic()
        self._passed_over: Counter[str] = Counter()
        self._progress = Progress(0, None, 0, {})
        self.found = False
        messages = read(
            path,
            speed=None if options.topspeed else options.speed,
            longest_gap=options.longest_gap,
            port=options.from_port,
            group=options.from_group,
            on_progress=self._report,
        )
        chosen = messages if options.with_direct else messages.pipe(ops.filter(self._is_to_group))
        if options.topic is not None:
            self._topics = TopicPattern(options.topic)
            chosen = chosen.pipe(ops.filter(self._is_of_topic))

        def begin(_: object) -> Observable[Message]:
            self._passed_over.clear()
            return chosen

        self._payloads: Observable[Any] = rx.defer(begin).pipe(ops.map(self._payload))

    def run(self, transport: Transport) -> None:
        """Send it all, as often as was asked for."""
        again = ops.repeat(self._loops or None)
        run_to_end(send_all(transport, self._payloads.pipe(again), None, transport.scheduler))

    @property
    def skipped(self) -> dict[str, int]:
        return self._progress.skipped | self._passed_over

    @property
    def lost(self) -> bool:
        """Whether there was more in the capture, which could not be read."""
        return bool(self._progress.unread)

    def tell(self, transport: Transport, output: Output) -> None:
        """Print what became of it."""
        self._status.clear()
        sent = transport.statistics.sent
        took = time.monotonic() - self._started
        if output.is_json:
            record = {"event": "end", "file": self._path, "sent": sent, "seconds": took, "skipped": self.skipped}
            output.records([record])
            return
        lines = [f"sent {amount(sent, 'message')} in {took:.1f} s"]
        unread = self._progress.unread
        for reason, count in self.skipped.items():
            lost = "; there may have been messages in them" if reason in unread else ""
            lines.append(f"skipped {amount(count, 'packet')}: {reason}{lost}")
        output.lines(lines)

    def _is_to_group(self, message: Message) -> bool:
        return self._chosen(not message.direct, _DIRECT)

    def _is_of_topic(self, message: Message) -> bool:
        return self._chosen(self._topics.find(message) is not None, _OTHER_TOPIC)

    def _chosen(self, chosen: bool, otherwise: str) -> bool:
        if not chosen:
            self._passed_over[otherwise] += 1
        return chosen

    def _payload(self, message: Message) -> bytes:
        self.found = True
        return message.data

    def _report(self, progress: Progress) -> None:
        self._progress = progress
        if self._status.due:
            read_so_far = amount(progress.messages, "message")
            self._status.show(
                f"{read_so_far}, {progress.position:,} bytes"
                if not progress.size
                else f"{bar(progress.position / progress.size)}  {read_so_far}"
            )
