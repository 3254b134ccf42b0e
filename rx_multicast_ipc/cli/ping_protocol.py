"""How a ping and its answer look on the wire.

A ping is one datagram to the group, JSON that begins with exactly these bytes::

    {"rx-multicast-ipc":"ping","id":"9f86d081","sequence":1,"time":1767225600.123456}

``id`` is the asker's, chosen at its start; ``sequence`` counts from 1; ``time`` is the asker's clock when it sent, in
seconds since the Unix epoch, for those who look on; ``"pad"``, if there, makes it longer. Whoever answers sends the
very same bytes back, to the asker's address alone, with ``ping`` made ``pong``. It need not understand them, and
answers nothing else, so no answer is ever answered. Other listeners see JSON, and may ignore it.

The asker's address may be forged, so answers are limited: see :class:`..strangers.rate_limit.AnswerLimit`.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Annotated, Final

import msgspec
from reactivex import operators as ops
from reactivex.abc import DisposableBase

from ..channel import Channel
from ..channel_scheduler import clock_of
from ..errors import InvalidArgument
from ..message import Message
from ..strangers.decoding import decode_or_none
from ..strangers.rate_limit import AnswerLimit, LogLimit

_PING: Final = b'{"rx-multicast-ipc":"ping",'
_PONG: Final = b'{"rx-multicast-ipc":"pong",'

_log = logging.getLogger("rx_multicast_ipc")


MOST: Final = 2**53
"""The highest number that is taken: beyond it JSON readers differ."""

Identity = Annotated[str, msgspec.Meta(max_length=64)]
"""An id that somebody chose for itself."""

Count = Annotated[int, msgspec.Meta(ge=0, le=MOST)]


class Ping(msgspec.Struct, frozen=True):
    """What a ping carries, and its answer.

    Attributes:
        id: the asker's; up to 64 characters.
        sequence: 1 for the first.
        time: when it was sent, by the asker's clock, in seconds since the Unix epoch.
        pad: makes it longer.
    """

    id: Identity
    sequence: Annotated[int, msgspec.Meta(ge=1, le=MOST)]
    time: float
    pad: str = ""


_decode: Final = msgspec.json.Decoder(Ping).decode


def encode_ping(ping: Ping, size: int = 0) -> bytes:
    """The datagram that asks, padded to ``size`` bytes if it is shorter."""
    data = _PING + msgspec.json.encode(ping)[1:]
    short = size - len(data)
    return data if short <= 0 else data[:-2] + b"." * short + data[-2:]


def decode_pong(data: bytes) -> Ping | None:
    """What an answer answers; None for what is no answer."""
    return decode_or_none(_decode, data) if data.startswith(_PONG) else None


def decode_ping(data: bytes) -> Ping | None:
    """What somebody wants answered; None for what is no ping."""
    return decode_or_none(_decode, data) if data.startswith(_PING) else None


def is_ping(data: bytes) -> bool:
    """Whether somebody wants an answer."""
    return data.startswith(_PING)


def answer_pings(channel: Channel, limit: AnswerLimit | None = None) -> DisposableBase:
    """Answer the pings that the channel hears, from now on, as many as ``limit`` allows."""
    allowed = AnswerLimit(clock_of(channel.scheduler)) if limit is None else limit
    failures = LogLimit(lambda line: _log.warning("%s", line))

    def answer(message: Message) -> None:
        if not allowed.allows(message.address, len(message.data)):
            return

        def tell(error: Exception) -> None:
            failures.log("a ping is left unanswered", lambda: f"a ping is left unanswered: {error}")

        with suppress(InvalidArgument):  # whoever gave no port gets no answer
            channel.reply(message, _PONG + message.data[len(_PING) :]).subscribe(on_error=tell)

    return channel.messages.pipe(ops.filter(lambda m: is_ping(m.data))).subscribe(answer)
