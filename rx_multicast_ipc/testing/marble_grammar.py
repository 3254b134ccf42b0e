"""The text of marbles, read.

    -      one frame passes
    a      a value, at this frame: any letter or digit
    (ab)   several at the frame of the bracket; the frames that the text is wide pass after it
    |      completion, at this frame
    #      an error, at this frame
    3s     time passes: a number and us, ms, s, m or h, between spaces

A subscription has ``^`` where it begins and ``!`` where it is disposed of, instead of values. Spaces only line things
up. The first character is time 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from ..errors import InvalidOption
from ..validation.arguments import shown
from .recorded_events import Event, Kind, comparable

__tracebackhide__ = True  # pytest shows the line of the test instead

_TOKEN: Final = re.compile(r"(?<!\S)(?P<number>\d+(?:\.\d+)?)(?P<unit>us|ms|s|m|h)(?!\S)|\S")

_UNITS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}

_ENDS: Final[dict[str, Kind]] = {"|": "completed", "#": "error"}

DEFAULT_ERROR: Final = RuntimeError("#")
"""What ``#`` stands for where nothing else is given."""


class Mark(NamedTuple):
    """One character that stands for something.

    Attributes:
        time: seconds from the beginning of the text, to the microsecond.
        sign: the character.
    """

    time: float
    sign: str


class Script(NamedTuple):
    """A stream as it is written.

    Attributes:
        events: what happens; times count from the beginning of the text.
        signs: the character of each.
        length: seconds that the text takes.
        error: what ``#`` stands for.
    """

    events: list[Event]
    signs: list[str]
    length: float
    error: Exception | type[Exception]

    @classmethod
    def read(
        cls,
        text: str,
        frame: float,
        values: Mapping[str, Any] | None,
        letters: Mapping[str, Any],
        error: Exception | type[Exception],
    ) -> Script:
        """The script that ``text`` is.

        Args:
            text: the marbles.
            frame: seconds that one character stands for.
            values: what letters and digits stand for; themselves, if they are not there.
            letters: the same, from keywords: each has to be a letter of the text.
            error: what ``#`` stands for.
        """
        marks, length = read(text, frame)
        for letter in letters:
            if all(mark.sign != letter for mark in marks):
                raise InvalidOption(f"a value is given for {letter!r}, which is no marble of {text!r}")
        known = {**(values or {}), **letters}
        events: list[Event] = []
        for time, sign in marks:
            kind = _ENDS.get(sign, "next")
            value = known.get(sign, sign) if kind == "next" else comparable(error) if kind == "error" else None
            events.append(Event(time, kind, value))
        return cls(events, [mark.sign for mark in marks], length, error)

    def at(self, start: float) -> list[Event]:
        """Its events, if it begins at ``start``."""
        return [event._replace(time=round(start + event.time, 6)) for event in self.events]


class Span(NamedTuple):
    """A subscription.

    Attributes:
        start: when it was made, in seconds.
        end: when it was disposed of, or its source ended; None if that has not happened.
    """

    start: float
    end: float | None = None

    @property
    def marks(self) -> list[Mark]:
        """The same, as it is written."""
        return [Mark(self.start, "^")] + ([] if self.end is None else [Mark(self.end, "!")])

    def until(self, now: float) -> Span:
        """What of it had happened by ``now``."""
        return self if self.end is None or self.end <= now else Span(self.start)

    def shifted(self, seconds: float) -> Span:
        """The same, so much later."""
        return Span(
            round(self.start + seconds, 6),
            None if self.end is None else round(self.end + seconds, 6),
        )


def read_span(text: str, frame: float) -> tuple[Span, float]:
    """The subscription that ``text`` is (one ``^``, and one ``!`` or none after it), and the seconds it takes."""
    marks, length = read(text, frame, "^!")
    if [sign for _, sign in marks] not in (["^"], ["^", "!"]):
        raise InvalidOption(f"{text!r} is no subscription: write one ^, and one ! after it if it is disposed of")
    return Span(*(time for time, _ in marks)), length


def read(text: str, frame: float, signs: str = "|#") -> tuple[list[Mark], float]:
    """The marks of ``text``, and the seconds it takes.

    Args:
        text: the marbles.
        frame: seconds that one character stands for.
        signs: what may stand there beside ``-``, brackets and times. With ``|#`` letters and digits may, too, and
            nothing after one of these two.
    """
    if not isinstance(text, str):
        raise InvalidOption(f'marbles are written as text, such as "a-b|", not {shown(text)}')
    marks: list[Mark] = []
    elapsed = group = 0.0  # in frames
    passed = 0.0  # in seconds that were written as such
    in_group: int | None = None
    ended = False
    for token in _TOKEN.finditer(text):
        sign, at = token[0], token.start()
        if token["number"] and in_group is None:
            passed += float(token["number"]) * _UNITS[token["unit"]]
            continue
        if sign == "(" and in_group is None:
            in_group, group = at, elapsed
        elif sign == ")" and in_group is not None and text[in_group:at].strip() != "(":
            in_group = None
        elif sign in signs or ("|" in signs and sign.isalnum() and len(sign) == 1):
            if ended:
                raise InvalidOption(f"{sign!r} at {at} of {text!r} comes after the end; nothing follows | or #")
            marks.append(Mark(round((elapsed if in_group is None else group) * frame + passed, 6), sign))
            ended = sign in _ENDS
        elif sign != "-" or in_group is not None:
            raise InvalidOption(
                f"{sign!r} at {at} of {text!r} is no marble: use - ( ) {' '.join(signs)}"
                f"{' letters, digits' if '|' in signs else ''} and, between spaces, times such as 3s or 200ms"
            )
        elapsed += 1
    if in_group is not None:
        raise InvalidOption(f"'(' at {in_group} of {text!r} is not closed: write ) after the last of the group")
    return marks, round(elapsed * frame + passed, 6)
