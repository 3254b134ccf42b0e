"""The past of a group, where a stream keeps it, as a cold stream of messages."""

from __future__ import annotations

from datetime import datetime
from math import isfinite

from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import Disposable

from ..channel_options import ChannelOptions
from ..errors import InvalidOption, Unsupported
from ..group import Group
from ..message import Message
from ..option_values.engines import Engine, Since
from ..subscribing.subscriber_errors import detach
from ..transport.engine.open_engine import open_history
from ..transport.latch import Latch
from ..validation.arguments import check_flag, is_number, shown
from .async_iteration import HotObservable
from .event_loop_delivery import LoopObserver, loop_of
from .topic_filter import TopicFilter


def check_since(since: Since, until_now: bool, group: Group, options: ChannelOptions) -> Engine:
    """The engine that keeps the past of ``group``.

    Raises:
        InvalidOption: ``since`` is no time.
        Unsupported: nothing keeps the past there, or not in that form.
    """
    check_flag("until_now", until_now)
    is_seconds = is_number(since) and isfinite(since) and since >= 0
    is_word = isinstance(since, str) and since in ("all", "last")
    if not is_seconds and not is_word and not isinstance(since, datetime):
        raise InvalidOption(
            f'since is "all", "last", a number of seconds before now, or a datetime, not {shown(since)}'
        )
    if group.engine is None:
        raise Unsupported(
            f"{group} keeps no past: nothing does on a network; since= is for an engine with streams, such as "
            'interface="nats://host:4222"'
        )
    if options.get("reliable") or options.get("key"):
        raise Unsupported("a stream keeps packets of reliable and sealed channels unopened; leave since, or these, out")
    return group.engine


def history(engine: Engine, group: Group, since: Since, until_now: bool, topics: str | None) -> HotObservable[Message]:
    """Cold: each subscription emits what was kept since then, and what comes, or completes where the past ends."""
    choose = None if topics is None else TopicFilter(topics)

    def subscribe(given: ObserverBase[Message], scheduler: SchedulerBase | None = None) -> DisposableBase:
        loop = loop_of(scheduler)
        observer = given if loop is None else LoopObserver(given, loop)

        def deliver(batch: list[Message]) -> None:
            try:
                for message in batch if choose is None else choose(batch):
                    if gone:
                        return
                    observer.on_next(message)
            except BaseException as error:
                opened.dispose()
                detach(observer.on_error, error)
                return
            if loop is not None and not loop.is_closed():  # no faster than the loop takes it
                taken = Latch()
                loop.call_soon_threadsafe(taken.set)
                opened.wait(taken)

        def end(fault: Exception | None) -> None:
            if gone:
                return
            if fault is None:
                observer.on_completed()
            else:
                observer.on_error(fault)

        def dispose() -> None:
            gone.append(True)
            opened.dispose()

        gone: list[bool] = []
        opened = open_history(engine, group, since, until_now, deliver, end)
        opened.start()
        return Disposable(dispose)

    return _History(subscribe)


class _History(HotObservable[Message]):
    def __repr__(self) -> str:
        return "<history of a group: cold>"
