"""Questions to JetStream, and what it answers."""

from __future__ import annotations

import json
from itertools import count
from typing import Any, Final, cast

from ....errors import CannotOpen, SendFailed
from ....strangers.decoding import json_object_or_none
from ....strangers.printable_text import printable
from ...latch import Latch
from . import wire
from .connection import NatsConnection
from .wire import Delivered

_PATIENCE: Final = 3.0
"""Seconds for the server to answer a request."""

API: Final = "$JS.API."
"""What the subjects begin with that JetStream takes requests on."""

_numbers = count(1)


def ask(connection: NatsConnection, what: str, question: dict[str, Any]) -> dict[str, Any]:
    """What JetStream answers, which takes up to three seconds.

    Args:
        connection: to which server.
        what: the request, such as ``"STREAM.NAMES"``.
        question: what it says.

    Raises:
        CannotOpen: it did not answer, is not set up there, or refused it.
    """
    answered, answers = Latch(), list[Delivered]()

    def take(answer: Delivered) -> None:
        answers.append(answer)
        answered.set()

    name = f"ask{next(_numbers)}"
    reply = connection.handle(name, take)
    try:
        connection.write(wire.request(f"{API}{what}".encode(), reply.encode(), json.dumps(question).encode()))
        answered.wait(_PATIENCE)
    except SendFailed as error:
        raise CannotOpen(str(error)) from error
    finally:
        connection.unhandle(name)
    if not answers:
        raise CannotOpen(f"{connection.url} did not answer; does it let us use JetStream ({API}>)?")
    if wire.status(answers[0].headers) == 503:
        raise CannotOpen(f"{connection.url} keeps no streams; set up JetStream there: nats-server -js")
    answer = json_object_or_none(answers[0].payload)
    if answer is None:
        raise CannotOpen(f"{connection.url}: what answers {API}{what} is no JetStream")
    error: Any = answer.get("error")
    if error is not None:
        reason: Any = cast("dict[str, Any]", error).get("description") if isinstance(error, dict) else error
        raise CannotOpen(f"{connection.url}: {printable(str(reason), limit=200)}")
    return answer
