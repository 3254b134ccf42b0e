"""How a ping and its answer look on the wire.

A ping is one datagram to the group, JSON that begins with exactly these bytes::

    {"rx-multicast-ipc":"ping","id":"9f86d081","sequence":1,"time":1767225600.123456}

``id`` is the asker's, chosen at its start; ``sequence`` counts from 1; ``time`` is the asker's clock when it sent, in
seconds since the Unix epoch, for those who look on; ``"pad"``, if there, makes it longer. Whoever answers sends the
very same bytes back, to the asker's address alone, with ``ping`` made ``pong``. It need not understand them, and
answers nothing else, so no answer is ever answered. Other listeners see JSON, and may ignore it.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Final

import msgspec
from reactivex import operators as ops
from reactivex.abc import DisposableBase

from ..channel import Channel
from ..errors import InvalidArgument
from ..message import Message

_PING: Final = b'{"rx-multicast-ipc":"ping",'
_PONG: Final = b'{"rx-multicast-ipc":"pong",'

_log = logging.getLogger("rx_multicast_ipc")


class Ping(msgspec.Struct, frozen=True):
    """What a ping carries, and its answer.

    Attributes:
        id: the asker's.
        sequence: 1 for the first.
        time: when it was sent, by the asker's clock, in seconds since the Unix epoch.
        pad: makes it longer.
    """

    id: str
    sequence: int
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
    return _decoded(data) if data.startswith(_PONG) else None


def decode_ping(data: bytes) -> Ping | None:
    """What somebody wants answered; None for what is no ping."""
    return _decoded(data) if data.startswith(_PING) else None


def is_ping(data: bytes) -> bool:
    """Whether somebody wants an answer."""
    return data.startswith(_PING)


def _decoded(data: bytes) -> Ping | None:
    with suppress(msgspec.MsgspecError):
        return _decode(data)
    return None


def answer_pings(channel: Channel) -> DisposableBase:
    """Answer every ping that the channel hears, from now on."""

    def answer(message: Message) -> None:
        with suppress(InvalidArgument):  # whoever gave no port gets no answer
            pong = channel.reply(message, _PONG + message.data[len(_PING) :])
            pong.subscribe(on_error=lambda error: _log.warning("a ping is left unanswered: %s", error))

    return channel.messages.pipe(ops.filter(lambda m: is_ping(m.data))).subscribe(answer)
