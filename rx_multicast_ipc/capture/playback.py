"""A capture as a stream of messages, in its own time."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from math import inf
from typing import Final

from reactivex import Observable
from reactivex.abc import DisposableBase, ObserverBase, SchedulerBase
from reactivex.disposable import CompositeDisposable, Disposable, SerialDisposable, SingleAssignmentDisposable
from reactivex.scheduler import CurrentThreadScheduler, VirtualTimeScheduler

from ..errors import CaptureFailed, InvalidOption, MulticastError
from ..message import Message
from ..receiving.event_loop_delivery import on_its_loop
from ..subscribing.subscriber_errors import detach
from ..transport.udp.io_thread import IoThread
from ..validation.arguments import check_callable, check_scheduler, is_number, shown
from ..validation.stream import Stream
from .captured_datagram import Datagram
from .gaps import DEFAULT_LONGEST_GAP, Gaps
from .reader import Progress, Reader, check_filter, check_path

_log = logging.getLogger("rx_multicast_ipc")

_RUN: Final = 512
"""Messages without a pause, after which others on the same scheduler have their turn."""

_SHORTEST_PAUSE: Final = 1e-6
"""Seconds: virtual clocks count whole microseconds."""

_LONGEST_PAUSE: Final = 86_400.0
"""Seconds that are slept at a time."""


def read(
    path: str | os.PathLike[str],
    *,
    speed: float | None = 1.0,
    longest_gap: float | None = DEFAULT_LONGEST_GAP,
    port: int | None = None,
    group: str | None = None,
    scheduler: SchedulerBase | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Observable[Message]:
    """Cold: each subscription reads the file, and emits its messages with the gaps that they were captured with.

    It takes whatever :class:`Reader` does. ``direct`` is true for what was sent neither to a multicast group nor as a
    broadcast (of a network, as far as the link tells), and ``received_at`` is when it was captured, to the nearest of
    about 240 ns that a float can tell. What of a file is whole is emitted before the error that tells where it is cut
    or damaged.

    Steps of the clock of the capturing machine stop nothing. Ahead, they are gaps, no longer than ``longest_gap``, or
    none if they are of more than a day. What was captured at an earlier time than the message before it comes at once.
    So does what has no time, as in pcapng's Simple Packet Blocks; its ``received_at`` is 0.

    Args:
        path: the file.
        speed: how many times as fast as it was captured: 1 keeps the gaps, 2 halves them; None is as fast as it goes.
        longest_gap: seconds in the capture's time; a gap that is longer counts as this long. None keeps every gap, also
            those of more than a day.
        port: emit what was sent to this UDP port only.
        group: emit what was sent to this multicast group only.
        scheduler: keeps the time, real or virtual. If None: the subscription's (``run`` and ``await`` bring one), or
            else a thread of its own, or with ``speed=None`` the subscribing one.
        on_progress: called now and then while messages are emitted, and before the end.

    Raises:
        InvalidOption, InvalidPort, InvalidGroup: a mistake in the call, at once.
        CaptureFailed, CaptureCorrupt: from the Observable.
    """
    path = check_path(path)
    check_filter(port, group)
    check_scheduler(scheduler)
    pace = _check_speed(speed)
    longest = _check_longest_gap(longest_gap)
    if on_progress is not None:
        check_callable("on_progress", on_progress, ("a Progress",), "on_progress=print")

    def subscribe(observer: ObserverBase[Message], given: SchedulerBase | None = None) -> DisposableBase:
        try:
            reader = Reader(path, port=port, group=group)
        except MulticastError as error:
            observer.on_error(error)
            return Disposable()
        where, own = scheduler or given, False
        if where is None:
            own = pace != inf
            where = IoThread(f"reading {path}").scheduler if own else CurrentThreadScheduler.singleton()
        receiver = observer if where is given else on_its_loop(given, observer)
        try:
            return _Playing(path, reader, receiver, where, pace, Gaps(longest), on_progress).begin()
        except (RuntimeError, MemoryError, OSError) as error:
            reader.close()
            if not own or isinstance(error, MulticastError):
                raise
            raise CaptureFailed(
                f"cannot play {path}: {error}; close channels that are no longer needed, or raise the limit of threads "
                "(ulimit -u; in a container, its limit of processes) or of descriptors (ulimit -n)"
            ) from error

    return Stream(subscribe)


class _Playing:
    """One subscription: emits what is due, then sleeps until the next is.

    Due times are counted from one another, so that being late once does not delay all that follow.
    """

    def __init__(
        self,
        path: str,
        reader: Reader,
        observer: ObserverBase[Message],
        scheduler: SchedulerBase,
        speed: float,
        gaps: Gaps,
        on_progress: Callable[[Progress], None] | None,
    ) -> None:
        self._path = path
        self._reader = reader
        self._datagrams: Iterator[Datagram] = iter(reader)
        self._observer = observer
        self._scheduler = scheduler
        self._speed = speed
        self._gaps = gaps
        self._on_progress = on_progress
        virtual = isinstance(scheduler, VirtualTimeScheduler)
        self._run = inf if virtual else _RUN
        self._clock = self._virtual_time if virtual else time.monotonic
        self._next: Message | None = None
        self._due: float | None = None
        self._now = 0.0
        self._turns = SerialDisposable()

    def begin(self) -> DisposableBase:
        self._turn_in(0.0)
        return CompositeDisposable(self._turns, Disposable(self._reader.close))

    def _turn_in(self, seconds: float) -> None:
        turn = SingleAssignmentDisposable()
        self._turns.disposable = turn  # first: on another thread the turn may be over before it is scheduled here
        scheduler = self._scheduler
        if seconds > 0:
            turn.disposable = scheduler.schedule_relative(min(seconds, _LONGEST_PAUSE), self._turn)
        else:
            turn.disposable = scheduler.schedule(self._turn)

    def _turn(self, _scheduler: object, _state: object) -> None:
        observer = self._observer
        emitted, pause = 0, 0.0
        try:
            while emitted < self._run and not self._turns.is_disposed:
                message = self._next
                if message is None:
                    message = self._next = next(self._datagrams).message
                    self._schedule(message)
                pause = self._until_due()
                if pause > _SHORTEST_PAUSE:
                    break
                self._next = None
                emitted += 1
                try:
                    observer.on_next(message)
                except Exception as error:
                    self._stop()
                    detach(observer.on_error, error)
                    return
            self._report()
            self._turn_in(pause)
        except StopIteration:
            self._end()
        except Exception as error:
            self._end(error)

    def _schedule(self, message: Message) -> None:
        """Set when it is due."""
        if self._speed == inf:
            return
        gap = self._gaps.before(message.received_at)
        if self._due is None:
            self._due = self._now = self._clock()
        self._due += gap / self._speed

    def _until_due(self) -> float:
        """Seconds until the next message is due; 0 or less if it is."""
        if self._due is None:
            return 0.0
        if self._due > self._now:  # else it is, by the clock as last seen
            self._now = self._clock()
        return self._due - self._now

    def _virtual_time(self) -> float:
        return self._scheduler.to_seconds(self._scheduler.now)

    def _end(self, error: Exception | None = None) -> None:
        if self._turns.is_disposed:
            return  # what failed is a read of the file that was closed under it
        try:
            self._report()
        except Exception as raised:
            error = error or raised
        self._stop()
        self._warn()
        if error is None:
            self._observer.on_completed()
        else:
            self._observer.on_error(error)

    def _stop(self) -> None:
        self._turns.dispose()
        self._reader.close()

    def _warn(self) -> None:
        """Tell what was in the capture and is not in the stream."""
        if unread := self._reader.progress.unread:
            _log.warning(
                "%s: %d datagrams are missing: %s",
                self._path,
                sum(unread.values()),
                ", ".join(f"{reason}: {count}" for reason, count in unread.items()),
            )

    def _report(self) -> None:
        if self._on_progress is not None and not self._turns.is_disposed:
            self._on_progress(self._reader.progress)


def _check_speed(speed: float | None) -> float:
    if speed is None:
        return inf
    if not is_number(speed) or not speed > 0:
        raise InvalidOption(
            f"speed is how many times as fast as captured, more than 0, not {shown(speed)}; None is as fast as it goes"
        )
    return float(speed)


def _check_longest_gap(longest_gap: float | None) -> float:
    """``longest_gap``, infinite for None; raises ``InvalidOption``."""
    if longest_gap is None:
        return inf
    if not is_number(longest_gap) or not longest_gap >= 0:
        raise InvalidOption(
            f"longest_gap is a number of seconds, 0 or more, or None to keep every gap, not {shown(longest_gap)}"
        )
    return float(longest_gap)
