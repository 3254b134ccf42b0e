"""A datagram of whatever topic, for who looks at many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from ..errors import DecodeFailed
from ..message import Message
from ..payload_codecs import Codec, Format, format_of
from ..validation.topic_name import name_end

if TYPE_CHECKING:
    from typing_extensions import TypeForm  # what checkers bring with them; nothing is imported at run time

_T = TypeVar("_T")


class TopicMessage(NamedTuple):
    """A topic, and a datagram that was published to it.

    Attributes:
        topic: the topic's name.
        message: the datagram as it arrived: name, NUL and payload, with its sender and time.
    """

    topic: str
    message: Message

    @property
    def payload(self) -> bytes:
        """What stands behind the name."""
        data = self.message.data
        return data[name_end(data) + 1 :]

    @property
    def text(self) -> str:
        """The payload as UTF-8; bytes that are not UTF-8 become U+FFFD."""
        return self.payload.decode("utf-8", "replace")

    def decode(self, type: TypeForm[_T], *, format: Format | Codec[Any] = "json") -> _T:
        """The payload as a value of ``type``; as :meth:`Message.decode`. Raises ``DecodeFailed``."""
        decode = format_of(type, format).decode
        try:
            return decode(self.payload)
        except Exception as error:
            raise DecodeFailed(self.message, error) from error

    def json(self) -> Any:
        """The payload as JSON: dicts, lists, text, numbers, True, False or None. Raises ``DecodeFailed``."""
        return self.decode(Any)
