"""What ``bench`` sends, and what its listeners count.

A datagram of a run is 8 bytes of mark, 8 of the run's id, 8 of its number (from 0, big-endian), and padding.
Whoever runs ``bench --listen`` counts them. Asked for, with one datagram of JSON to the group that begins with exactly
``{"rx-multicast-ipc":"bench",``, it sends what it counted to the asker alone, in a datagram that is no longer than the
question: whoever forges the asker's address gains nothing by it. Round trips are those of :mod:`.ping_protocol`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Annotated, Final

import msgspec
from reactivex.abc import DisposableBase

from ..channel import Channel
from ..errors import InvalidArgument
from ..message import Message
from ..strangers.bounded_map import BoundedMap
from ..strangers.decoding import decode_or_none
from ..strangers.rate_limit import AnswerLimit, LogLimit
from .output import tell
from .ping_protocol import Count, Identity

MARK: Final = b"\0rxbench"
HEADER: Final = 24
"""Bytes before the padding."""

MOST: Final = 2**24
"""Datagrams of a run at most: each is a bit in the memory of every listener."""

_RUNS: Final = 8
"""Runs that are counted at the same time; beyond it, the one that was silent longest is forgotten."""

_ASK: Final = b'{"rx-multicast-ipc":"bench",'
_REPORT: Final = b'{"rx-multicast-ipc":"bench-report",'

_ASK_SIZE: Final = 400
"""Bytes of a question: more than a report has."""


class Question(msgspec.Struct, frozen=True):
    """Asks for what was counted of a run."""

    id: Identity
    pad: str = ""


class Report(msgspec.Struct, frozen=True):
    """What a listener counted of a run.

    Attributes:
        id: the run's, in hexadecimal.
        received: datagrams, each counted once.
        bytes: of their payloads.
        seconds: between the first and the last.
        duplicates: datagrams that came once more.
        reordered: datagrams that came after one with a higher number.
    """

    id: Identity
    received: Count
    bytes: Count
    seconds: Annotated[float, msgspec.Meta(ge=0, le=1e9)]
    duplicates: Count
    reordered: Count


_decode_question: Final = msgspec.json.Decoder(Question).decode
_decode_report: Final = msgspec.json.Decoder(Report).decode


def datagrams(run: bytes, first: int, count: int, size: int) -> list[bytes]:
    """``count`` datagrams of a run, of ``size`` bytes each, from number ``first`` on."""
    head, padding = MARK + run, bytes(size - HEADER)
    return [head + number.to_bytes(8) + padding for number in range(first, first + count)]


def encode_question(run: bytes) -> bytes:
    """The datagram that asks for reports of a run."""
    data = _ASK + msgspec.json.encode(Question(run.hex()))[1:]
    return data[:-2] + b"." * (_ASK_SIZE - len(data)) + data[-2:]


def decode_report(data: bytes) -> Report | None:
    """What a listener counted; None for what is no report."""
    return decode_or_none(_decode_report, data) if data.startswith(_REPORT) else None


class Run:
    """What was heard of one run."""

    def __init__(self, run: bytes) -> None:
        self.id = run
        self.received = 0
        self.bytes = 0
        self.duplicates = 0
        self.reordered = 0
        self._highest = -1
        self._seen = bytearray()  # a bit a datagram
        self._first_at = self._last_at = 0.0

    def take(self, number: int, size: int, now: float) -> None:
        """One datagram came."""
        byte, bit = number >> 3, 1 << (number & 7)
        if byte >= len(self._seen):
            self._seen.extend(bytes(max(byte + 1 - len(self._seen), len(self._seen))))
        if self._seen[byte] & bit:
            self.duplicates += 1
            return
        self._seen[byte] |= bit
        if not self.received:
            self._first_at = now
        self._last_at = now
        self.received += 1
        self.bytes += size
        if number < self._highest:
            self.reordered += 1
        else:
            self._highest = number

    @property
    def report(self) -> Report:
        """What was counted so far."""
        seconds = self._last_at - self._first_at
        return Report(self.id.hex(), self.received, self.bytes, seconds, self.duplicates, self.reordered)


class Listener:
    """Counts the runs that a channel hears, and answers those who ask, as many as the limit allows.

    Args:
        channel: hears them.
        asked: called with the report when a run is asked for, once for each count.
        clock: seconds on a clock that only goes forward.
    """

    def __init__(
        self, channel: Channel, asked: Callable[[Report], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._channel = channel
        self._asked = asked
        self._clock = clock
        self._runs: BoundedMap[bytes, Run] = BoundedMap(_RUNS)
        self._told: BoundedMap[str, Report] = BoundedMap(_RUNS)
        self._limit = AnswerLimit(clock)
        self._failures = LogLimit(tell, clock)

    def listen(self) -> DisposableBase:
        """Begin."""
        return self._channel.batches.subscribe(self._take)

    def _take(self, batch: Sequence[Message]) -> None:
        now, runs = self._clock(), self._runs
        for message in batch:
            data = message.data
            if data[:8] == MARK:
                number = int.from_bytes(data[16:HEADER])
                if len(data) >= HEADER and number < MOST:
                    runs.use(data[8:16], Run).take(number, len(data), now)
            elif data.startswith(_ASK):
                self._answer(message)

    def _answer(self, message: Message) -> None:
        question = decode_or_none(_decode_question, message.data)
        run = next((run for run in self._runs.values() if question and run.id.hex() == question.id), None)
        if run is None:
            return
        report = run.report
        data = _REPORT + msgspec.json.encode(report)[1:]
        if len(data) > len(message.data) or not self._limit.allows(message.address, len(data)):
            return
        if self._told.get(report.id) != report:
            self._told.use(report.id, lambda _: report)
            self._told[report.id] = report
            self._asked(report)

        def failed(error: Exception) -> None:
            self._failures.log("a question is left unanswered", lambda: f"a question is left unanswered: {error}")

        with suppress(InvalidArgument):  # whoever gave no port gets no answer
            self._channel.reply(message, data).subscribe(on_error=failed)
