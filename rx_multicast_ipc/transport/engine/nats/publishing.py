"""Lists of messages, as they are written: by subjects, and in writes of a size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from ..sent_topics import Run
from . import subjects, wire

_WRITE: Final = 262_144
"""Bytes of one write: more are written in turns."""

_ASIDE: Final = 64
"""Bytes beside its payload that a message takes of a write, about."""


class Part(NamedTuple):
    """Messages that go to one subject, and are written at once: see :class:`..sent_topics.Run`."""

    subject: bytes
    reply: bytes
    payloads: Sequence[bytes]
    start: int
    others: int | None


def parts_of(subject: str, numbering: bytes, payloads: Sequence[bytes], runs: Sequence[Run]) -> list[Part]:
    """``payloads`` by their subjects, in parts of a size to be written at once."""
    parts: list[Part] = []
    for run in runs or (Run(0, len(payloads), None),):
        to, reply = subject.encode(), numbering
        if run.topic is not None:
            before = subjects.BEGINS if run.others is None else b"%d" % run.others
            to, reply = run.topic.place.encode(), b"%b%b." % (numbering, before)
        some = payloads[run.start : run.stop] if runs else payloads
        start = run.start
        for chunk in _chunks(some):
            parts.append(Part(to, reply, chunk, start, run.others))
            start += len(chunk)
    return parts


def together(parts: list[Part]) -> Iterator[list[Part]]:
    """Those that are written together."""
    if len(parts) == 1:
        yield parts
        return
    write: list[Part] = []
    size = 0
    for part in parts:
        more = sum(map(len, part.payloads)) + _ASIDE * len(part.payloads)
        if write and size + more > _WRITE:
            yield write
            write, size = [], 0
        write.append(part)
        size += more
    yield write


def _chunks(payloads: Sequence[bytes]) -> list[Sequence[bytes]]:
    """``payloads`` in parts that are written at once."""
    if len(payloads) == 1 or sum(map(len, payloads)) + _ASIDE * len(payloads) <= _WRITE:
        return [payloads]
    chunks: list[Sequence[bytes]] = []
    start = size = 0
    for place, payload in enumerate(payloads):
        if size and size + len(payload) + _ASIDE > _WRITE:
            chunks.append(payloads[start:place])
            start, size = place, 0
        size += len(payload) + _ASIDE
    return [*chunks, payloads[start:]]


def written(parts: list[Part], number: int) -> bytes:
    """The bytes of these, of messages that are numbered from ``number`` on."""
    return b"".join([wire.publish(each.subject, each.reply, number + each.start, each.payloads) for each in parts])
