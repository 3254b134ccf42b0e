"""Opening a channel: until it is closed, or for one conversation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, Unpack

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import Disposable, SerialDisposable

from .channel import Channel, close_all, make_channel_in
from .channel_options import ChannelOptions, complete, group_of, takes_channel_options
from .receiving.event_loop_delivery import loop_of
from .subscribing.never_subscribed import ColdObservable
from .validation.arguments import check_callable, check_observable

_T = TypeVar("_T")


@takes_channel_options
def open_channel(
    port: int | None = None,
    group: str | None = None,
    **options: Unpack[ChannelOptions],
) -> Channel:
    """Bind and join at once, and listen until closed.

    Args:
        port: UDP port, 1 to 65 535, shared with every other process that opens it; what the environment variable
            ``RX_MULTICAST_IPC_PORT`` says, or 61088, if not given.
        group: the multicast group's address: 224.0.0.0/4, or ff00::/8 on a network interface; what
            ``RX_MULTICAST_IPC_GROUP`` says, or 224.0.2.1, if not given.
        **options: see :class:`ChannelOptions`.

    Raises:
        InvalidPort, InvalidGroup, InvalidInterface, InvalidTTL, InvalidAddress, InvalidOption, UnknownOption: a
            mistake in the call.
        PortInUse: another program holds the port without sharing it.
        NoRoute: no route leads to the group. (An interface that is down is opened, and used once it is up.)
        NotAuthorized: an engine does not let this program in.
        CannotOpen: the system refused for another reason, or an engine is not there.
        InvalidKey, KeyUnreadable: a mistake in ``key``, or in the file that the environment names.
        MissingExtra: ``key``, or an engine, needs a package that is not installed.
    """
    checked = complete(options)
    joined = group_of(port, group, checked)
    made: list[Channel] = []
    try:
        return make_channel_in(made, joined, options=checked)
    except BaseException:  # Ctrl-C, too
        close_all(made)
        raise


@takes_channel_options
def with_socket(
    use: Callable[[Channel], Observable[_T]],
    port: int | None = None,
    group: str | None = None,
    **options: Unpack[ChannelOptions],
) -> Observable[_T | None]:
    """Cold: each subscription opens a channel for ``use``, and closes it on completion, error or dispose.

    Its operators' timers run on the channel's own thread, or on the event loop if subscribed from one.

    Args:
        use: gets the channel and returns an Observable, whose last value is the result (None if it has none).
        port, group: as for :func:`open_channel`.
        **options: see :class:`ChannelOptions`.

    Raises:
        As :func:`open_channel`, from the Observable; mistakes in the call at once.
    """
    check_callable("use, with_socket's first argument,", use, ("a channel",), "with_socket(lambda api: ..., 8080)")
    checked = complete(options)
    joined = group_of(port, group, checked)

    def subscribe(observer: ObserverBase[_T | None], scheduler: SchedulerBase | None = None) -> DisposableBase:
        made: list[Channel] = []
        try:
            return converse(make_channel_in(made, joined, options=checked), observer, scheduler)
        except BaseException:  # Ctrl-C while it is being set up
            close_all(made)
            raise

    def converse(
        channel: Channel, observer: ObserverBase[_T | None], scheduler: SchedulerBase | None
    ) -> DisposableBase:
        on_loop = loop_of(scheduler) is not None
        home = scheduler if on_loop else channel.scheduler
        result: _T | None = None
        inner = SerialDisposable()

        def on_next(value: _T) -> None:
            nonlocal result
            result = value

        def finish(end: Callable[[], None]) -> None:
            channel.unbind().subscribe(on_completed=end, scheduler=home)

        def on_error(error: Exception) -> None:
            finish(lambda: observer.on_error(error))

        def complete() -> None:
            observer.on_next(result)
            observer.on_completed()

        def dispose() -> None:
            inner.dispose()
            channel.close(wait=False)  # whoever disposes may hold a lock that a running subscriber wants

        try:
            conversation = use(channel)
            check_observable(
                "with_socket's function must return", conversation, "return the pipeline, or reactivex.just(value)"
            )
            inner.disposable = conversation.subscribe(on_next, on_error, lambda: finish(complete), scheduler=home)
        except Exception as error:
            on_error(error)
        return Disposable(dispose)

    return ColdObservable(subscribe, "with_socket")
