"""Operators on streams of messages: what they need that ``reactivex.operators`` has not."""

from ..payload_codecs import Codec, Format
from .backpressure_buffer import on_backpressure_buffer
from .codec import OnDecodeError, decode, encode
from .fail_on_gap import fail_on_gap
from .map_async import map_async
from .retry_backoff import retry_with_backoff
from .topics import topics
from .waiting import wait_for_message

__all__ = [
    "Codec",
    "Format",
    "OnDecodeError",
    "decode",
    "encode",
    "fail_on_gap",
    "map_async",
    "on_backpressure_buffer",
    "retry_with_backoff",
    "topics",
    "wait_for_message",
]
