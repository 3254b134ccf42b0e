"""What commands print: lines for people on a terminal, one JSON object a line for programs."""

from __future__ import annotations

import select
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterable
from typing import Any, Final, Self

import msgspec
from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import Disposable

from ..message import Address, Message
from ..validation.stream import Stream

PROGRAM: Final = "rx-multicast-ipc"


class Output:
    """Standard output, in the form that was asked for.

    Args:
        form: ``"human"``, ``"json"``, or ``"raw"``, which is payloads alone.
    """

    def __init__(self, form: str) -> None:
        self.form = form

    @classmethod
    def of(cls, options: Namespace) -> Self:
        """As the options say; else for people on a terminal, JSON elsewhere."""
        return cls(getattr(options, "form", None) or ("human" if is_terminal() else "json"))

    @property
    def is_json(self) -> bool:
        """Whether programs read it."""
        return self.form == "json"

    def messages(self, messages: Iterable[Message]) -> None:
        """One line each; all are out when this returns."""
        if self.form == "json":
            self.records(message_record(message) for message in messages)
        elif self.form == "raw":
            _write(b"".join(message.data + b"\n" for message in messages))
        else:
            self.lines(message_line(message) for message in messages)

    def records(self, records: Iterable[dict[str, Any]]) -> None:
        """One JSON object a line; all are out when this returns."""
        _write(_json.encode_lines(list(records)))

    def lines(self, lines: Iterable[str]) -> None:
        """Lines of text; all are out when this returns."""
        text = "".join(f"{line}\n" for line in lines)
        _write(text.encode(sys.stdout.encoding if sys.stdout else "utf-8", "backslashreplace"))


def tell(what: object) -> None:
    """One line on standard error, for whoever is there."""
    print(f"{PROGRAM}: {what}", file=sys.stderr, flush=True)


def is_terminal() -> bool:
    """Whether somebody may be looking at standard output."""
    return sys.stdout is not None and sys.stdout.isatty()


def message_record(message: Message) -> dict[str, Any]:
    """A message as JSON shows it; its payload as text, or as ``{"$bytes": hex}`` where that is not UTF-8."""
    record = msgspec.structs.asdict(message)
    record["data"] = payload_value(message.data)
    return record


def payload_value(data: bytes) -> str | dict[str, str]:
    """A payload as JSON shows it."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"$bytes": data.hex()}


def message_line(message: Message) -> str:
    """A message as people read it."""
    by = f" by {message.interface}" if message.interface else ""
    to = " (direct)" if message.direct else ""
    return f"{clock(message.received_at)}  {host_port(message.sender)}{by}{to}  {printable(message.data)}"


def clock(seconds: float) -> str:
    """A time of day on this machine's clock, in microseconds, from seconds since the Unix epoch."""
    return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{int(seconds % 1 * 1e6):06}"


def host_port(address: Address) -> str:
    """An address as it is written."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def printable(data: bytes) -> str:
    """A payload on one line, in which nothing can steer the terminal: control characters become escapes.

    What is not UTF-8 shows as hexadecimal escapes of its bytes.
    """
    text = data.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def reader_gone() -> Observable[Any]:
    """Errs with ``BrokenPipeError`` once nobody reads standard output any more; never emits.

    Else a program that waits for the next message would learn it only from that message. On a terminal, in a file
    and on Windows, which cannot tell, it never ends.
    """

    def subscribe(observer: ObserverBase[Any], scheduler: SchedulerBase | None = None) -> DisposableBase:
        if not hasattr(select, "poll") or sys.stdout is None or sys.stdout.isatty():
            return Disposable()
        import socket

        stop, stopped = socket.socketpair()
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)  # errors and hang-ups are always told
        poll.register(stopped, select.POLLIN)

        def watch() -> None:
            with stopped:
                if stopped.fileno() not in dict(poll.poll()):
                    observer.on_error(BrokenPipeError())

        threading.Thread(target=watch, name="rx_multicast_ipc stdout", daemon=True).start()
        return Disposable(stop.close)

    return Stream(subscribe)


_json: Final = msgspec.json.Encoder()


def _write(data: bytes) -> None:
    if sys.stdout is not None:  # started without one
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
