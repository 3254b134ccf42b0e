"""How what happened differs from what was expected, told and drawn."""

from __future__ import annotations

import string
from collections.abc import Container, Sequence
from itertools import zip_longest
from reprlib import Repr
from typing import Any, Final, cast

import msgspec

from .marble_grammar import Mark
from .message_notation import as_written, matches
from .recorded_events import Event
from .text_diagram import Row, draw, seconds

_MOST_MORE: Final = 5
"""Events beyond all that was expected that are shown."""

_SIGNS: Final = string.ascii_lowercase + string.ascii_uppercase + string.digits

_BRIEF: Final = Repr()
_BRIEF.maxstring = _BRIEF.maxother = 60

_LONG: Final = Repr()
_LONG.maxstring = _LONG.maxother = 400
_LONG.maxtuple = _LONG.maxlist = _LONG.maxdict = 20


def explain(
    expected: Sequence[Event], signs: Sequence[str], actual: Sequence[Event], frame: float, start: float = 0.0
) -> str:
    """What differs first, the expected and the actual marbles, and their values.

    Args:
        expected, actual: events, at virtual times.
        signs: the characters that the expected ones are written with.
        frame: seconds that one character stands for.
        start: when the marbles begin, in virtual seconds.
    """
    expected, actual = _since(start, expected), _since(start, actual)
    first, wanted, came = next(
        (number, *pair) for number, pair in enumerate(zip_longest(expected, actual)) if not same(*pair)
    )
    focus = min(event.time for event in (wanted, came) if event is not None)
    left_out = len(actual) - max(len(expected), first + 1) - _MOST_MORE
    actual = actual[: len(actual) - max(0, left_out)]
    actual_signs = _signs_for(actual, expected, signs)
    rows = [
        Row(label, [Mark(event.time, sign) for event, sign in zip(events, row_signs, strict=True)], _ended(events))
        for label, events, row_signs in (("expected", expected, signs), ("actual", actual, actual_signs))
    ]
    values = _legend(expected, signs, actual, actual_signs)
    more = [f"    and {left_out} more"] if left_out > 0 else []
    return "\n".join([_difference(wanted, came, start), *draw(rows, frame, focus), *values, *more])


def same(expected: Event | None, actual: Event | None) -> bool:
    """Whether what happened is what was expected, at the time at which it was."""
    if expected is None or actual is None:
        return expected is actual
    return expected[:2] == actual[:2] and matches(expected.value, actual.value)


def _since(start: float, events: Sequence[Event]) -> list[Event]:
    return [event._replace(time=round(event.time - start, 6)) for event in events]


def _signs_for(actual: Sequence[Event], expected: Sequence[Event], signs: Sequence[str]) -> list[str]:
    """Characters for what happened: those of the expected values that it equals, and new ones."""
    known = {sign: event.value for event, sign in zip(expected, signs, strict=True) if event.kind == "next"}
    found: list[str] = []
    for number, (_, kind, value) in enumerate(actual):
        if kind != "next":
            found.append("#" if kind == "error" else "|")
            continue
        here = [sign for sign in signs[number : number + 1] if sign in known]
        sign = next((sign for sign in (*here, *known) if matches(known[sign], value)), None)
        if sign is None:
            own = str(as_written(value))
            sign = own if len(own) == 1 and own in _SIGNS and own not in known else _unused(known)
            known[sign] = value
        found.append(sign)
    return found


def _unused(used: Container[str]) -> str:
    return next((sign for sign in _SIGNS if sign not in used), "?")


def _ended(events: Sequence[Event]) -> bool:
    return bool(events) and events[-1].kind != "next"


def _legend(
    expected: Sequence[Event], signs: Sequence[str], actual: Sequence[Event], actual_signs: Sequence[str]
) -> list[str]:
    """One line for each sign that stands for something else than itself; and which row it is of, if of one alone."""
    entries: dict[tuple[str, str], str] = {}
    errors_agree = any(event.kind == "error" and event.value == other.value for event in expected for other in actual)
    for side, events, own, others in (
        ("expected", expected, signs, actual_signs),
        ("actual", actual, actual_signs, signs),
    ):
        for event, sign in zip(events, own, strict=True):
            in_both = sign in others and (sign != "#" or errors_agree)
            if (in_both and side == "actual") or event.kind == "completed" or as_written(event.value) == sign:
                continue
            shown = _show(event, _LONG)
            if not in_both and any(shown == other for _, other in entries):
                shown = _in_full(event.value)
            entries.setdefault((sign, shown), "" if in_both else f"  ({side})")
    return [f"    {sign} = {shown}{side}" for (sign, shown), side in entries.items()]


def _show(event: Event, how: Repr = _BRIEF) -> str:
    """What an event is, in the words of a test."""
    if event.kind == "completed":
        return "completion"
    if event.kind == "next":
        return how.repr(as_written(event.value))
    kind, arguments = cast("tuple[type[Exception], Any]", event.value)
    given = ", ".join(map(how.repr, cast("tuple[Any]", arguments))) if isinstance(arguments, tuple) else "..."
    return f"{kind.__name__}({given})"


def _in_full(value: Any) -> str:
    """Fields that the usual way to show a value leaves out."""
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.asdict(value).items()
        return f"{type(value).__name__}({', '.join(f'{name}={_LONG.repr(field)}' for name, field in fields)})"
    return repr(value)


def _difference(wanted: Event | None, came: Event | None, start: float) -> str:
    def when(event: Event) -> str:
        return f"at {seconds(start + event.time)}" + (f" ({seconds(event.time)} into the marbles)" if start else "")

    if wanted is None or came is None:
        if came is not None:
            return f"{_show(came)} came {when(came)}, after all that was expected"
        assert wanted is not None
        return f"{_show(wanted)} was expected {when(wanted)} and did not come"
    if wanted.kind == came.kind and matches(wanted.value, came.value):
        return f"{_show(wanted)} was expected {when(wanted)} and came {when(came)}"
    if wanted.time == came.time:
        return f"{_show(came)} came {when(came)} instead of {_show(wanted)}"
    if came.time < wanted.time:
        return f"{_show(came)} came {when(came)}, before the next that was expected: {_show(wanted)} {when(wanted)}"
    return f"{_show(wanted)} was expected {when(wanted)}, and next came {_show(came)} {when(came)}"
