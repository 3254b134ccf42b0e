"""What commands print: lines for people on a terminal, one JSON object a line for programs."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Final, NamedTuple, Self, cast

import msgspec
from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import Disposable

from ..message import Address, Message
from ..strangers.decoding import text_or_none
from ..strangers.printable_text import printable, printable_bytes, printable_json
from ..validation.stream import Stream
from . import PROGRAM


class Output:
    """Standard output, in the form that was asked for.

    On a terminal nothing is written raw but what this program itself puts there, whoever made the text.

    Args:
        form: ``"human"``, ``"json"``, or ``"raw"``, which is payloads alone.
    """

    def __init__(self, form: str) -> None:
        self.form = form

    @classmethod
    def of(cls, options: Namespace) -> Self:
        """The output that the options ask for; by default for people on a terminal, JSON elsewhere."""
        return cls(getattr(options, "form", None) or ("human" if is_terminal() else "json"))

    @property
    def is_json(self) -> bool:
        """Whether output is JSON, for programs."""
        return self.form == "json"

    def messages(self, messages: Iterable[Message]) -> None:
        """One line each; all are out when this returns."""
        self.shown(Shown.of(message) for message in messages)

    def shown(self, messages: Iterable[Shown]) -> None:
        """One line each, with what was found in them; all are out when this returns."""
        if self.form == "json":
            self.records(message.record for message in messages)
        elif self.form == "raw":
            payloads = [message.payload if message.value is None else message.value for message in messages]
            if is_terminal():
                self.lines(map(printable_bytes, payloads))
            else:
                _write(b"".join(payload + b"\n" for payload in payloads))
        else:
            self.lines(message.line for message in messages)

    def records(self, records: Iterable[dict[str, Any]]) -> None:
        """One JSON object a line; all are out when this returns."""
        kept = list(records)
        try:
            lines = _json.encode_lines(kept)
        except UnicodeEncodeError:  # a name of the system's that is not UTF-8 came as lone surrogates
            lines = _json.encode_lines(_encodable(kept))
        _write(printable_json(lines.decode()).encode() if is_terminal() else lines)

    def lines(self, lines: Iterable[str], mark: str = "") -> None:
        """Lines of text, made printable; all are out when this returns.

        ``mark`` is written before the first line as it is: words and colours of this program's own.
        """
        text = mark + "".join(f"{printable(line)}\n" for line in lines)
        _write(text.encode(sys.stdout.encoding if sys.stdout else "utf-8", "backslashreplace"))


def tell(what: object) -> None:
    """Print one line on standard error, with control characters escaped; nothing where nobody can read it."""
    if sys.stderr is not None:  # else print would take standard output
        with suppress(OSError):
            print(f"{PROGRAM}: {printable(str(what))}", file=sys.stderr, flush=True)


def is_terminal() -> bool:
    """Whether somebody may be looking at standard output."""
    return sys.stdout is not None and sys.stdout.isatty()


def takes_colours() -> bool:
    """Whether standard output is a terminal with colours, and nobody asked for none (https://no-color.org)."""
    return is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Shown(NamedTuple):
    """A message, and what was found in it.

    Attributes:
        message: as it came.
        payload: what of it is shown: without the topic's name, if it has one.
        topic: the topic's name.
        value: the payload, decoded, as a line of JSON.
    """

    message: Message
    payload: bytes
    topic: str | None = None
    value: bytes | None = None

    @classmethod
    def of(cls, message: Message) -> Shown:
        """All of it, as it came."""
        return cls(message, message.data)

    @property
    def record(self) -> dict[str, Any]:
        """As JSON shows it: with ``data`` as :func:`payload_value` gives it, or with a ``value``."""
        name = self.topic or self.message.topic
        topic = {"topic": name} if name else {}
        fields = msgspec.structs.asdict(self.message)
        del fields["data"], fields["topic"]
        if self.value is None:
            return {**topic, "data": payload_value(self.payload), **fields}
        return {**topic, "value": msgspec.Raw(self.value), **fields}

    @property
    def line(self) -> str:
        """As people read it."""
        message = self.message
        by = f" by {message.interface}" if message.interface else ""
        to = " (direct)" if message.direct else ""
        name = self.topic or message.topic
        topic = f"  {printable(name)}" if name else ""
        shown = printable_bytes(self.payload if self.value is None else self.value)
        return f"{clock(message.received_at)}  {host_port(message.sender)}{by}{to}{topic}  {shown}"


def payload_value(data: bytes) -> str | dict[str, str]:
    """A payload as JSON shows it."""
    text = text_or_none(data)
    return {"$bytes": data.hex()} if text is None else text


def clock(seconds: float) -> str:
    """A time of day on this machine's clock, in microseconds, from seconds since the Unix epoch."""
    return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{int(seconds % 1 * 1e6):06}"


def host_port(address: Address) -> str:
    """An address as it is written."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reader_gone() -> Observable[Any]:
    """Fails with ``BrokenPipeError`` once nobody reads standard output any more; never emits.

    Without it, a program that waits would notice only when it prints the next message. On a terminal, in a file
    and on Windows, which cannot tell, it never ends.
    """

    def subscribe(observer: ObserverBase[Any], scheduler: SchedulerBase | None = None) -> DisposableBase:
        if not hasattr(select, "poll") or sys.stdout is None or sys.stdout.isatty():
            return Disposable()
        stopped, stop = os.pipe()  # no sockets, which would complain where a signal comes in between
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)  # errors and hang-ups are always told
        poll.register(stopped, select.POLLIN)

        def watch() -> None:
            try:
                if stopped not in dict(poll.poll()):
                    observer.on_error(BrokenPipeError())
            finally:
                os.close(stopped)

        try:
            threading.Thread(target=watch, name="rx_multicast_ipc stdout", daemon=True).start()
        except RuntimeError:  # no thread can be started: the next line that is written tells
            os.close(stopped)
        return Disposable(partial(os.close, stop))

    return Stream(subscribe)


_json: Final = msgspec.json.Encoder()


def _encodable(value: Any) -> Any:
    """``value`` with every text in it printable."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        items = cast("dict[str, Any]", value).items()
        return {printable(key): _encodable(part) for key, part in items}
    if isinstance(value, list | tuple):
        return [_encodable(part) for part in cast("Iterable[Any]", value)]
    return value


def _write(data: bytes) -> None:
    if sys.stdout is not None:  # started without one
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
