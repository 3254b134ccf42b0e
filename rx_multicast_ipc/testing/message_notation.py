"""Messages and datagrams as they are written in tests: text, and who spoke or was spoken to.

    "ping"                       the payload alone, or as bytes
    ("ping", "10.0.0.2")         and the host's address
    ("ping", "10.0.0.2", 49153)  and its port
    ("ping", channel.sender_address)

A message is written with its sender, a datagram that was sent with its destination.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from ..errors import InvalidAddress, InvalidOption
from ..group import check_port
from ..message import Message
from ..transport.ip_datagrams import PAYLOAD_LIMITS
from ..transport.virtual.datagram_records import Datagram
from ..validation.arguments import shown
from ..validation.numeric_address import Ip
from ..validation.payload import as_payload

__tracebackhide__ = True  # pytest shows the line of the test instead

_SENDER: Final = "10.0.0.1", 49_152
"""Who speaks where a message is written without its sender: the first port that a system gives out by itself."""


class Written(NamedTuple):
    """A message or datagram as it is written; what is None is left open."""

    data: bytes
    address: str | None = None
    port: int | None = None

    @classmethod
    def of(cls, value: Any) -> Written | None:
        """What ``value`` says, or None if it is not written in one of these ways."""
        match value:
            case str() | bytes() | bytearray():
                return cls(_encoded(value))
            case (str() | bytes() | bytearray() as data, (str() as address, int() as port)):
                return cls(_encoded(data), address, port)
            case (str() | bytes() | bytearray() as data, str() as address):
                return cls(_encoded(data), address)
            case (str() | bytes() | bytearray() as data, str() as address, int() as port):
                return cls(_encoded(data), address, port)
            case _:
                return None

    def describes(self, actual: Message | Datagram) -> bool:
        data, (address, port) = _parts(actual)
        return self.data == data and self.address in (None, address) and self.port in (None, port)


def message_of(value: Any, received_at: float) -> Message:
    """The message that ``value`` stands for: written as above, or a message, of which all but the time is taken.

    Raises:
        InvalidOption, InvalidPort, InvalidAddress, PayloadTooLarge: saying what would be right.
    """
    if isinstance(value, Message):
        return msgspec.structs.replace(value, received_at=received_at)
    written = Written.of(value)
    if written is None:
        raise InvalidOption(
            f"a message is text or bytes, (data, address), (data, address, port), or a Message, not {shown(value)}"
        )
    address, port = written.address or _SENDER[0], _SENDER[1] if written.port is None else written.port
    ip = Ip.parse(address)
    if ip is None:
        raise InvalidAddress(f'a message comes from a numeric address such as "10.0.0.2", not {shown(address)}')
    data = as_payload(written.data, PAYLOAD_LIMITS[ip.family])
    return Message(data, str(ip), check_port(port), ip.family, received_at)


def matches(expected: Any, actual: Any) -> bool:
    """Whether ``actual`` is what was expected: equal, or a message or datagram that ``expected`` is written for.

    When a message was received is left open, for its place among the marbles says that.
    """
    if isinstance(expected, Message) and isinstance(actual, Message):
        return msgspec.structs.replace(expected, received_at=actual.received_at) == actual
    if isinstance(actual, Message | Datagram):
        written = Written.of(expected)
        if written is not None:
            return written.describes(actual)
    return bool(expected == actual)


def as_written(value: Any) -> Any:
    """A message or datagram the way one writes it; anything else as it is."""
    if not isinstance(value, Message | Datagram):
        return value
    data, other = _parts(value)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    return text if text.isprintable() and text.encode() == data else data, other


def _parts(value: Message | Datagram) -> tuple[bytes, tuple[str, int]]:
    return (value.data, value.sender) if isinstance(value, Message) else (value.payload, value.destination)


def _encoded(data: str | bytes | bytearray) -> bytes:
    return data.encode("utf-8", "surrogatepass") if isinstance(data, str) else bytes(data)
