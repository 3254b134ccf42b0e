"""The record of one received datagram."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar

import msgspec

from ._html import html_table
from .errors import DecodeFailed
from .payload_codecs import Codec, Format, format_of
from .strangers.printable_text import printable

if TYPE_CHECKING:
    from typing_extensions import TypeForm  # what checkers bring with them; nothing is imported at run time

_T = TypeVar("_T")

Family = Literal["IPv4", "IPv6"]
Address = tuple[str, int]
"""A host's numeric address and a UDP port."""

_REPR_BYTES = 64
_HTML_BYTES = 2000


class Message(msgspec.Struct, frozen=True, gc=False):
    """One datagram, as it arrived.

    Attributes:
        data: the whole payload, 0 to 65 507 bytes (IPv6: 65 527).
        address: the sender's numeric address, for example ``"127.0.0.1"``.
        port: the sender's UDP port; 0 if it gave none, and then it cannot be answered.
        family: ``"IPv4"`` or ``"IPv6"``.
        received_at: seconds since the Unix epoch, by the clock of the scheduler that delivered it.
        direct: sent to this channel alone, not to the group.
        interface: the name of the interface that it came by, for a channel on more than one; else ``""``.
        destination: where it was sent to: the group and its port; this channel's own address and port for a direct
            one; None where that is not known.
        topic: the subject that it came by, for a channel on an engine that listens to subjects of others; else ``""``.
    """

    data: bytes
    address: str = "127.0.0.1"
    port: int = 0
    family: Family = "IPv4"
    received_at: float = 0.0
    direct: bool = False
    interface: str = ""
    destination: Address | None = None
    topic: str = ""

    @property
    def text(self) -> str:
        """The payload as UTF-8; bytes that are not UTF-8 become U+FFFD."""
        return self.data.decode("utf-8", "replace")

    @property
    def sender(self) -> Address:
        """``(address, port)``: where a reply goes."""
        return self.address, self.port

    def decode(self, type: TypeForm[_T], *, format: Format | Codec[Any] = "json") -> _T:
        """The payload as a value of ``type``; see :func:`rx_multicast_ipc.operators.decode`.

        Args:
            type: any type that msgspec knows.
            format: ``"json"``, ``"msgpack"`` or an object with ``encode`` and ``decode``.

        Raises:
            InvalidOption: msgspec cannot decode to ``type``.
            DecodeFailed: the payload is no such value.
        """
        decode = format_of(type, format).decode
        try:
            return decode(self.data)
        except Exception as error:
            raise DecodeFailed(self, error) from error

    def json(self) -> Any:
        """The payload as JSON: dicts, lists, text, numbers, True, False or None. Raises ``DecodeFailed``."""
        return self.decode(Any)

    def __repr__(self) -> str:
        shown = repr(self.data[:_REPR_BYTES])
        if len(self.data) > _REPR_BYTES:
            shown += f"... ({len(self.data)} bytes)"
        direct = " direct" if self.direct else ""
        by = f" by {self.interface}" if self.interface else ""
        on = f" on {self.topic}" if self.topic else ""
        return printable(f"<Message {shown} from {self.address}:{self.port}{by}{on}{direct}>")

    def _repr_html_(self) -> str:
        """For notebooks: every field, and the beginning of the payload as text, or in hexadecimal where it is none."""
        data = self.data[:_HTML_BYTES]
        try:
            shown = data.decode()
        except UnicodeDecodeError as error:
            cut = len(data) < len(self.data) and error.start > len(data) - 4  # in the middle of a character
            shown = data[: error.start].decode() if cut else data.hex(" ")
        if len(data) < len(self.data):
            shown += f"... ({len(self.data)} bytes)"
        facts = {name: getattr(self, name) for name in self.__struct_fields__ if name != "data"}
        return html_table("Message", {"data": shown, **facts})


class Received(NamedTuple, Generic[_T]):
    """A value, and the message that brought it.

    Attributes:
        value: what the payload stands for.
        message: the datagram as it arrived, which says who sent it, when, and where a reply goes.
    """

    value: _T
    message: Message
