"""What a test expects of a stream or of its subscriptions, until it is compared with what happened."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from types import FrameType, TracebackType
from typing import Any, NamedTuple, Self

from ..errors import InvalidOption
from .failure_report import explain, same
from .marble_grammar import DEFAULT_ERROR, Script, Span, read_span
from .recorded_events import Event, Recording
from .scripted_streams import Subscriptions
from .text_diagram import Row, draw

__tracebackhide__ = True  # pytest shows the line of the test instead


class Place(NamedTuple):
    """A line of a test, which a failure found later points at."""

    frame: FrameType
    instruction: int
    line: int

    @classmethod
    def of_caller(cls, depth: int = 2) -> Self:
        """Where the caller was called, or its caller's caller."""
        frame = sys._getframe(depth)  # pyright: ignore[reportPrivateUsage]
        return cls(frame, frame.f_lasti, frame.f_lineno)

    def traceback(self) -> TracebackType:
        return TracebackType(None, self.frame, self.instruction, self.line)


class Expectation(ABC):
    """Begun by :meth:`Marbles.expect`, made whole by ``to_be``, checked when the marbles run.

    Attributes:
        place: the line of the test that made it.
        end: when all that it expects should have happened, in virtual seconds.
    """

    def __init__(self, start: float, frame: float, place: Place) -> None:
        self.place = place
        self.end = start
        self._start = start
        self._frame = frame
        self._said = False

    def difference(self, now: float) -> str | None:
        """How what happened up to ``now`` differs from what should have; None if it does not."""
        if not self._said:
            return "expect() without to_be() checks nothing: write .to_be(...) behind it"
        return self._difference(now)

    @abstractmethod
    def waits(self, now: float) -> bool:
        """Whether it expects anything that is later than ``now``."""

    @abstractmethod
    def dispose(self) -> None:
        """End what it watches."""

    @abstractmethod
    def _difference(self, now: float) -> str | None: ...

    def _say(self) -> None:
        if self._said:
            raise InvalidOption("to_be() was said before; expect() anew for what should happen besides")
        self._said = True
        self.place = Place.of_caller(3)


class StreamExpectation(Expectation):
    """What a stream should do."""

    def __init__(self, recording: Recording, start: float, frame: float, place: Place) -> None:
        super().__init__(start, frame, place)
        self._recording = recording
        self._signs: list[str] = []
        self._events: list[Event] = []

    def to_be(
        self,
        text: str,
        values: Mapping[str, Any] | None = None,
        *,
        error: Exception | type[Exception] = DEFAULT_ERROR,
        **letters: Any,
    ) -> None:
        """Say what it should do; it may do nothing else, nor anything more.

        Values are compared with ``==``. Where messages or sent datagrams come, they may be expected as they are
        written: ``"ping"``, ``("ping", "10.0.0.2")``, ``("ping", channel.sender_address)``; a message is told by its
        sender, a datagram by its destination.

        Args:
            text: the marbles; they begin when :meth:`Marbles.expect` was called.
            values: what letters and digits stand for; themselves, if they are not there.
            error: what ``#`` stands for: an error of that very type with the same arguments; or a type.
            letters: more values, as keywords: ``a="join:Ann"``.

        Raises:
            InvalidOption: the text is no marbles, or a keyword no letter of it.
        """
        script = Script.read(text, self._frame, values, letters, error)
        self._say()
        self._signs = script.signs
        self._events = script.at(self._start)
        self.end = round(self._start + script.length, 6)

    def waits(self, now: float) -> bool:
        return any(event.time > now for event in self._events)

    def dispose(self) -> None:
        self._recording.dispose()

    def _difference(self, now: float) -> str | None:
        due, actual = [event for event in self._events if event.time <= now], self._recording.events
        if len(due) == len(actual) and all(map(same, due, actual)):
            return None
        return explain(due, self._signs[: len(due)], actual, self._frame, self._start)


class SubscriptionExpectation(Expectation):
    """When a scripted stream should be subscribed to, from now on."""

    def __init__(self, subscriptions: Subscriptions, start: float, frame: float, place: Place) -> None:
        super().__init__(start, frame, place)
        self._subscriptions = subscriptions
        self._spans: list[Span] = []

    def to_be(self, *texts: str) -> None:
        """Say when: one text for each subscription, in their order; none for no subscription at all.

        Args:
            texts: ``^`` where it is made, ``!`` where it is disposed of or the stream ends: ``"--^----!"``.

        Raises:
            InvalidOption: a text is no subscription.
        """
        read = [read_span(text, self._frame) for text in texts]
        self._say()
        self._spans = [span.shifted(self._start) for span, _ in read]
        self.end = round(self._start + max((length for _, length in read), default=0.0), 6)

    def waits(self, now: float) -> bool:
        return any(mark.time > now for span in self._spans for mark in span.marks)

    def dispose(self) -> None:
        pass

    def _difference(self, now: float) -> str | None:
        expected = [span.until(now) for span in self._spans if span.start <= now]
        actual = [span for span in self._subscriptions.spans if span.start >= self._start]
        if expected == actual:
            return None
        rows = [
            Row(
                f"{label} {number}" if len(spans) > 1 else label,
                span.shifted(-self._start).marks,
                span.end is not None,
            )
            for label, spans in (("expected", expected), ("actual", actual))
            for number, span in enumerate(spans, 1)
        ]
        headline = "subscribed or disposed of at other times than expected"
        if len(expected) != len(actual):
            headline = f"{len(expected)} subscription{'s' * (len(expected) != 1)} expected, {len(actual)} made"
        return "\n".join([headline, *draw(rows, self._frame)])
