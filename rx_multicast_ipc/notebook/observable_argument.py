"""What the notebook's functions take: a channel, or any Observable."""

from __future__ import annotations

from typing import Any

from reactivex import Observable

from ..channel import Channel
from ..message import Message
from ..receiving.hot_source import HotSource
from ..validation.arguments import check_observable

Source = Channel | Observable[Any]
"""A channel (its messages are meant), or any Observable."""


def observable_of(source: Source) -> Observable[Any]:
    """The Observable that ``source`` is or has; raises ``InvalidOption``."""
    if isinstance(source, Channel):
        return source.messages
    if not isinstance(source, Observable):
        return check_observable(
            "a source is a Channel or", source, "for example open_channel(), messages() or channel.messages.pipe(...)"
        )
    return source


def batches_of(source: Source) -> Observable[list[Message]] | None:
    """The same messages, a list at a time, where there are such: a list costs its reader what one message does."""
    observable = observable_of(source)
    if not isinstance(observable, HotSource):
        return None
    hot: HotSource[Any] = observable
    return hot.batches
