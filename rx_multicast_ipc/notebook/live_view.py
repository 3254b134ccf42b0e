"""A live view of a stream: one subscription, one thread that tells the front end what came."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

from reactivex.disposable import CompositeDisposable

from ..channel import Channel
from ..errors import CannotOpen, Unsupported
from ..message import Address
from ..option_values.member import Member, names_by_sender
from ..subscribing.start_thread import start_thread
from ..validation.arguments import InvalidOption, check_callable, shown
from .cell_lifetime import Cells
from .live_meter import Meter, Reading
from .live_update import State, encode
from .live_widget import Widget, make_widget
from .observable_argument import Source, batches_of, observable_of
from .plotted_values import Choose, PlottedValues

INTERVAL: Final = 0.2
"""Seconds between two updates."""

_IDLE_INTERVALS: Final = 5
"""Without traffic, an update only every so many intervals: it tells that the kernel lives."""

_JOIN_WAIT: Final = 2.0
"""Seconds that stop waits for an update that is being sent."""

_log = logging.getLogger("rx_multicast_ipc")

_cells = Cells()


def live(source: Source, *, title: str | None = None, value: Choose | None = None, by: Choose | None = None) -> Live:
    """Show the traffic of ``source`` in the notebook, from now on: who talks, how much, and what they say.

        live(channel)                                        # the last expression of a cell
        with live(channel): work()                           # while a block runs
        live(temperatures)                                   # a stream of numbers, or of records of numbers: lines
        live(channel, value=lambda m: m.json()["celsius"])   # a line for each topic or sender

    The source is slowed by a counter and a bounded queue, whatever its rate, and least of all when it is a
    ``Channel``. Pause, filter, inspection and clear are the front end's own and work while a cell runs. Running
    the cell again closes the view first, as does the end of the kernel; else it runs until :meth:`Live.stop`.

    Args:
        source: a ``Channel`` (what its kernel drops is shown too), or any Observable, of messages or of plain
            values, which are counted by their type. It is subscribed to at once.
        title: stands above the view; a channel's group if not given.
        value: what to plot of each item, as a line over the last minute: a function of the item that returns a number;
            or a mapping, Struct, dataclass or named tuple, whose fields that are numbers are a line each; or None for
            nothing. What it raises is counted and told in the view. If not given: items that are numbers or such
            records themselves; nothing of messages. It is called on the delivering thread or the view's own, and of
            more than 4000 items between two updates it sees the first ones only.
        by: what a line is named after, a function of the item. If not given: the topic, where there is one, or else
            the sender, by its name on a channel with ``presence=``. There are 24 lines at most.

    Raises:
        InvalidOption: ``source`` is none, or ``value`` or ``by`` no function of an item.
        MissingExtra: ``pip install 'rx-multicast-ipc[notebook]'`` was forgotten.
    """
    observable_of(source)
    if title is not None and not isinstance(title, str):
        raise InvalidOption(f"title is text, not {shown(title)}")
    for name, function in (("value", value), ("by", by)):
        if function is not None:
            check_callable(name, function, ("what is delivered",), 'for example value=lambda m: m.json()["celsius"]')
    named = title if title is not None else str(source.group) if isinstance(source, Channel) else "Observable"
    view = Live(source, make_widget(named), named, PlottedValues(value, by))
    _cells.keep(view)
    return view


class Live:
    """A view that is open, made by :func:`live`. A context manager, which stops it at the end of the block.

    Args:
        source: what to show.
        widget: shows it.
        title: for people.
        values: takes what is to be plotted.
    """

    def __init__(self, source: Source, widget: Widget, title: str, values: PlottedValues | None = None) -> None:
        self.widget = widget
        self.title = title
        self.state: State = "live"
        self._error = ""
        self._channel = source if isinstance(source, Channel) else None
        self._values = PlottedValues() if values is None else values
        self._meter = Meter(values=self._values)
        self._over = threading.Event()
        self._sending = threading.Lock()
        self._closed = False
        self._names: dict[Address, str] = {}
        widget.on_msg(self._answer)
        batches = batches_of(source)
        if batches is not None:
            subscription = batches.subscribe(self._meter.add_all, self._fail, self._complete)
        else:
            subscription = observable_of(source).subscribe(self._meter.add, self._fail, self._complete)
        self._subscription = CompositeDisposable(subscription)
        if self._channel is not None:
            with suppress(Unsupported):  # it has no presence, and senders no names
                self._subscription.add(self._channel.members.subscribe(self._name, lambda _: None))
        try:
            self._thread = start_thread(self._tell, name=f"live {title}")
        except CannotOpen:
            self._subscription.dispose()
            raise

    @property
    def total(self) -> int:
        """Messages, or values, since the view was opened."""
        return self._meter.total

    def stop(self) -> None:
        """End the subscription and the thread; what was seen stays on the page. Idempotent, from any thread."""
        self._end("stopped")
        self._subscription.dispose()
        if threading.current_thread() is not self._thread:
            self._thread.join(_JOIN_WAIT)

    def close(self) -> None:
        """Stop, and take the view off the page. Idempotent."""
        self.stop()
        _cells.forget(self)
        if not self._closed:
            self._closed = True
            self.widget.close()

    def __enter__(self) -> Self:
        ipython: Any = sys.modules.get("IPython")
        if ipython is not None and ipython.get_ipython() is not None:
            ipython.display.display(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<live view of {self.title}: {self.total} so far, {self._error or self.state}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data, metadata = self.widget._repr_mimebundle_(**kwargs)  # pyright: ignore[reportPrivateUsage]
        return {**data, "text/plain": repr(self)}, metadata

    def _name(self, members: frozenset[Member]) -> None:
        self._names = self._values.names = names_by_sender(members)

    def _complete(self) -> None:
        self._end("completed")

    def _fail(self, error: Exception) -> None:
        self._error = f"{type(error).__name__}: {error}"
        self._end("failed")

    def _end(self, state: State) -> None:
        if not self._over.is_set():
            self.state = state
            self._over.set()

    def _tell(self) -> None:
        quiet = 0
        over = False
        while not over:
            over = self._over.wait(INTERVAL)
            quiet = 0 if over or self._meter.unread else quiet + 1
            if quiet % _IDLE_INTERVALS == 0:
                try:
                    self._send(self._meter.read)
                except Exception:
                    _log.exception("%r cannot reach its front end and stops", self)
                    self._end("failed")
                    self._subscription.dispose()
                    return

    def _send(self, read: Callable[[], Reading]) -> None:
        with self._sending:  # a front end's messages may be handled on a thread of their own
            dropped = self._channel.statistics.dropped if self._channel is not None else None
            update = encode(read(), state=self.state, error=self._error, dropped=dropped, names=self._names)
            self.widget.send({}, update)

    def _answer(self, _widget: object, content: object, _buffers: object) -> None:
        """A front end that begins, again or late, asks for what is there."""
        if content == "hello":
            self._send(self._meter.recent)
