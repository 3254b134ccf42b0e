"""The operator that records a stream of messages."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import groupby
from typing import TypeVar

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable

from ..channel import Channel
from ..errors import InvalidGroup, InvalidOption
from ..group import check_port, default_group, default_port
from ..message import Address, Message
from ..validation.arguments import check_flag, check_observable, shown
from ..validation.numeric_address import Ip
from ..validation.stream import Stream
from .reader import check_filter, check_path
from .writer import Writer

_Item = TypeVar("_Item", Message, list[Message])


def write(
    path: str | os.PathLike[str],
    channel: Channel | None = None,
    *,
    port: int | None = None,
    group: str | None = None,
    replace: bool = True,
) -> Callable[[Observable[_Item]], Observable[_Item]]:
    """Write every message to a pcap file, and pass it on when the operating system has it. See :class:`Writer`.

    A packet says where it was sent to, and so does a message that was received (``destination``), so streams of several
    channels may be merged before they are written. One that was made by hand and does not say was sent to the group of
    ``channel``, or to ``group`` and ``port``; if it is direct, to 0.0.0.0 (or ::), port 0.

    Each subscription starts the file anew: put ``ops.retry`` and ``ops.repeat`` before it.

    Args:
        path: the file. What it held is replaced.
        channel: where messages that do not say were sent to. ``batches`` are written at half the cost of ``messages``.
        port: the UDP port that those were sent to, if no channel is given.
        group: the group's address, if no channel is given.
        replace: False refuses a file that exists.

    Raises:
        InvalidOption, InvalidPort, InvalidGroup: a mistake in the call, at once.
        CaptureFailed: from the Observable.
        InvalidAddress, InvalidOption, PayloadTooLarge: from the Observable, for a message that no packet can carry.
    """
    path = check_path(path)
    check_flag("replace", replace)
    if channel is not None and (port is not None or group is not None):
        raise InvalidOption("a channel says to which port and group; leave those out, or the channel")
    if channel is None:
        port = default_port() if port is None else check_port(port)
        _, packed = check_filter(None, default_group() if group is None else group)
        if packed is None:
            raise InvalidGroup('group is the multicast address that the messages were sent to, such as "224.0.2.1"')
        to_group = str(Ip(packed)), port
    elif isinstance(channel, Channel):
        to_group = channel.group.address, channel.group.port
    else:
        raise InvalidOption(
            f"channel is the Channel whose messages are written, not {shown(channel)}; or pass port=, group="
        )

    nowhere = "::" if ":" in to_group[0] else "0.0.0.0", 0

    def sent_to(message: Message) -> Address:
        return message.destination or (nowhere if message.direct else to_group)

    def operator(source: Observable[_Item]) -> Observable[_Item]:
        check_observable("write() is applied to", source, "channel.messages.pipe(capture.write(path, channel))")

        def subscribe(observer: ObserverBase[_Item], scheduler: SchedulerBase | None = None) -> DisposableBase:
            try:
                writer = Writer(path, replace=replace)
            except Exception as error:
                observer.on_error(error)
                return Disposable()
            subscription = SerialDisposable()
            disposables = CompositeDisposable(subscription, Disposable(writer.close))

            def on_next(item: _Item) -> None:
                try:
                    for to, run in groupby((item,) if isinstance(item, Message) else item, sent_to):
                        writer.write(run, to)
                except Exception as error:
                    if not disposables.is_disposed:  # else: disposed of this very moment, by another thread
                        disposables.dispose()
                        observer.on_error(error)
                else:
                    observer.on_next(item)

            def on_error(error: Exception) -> None:
                writer.close()
                observer.on_error(error)

            def on_completed() -> None:
                writer.close()
                observer.on_completed()

            try:
                subscription.disposable = source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)
            except BaseException:  # Ctrl-C while it is being set up
                writer.close()
                raise
            return disposables

        return Stream(subscribe)

    return operator
