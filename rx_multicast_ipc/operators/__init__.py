"""Operators on streams of messages: what they need that ``reactivex.operators`` has not."""

from .backpressure_buffer import on_backpressure_buffer
from .codec import Format, OnDecodeError, decode, encode
from .fail_on_gap import fail_on_gap
from .retry_backoff import retry_with_backoff
from .waiting import wait_for_message

__all__ = [
    "Format",
    "OnDecodeError",
    "decode",
    "encode",
    "fail_on_gap",
    "on_backpressure_buffer",
    "retry_with_backoff",
    "wait_for_message",
]
