"""Marbles: streams written as text, and what is expected of others, on one virtual clock."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from types import TracebackType
from typing import Any, NoReturn, Self, TypeVar, overload

from reactivex import Observable
from reactivex.scheduler import VirtualTimeScheduler

from ..errors import InvalidOption
from ..message import Message
from ..validation.arguments import is_number, shown
from .expectations import Expectation, Place, StreamExpectation, SubscriptionExpectation
from .marble_grammar import DEFAULT_ERROR, Script, Span, read_span
from .message_notation import message_of
from .recorded_events import Event, Recording
from .scripted_streams import Cold, Hot, Subscriptions
from .text_diagram import seconds
from .virtual_clock import VirtualClock, check_virtual_clock

__tracebackhide__ = True  # pytest shows the line of the test instead

_E = TypeVar("_E", bound=Expectation)

_MARGIN = 10
"""Frames that a run goes on at least after all that is written."""


class Marbles:
    """Streams from text, and expectations, on one virtual clock.

    Everything that is written begins at the clock's present time, and nothing happens before :meth:`run`. How the
    text reads is told in :mod:`rx_multicast_ipc.testing.marble_grammar`. As a context manager it runs and checks at the
    end; pytest's fixture ``marbles`` does so when a test's function returns.

        with Marbles(frame=0.1) as marbles:  # one character is 100 ms
            letters = marbles.hot("a-b|")
            marbles.expect(letters.pipe(ops.delay(0.2))).to_be("--a-b|")

    Args:
        scheduler: the clock; a :class:`VirtualClock` of its own, if none is given.
        frame: seconds that one character stands for. Times are rounded to whole microseconds.
    """

    def __init__(self, scheduler: VirtualTimeScheduler | None = None, *, frame: float = 1.0) -> None:
        if not is_number(frame) or not 1e-6 <= frame < inf:
            raise InvalidOption(f"frame is a number of seconds, a microsecond or more, not {shown(frame)}")
        self.scheduler = VirtualClock() if scheduler is None else check_virtual_clock(scheduler)
        self.frame = frame
        self._written_until = 0.0
        self._to_run = False
        self._untouched_at: float | None = self.now
        self._hot: list[tuple[Hot[Any], Place]] = []
        self._expectations: list[Expectation] = []

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return round(self.scheduler.to_seconds(self.scheduler.now), 6)

    def hot(
        self, text: str, values: Mapping[str, Any] | None = None, *, error: Exception = DEFAULT_ERROR, **letters: Any
    ) -> Hot[Any]:
        """A stream that runs from now on, whoever is subscribed.

        Args:
            text: the marbles.
            values: what letters and digits stand for; themselves, if they are not there.
            error: what ``#`` stands for.
            letters: more values, as keywords: ``a=1``.

        Raises:
            InvalidOption: the text is no marbles, or a keyword no letter of it.
        """
        return self._play(self._script(text, values, letters, error), Place.of_caller())

    def cold(
        self, text: str, values: Mapping[str, Any] | None = None, *, error: Exception = DEFAULT_ERROR, **letters: Any
    ) -> Cold[Any]:
        """A stream that runs anew for each subscriber. Arguments and errors as for :meth:`hot`."""
        return Cold(self._script(text, values, letters, error), lambda: self.now, self.scheduler)

    def messages(
        self, text: str, values: Mapping[str, Any] | None = None, *, error: Exception = DEFAULT_ERROR, **letters: Any
    ) -> Hot[Message]:
        """A hot stream of messages, as a channel's ``messages`` would be, with the virtual time as ``received_at``.

        Arguments and errors as for :meth:`hot`, but values are messages as they are written: text or bytes,
        ``(data, address)``, ``(data, address, port)``, or a :class:`Message`. A letter alone is a message of one
        letter.

        Raises:
            InvalidOption, InvalidAddress, InvalidPort, PayloadTooLarge: a value is no message.
        """
        script, start = self._script(text, values, letters, error), self.now
        events = [
            event._replace(value=message_of(event.value, round(start + event.time, 6)))
            if event.kind == "next"
            else event
            for event in script.events
        ]
        return self._play(script._replace(events=events), Place.of_caller())

    @overload
    def expect(self, what: Observable[Any], *, subscription: str = "^") -> StreamExpectation: ...
    @overload
    def expect(self, what: Subscriptions) -> SubscriptionExpectation: ...
    def expect(
        self, what: Observable[Any] | Subscriptions, *, subscription: str = "^"
    ) -> StreamExpectation | SubscriptionExpectation:
        """Expect something of a stream, which is subscribed to at once, or of a source's ``subscriptions``.

            marbles.expect(stream).to_be("--a--b|", a="Ann", b="Bob")
            marbles.expect(source.subscriptions).to_be("^----!")

        What a stream emits before this line is not seen: expect first, then let things happen.

        Args:
            what: an Observable; or the ``subscriptions`` of a :meth:`hot`, :meth:`cold` or :meth:`messages`.
            subscription: when to subscribe to the Observable, and when to dispose of that: ``"--^---!"``. It
                bounds a stream without end.

        Raises:
            InvalidOption: it is neither, or ``subscription`` is none.
        """
        place = Place.of_caller()
        if isinstance(what, Subscriptions):
            return self._add(SubscriptionExpectation(what, self.now, self.frame, place))
        recording = self._record(what, "expect() takes an Observable, or the subscriptions of a hot or cold one")
        span, length = read_span(subscription, self.frame)
        self._write(length)
        expectation = self._add(StreamExpectation(recording, self.now, self.frame, place))
        self._subscribe(recording, what, span)
        return expectation

    def events(
        self,
        text: str,
        values: Mapping[str, Any] | None = None,
        *,
        error: Exception | type[Exception] = DEFAULT_ERROR,
        **letters: Any,
    ) -> list[Event]:
        """What a recording of this stream, begun now, will have seen. Arguments and errors as for :meth:`hot`."""
        return Script.read(text, self.frame, values, letters, error).at(self.now)

    def record(self, source: Observable[Any]) -> Recording:
        """Subscribe now, on the virtual clock, and keep what comes."""
        recording = self._record(source, "record() takes an Observable")
        recording.begin(source, self.scheduler)
        return recording

    def run(self, until: float | None = None) -> None:
        """Let virtual time pass, and check what was to have happened by then.

        Args:
            until: where to stop, in virtual seconds. If it is not given: at the end of all that is written, and
                then as long again and ten frames more, so that what comes too late or too often is seen.

        Raises:
            AssertionError: something else happened; it points at the line that expected it.
            InvalidOption: ``until`` is in the past, or never.
            Exception: whatever code under test raised into the clock.
        """
        now = self.now
        if until is None:
            end = max(now, self._written_until, *(expectation.end for expectation in self._expectations))
            until = end + (end - now) + _MARGIN * self.frame
        elif not is_number(until) or not now <= until < inf:
            raise InvalidOption(f"it is {seconds(now)} already; until is a moment from then on, not {shown(until)}")
        self._to_run = False
        self._untouched_at = None
        self.scheduler.advance_to(until)
        self._check()

    def close(self) -> None:
        """Run, unless that was done since something was last written, and see that nothing was left over.

        Where nothing was written and nobody moved the clock, it runs until all is over that is scheduled by now, such
        as the deliveries of a virtual network, and ten frames more.

        Raises:
            AssertionError: as :meth:`run`; or something that was written has not had its time.
        """
        try:
            busy_until = self._left_to_do()
            if self._to_run:
                self.run()
            elif busy_until is not None:
                self.run(busy_until + _MARGIN * self.frame)
            else:
                self._check()
            now = self.now
            for expectation in self._expectations:
                if expectation.waits(now):
                    _fail(
                        f"not checked beyond {seconds(now)}, where run() stopped: run until "
                        f"{seconds(expectation.end)} or more",
                        expectation.place,
                    )
            for hot, place in self._hot:
                if hot.unplayed:
                    rest = f"{hot.unplayed} of {len(hot.script.events)} marbles"
                    _fail(f"{rest} were not played when run() stopped at {seconds(now)}: run on, or write less", place)
        finally:
            self.dispose()

    def dispose(self) -> None:
        """End all that expectations subscribed to, and forget them; nothing is checked."""
        for expectation in self._expectations:
            expectation.dispose()
        self._expectations.clear()
        self._hot.clear()
        self._to_run = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.dispose()

    def _left_to_do(self) -> float | None:
        """Until when the clock is busy, if it never moved; None if it did, or has nothing to do."""
        if self.now != self._untouched_at or not isinstance(self.scheduler, VirtualClock):
            return None
        return self.scheduler.busy_until

    def _script(
        self, text: str, values: Mapping[str, Any] | None, letters: Mapping[str, Any], error: Exception
    ) -> Script:
        if not isinstance(error, Exception):
            raise InvalidOption(f"what a stream raises is an error, not {error!r}: write error=ValueError(...)")
        script = Script.read(text, self.frame, values, letters, error)
        self._write(script.length)
        return script

    def _play(self, script: Script, place: Place) -> Hot[Any]:
        hot: Hot[Any] = Hot(script, self.now, lambda: self.now, self.scheduler)
        self._hot.append((hot, place))
        self._to_run = True
        return hot

    def _write(self, length: float) -> None:
        self._written_until = max(self._written_until, round(self.now + length, 6))

    def _record(self, source: Observable[Any], advice: str) -> Recording:
        if not isinstance(source, Observable):
            hint = ": did you mean its .messages?" if hasattr(source, "messages") else ""
            raise InvalidOption(f"{advice}, not {shown(source)}{hint}")
        return Recording(lambda: self.now)

    def _add(self, expectation: _E) -> _E:
        self._expectations.append(expectation)
        self._to_run = True
        return expectation

    def _subscribe(self, recording: Recording, source: Observable[Any], span: Span) -> None:
        if span.start:
            self.scheduler.schedule_relative(
                span.start, lambda _scheduler, _state: recording.begin(source, self.scheduler)
            )
        else:
            recording.begin(source, self.scheduler)
        if span.end is not None:
            self.scheduler.schedule_relative(span.end, lambda _scheduler, _state: recording.dispose())

    def _check(self) -> None:
        """Fail with all that differs, at the place of the first; and not once more with the same."""
        now = self.now
        found = [(expectation, expectation.difference(now)) for expectation in self._expectations]
        differing = [(expectation, text) for expectation, text in found if text is not None]
        if differing:
            for expectation, _ in differing:
                expectation.dispose()
                self._expectations.remove(expectation)
            text = "\n\n".join(
                [differing[0][1], *(f"and at line {one.place.line}: {text}" for one, text in differing[1:])]
            )
            _fail(text, differing[0][0].place)


def _fail(text: str, place: Place) -> NoReturn:
    raise AssertionError(text).with_traceback(place.traceback())
