"""The topics that a stream of messages holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase

from ..message import Message
from ..topics.topic_message import TopicMessage
from ..validation.arguments import check_observable, no_message
from ..validation.stream import Stream
from ..validation.topic_name import REST, name_end, read_name
from ..validation.topic_pattern import PatternTree, check_pattern

_EXAMPLE: Final = 'capture.read("today.pcap").pipe(topics("robot/*"))'


def topics(pattern: str = REST) -> Callable[[Observable[Message]], Observable[TopicMessage]]:
    """Those messages that were published to a topic: as :meth:`Channel.topics`, for captures and any other stream.

    Args:
        pattern: which topics: ``"*"`` stands for one level of a name, ``"**"``, at the end, for the rest. A name
            without either is that topic alone.

    Raises:
        InvalidTopic: at once, for what is no pattern.
    """
    wanted: PatternTree[None] = PatternTree()
    wanted.add(check_pattern(pattern), None)

    def operator(source: Observable[Message]) -> Observable[TopicMessage]:
        check_observable("topics() is applied to", source, _EXAMPLE)

        def subscribe(observer: ObserverBase[TopicMessage], scheduler: SchedulerBase | None = None) -> DisposableBase:
            def on_next(message: Message) -> None:
                if not isinstance(message, Message):
                    observer.on_error(no_message("topics()", message))
                    return
                end = name_end(message.data)
                name = read_name(message.data[:end]) if end > 0 else None
                if name is not None and wanted.find(name):
                    observer.on_next(TopicMessage(name, message))

            return source.subscribe(on_next, observer.on_error, observer.on_completed, scheduler=scheduler)

        return Stream(subscribe)

    return operator
