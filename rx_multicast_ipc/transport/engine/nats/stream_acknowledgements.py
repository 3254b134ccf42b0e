"""Messages that a stream says it has kept."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from reactivex.disposable import CompositeDisposable, Disposable

from ....errors import MulticastError, SendFailed
from ....option_values.reliable import Acknowledged
from ....strangers.decoding import decode_or_none
from ....strangers.printable_text import printable
from ..sent_topics import Run
from . import wire
from .wire import Delivered

_PATIENCE: Final = 5.0
"""Seconds that a stream has to acknowledge; then it is told as a failure, and sending it again is safe."""

Done = Callable[[Acknowledged | Exception], None]


class Identified(bytes):
    """A payload that is one message however often it is sent.

    Attributes:
        identity: what a stream knows it by.
        number, runs: its running number, and which topic it is of, once it went out.
    """

    identity: str
    number: int | None
    runs: Sequence[Run]

    @classmethod
    def of(cls, payload: bytes) -> Identified:
        made = cls(payload)
        made.identity = secrets.token_hex(12)
        made.number, made.runs = None, ()
        return made


class _Error(msgspec.Struct):
    description: str = "without a reason"


class _Answer(msgspec.Struct):
    """What a stream says of a message: where it is, or why not."""

    stream: str | None = None
    seq: int | None = None
    error: _Error | None = None


_decode_answer: Final = msgspec.json.Decoder(_Answer).decode


class WaitingAcknowledgement(CompositeDisposable):
    """Waits for what a stream says of one message, and hands it to ``done`` on the I/O thread, once.

    Args:
        end: the transport.
        done: takes what became of it.
    """

    def __init__(self, end: Any, done: Done) -> None:
        super().__init__()
        self._end = end
        self._done = done
        connection = end.connection
        connection.listen(self._heed)
        self.add(Disposable(partial(connection.unlisten, self._heed)))
        self.add(end.scheduler.schedule_relative(_PATIENCE, self._give_up))

    def listen(self, name: str) -> str:
        """The subject that the stream is to answer to."""
        connection = self._end.connection
        self.add(Disposable(partial(connection.unhandle, name)))
        return connection.handle(name, self._take)

    def _take(self, answer: Delivered) -> None:
        where = self._end.listens_to
        if wire.status(answer.headers) == 503:
            self._finish(
                SendFailed(
                    f"no stream keeps {where}, and nobody listens; make one, such as: nats stream add HISTORY "
                    f"--subjects '{where}' --defaults"
                )
            )
            return
        said = decode_or_none(_decode_answer, answer.payload)
        if said is None:
            return  # somebody else's answer: a message with a reply subject may be answered by anybody
        if said.error is not None:
            self._finish(
                SendFailed(f"the stream of {where} refused it: {printable(said.error.description, limit=200)}")
            )
        elif said.stream is not None and said.seq is not None:
            self._finish(Acknowledged(((said.stream, said.seq),)))

    def _heed(self, back: bool) -> None:
        if not back:
            self._finish(SendFailed(f"{self._end.connection.url} went away before it was acknowledged; send it again"))

    def _give_up(self, *_: object) -> None:
        where = self._end.listens_to
        self._finish(
            SendFailed(
                f"no stream acknowledged it within {_PATIENCE:g} s; does one keep {where}? If not: nats stream add "
                f"HISTORY --subjects '{where}' --defaults"
            )
        )

    def _finish(self, result: Acknowledged | MulticastError) -> None:
        def finish() -> None:
            if not self.is_disposed:
                self.dispose()
                self._done(result)

        self._end.call(finish)
