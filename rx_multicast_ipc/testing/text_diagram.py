"""Marbles drawn: rows of text, one above the other, in which equal times stand in equal columns.

Each row is itself marbles, fit to be pasted into a test, but where events follow each other more closely than the
characters that stand for them: then the picture says that it is not to scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from .marble_grammar import Mark

_LONGEST_LINE: Final = 20
"""Frames of silence that are drawn; longer ones are written as a time."""

_WIDTH: Final = 90
"""Columns of a row before it goes on below."""

_MOST_LINES: Final = 3
"""Parts of a long picture that are shown, around the first difference."""

_UNITS: Final = (("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1000), ("us", 1))


class Row(NamedTuple):
    """One row of a picture.

    Attributes:
        label: what it is.
        marks: what happened; times in seconds from the picture's beginning.
        ended: whether the stream ended with the last mark; else it goes on in silence.
    """

    label: str
    marks: Sequence[Mark]
    ended: bool


def draw(rows: Sequence[Row], frame: float, focus: float = 0.0) -> list[str]:
    """The lines of a picture.

    Args:
        rows: what to draw.
        frame: seconds that one character stands for.
        focus: the moment that a picture too long to be shown whole shows.
    """
    cells = [_cells(row.marks) for row in rows]
    lines: list[str] = ["" for _ in rows]
    ends = [0 for _ in rows]
    elapsed, focus_column, to_scale = 0.0, 0, True
    for part in _parts(cells, frame):
        silence, exact = _silence(part[0] - elapsed, frame)
        to_scale = to_scale and exact
        begin = len(lines[0]) + len(silence)
        for number, row in enumerate(cells):
            lines[number] += silence
            for moment in part:
                if moment in row:
                    lines[number] = lines[number].ljust(begin + _frames(moment - part[0], frame), "-") + row[moment]
                    ends[number] = len(lines[number])
                if moment <= focus:
                    focus_column = begin + _frames(moment - part[0], frame)
        width = max(map(len, lines))
        lines = [line.ljust(width, "-") for line in lines]
        elapsed = part[0] + (width - begin) * frame
    lines = [line[:end] if row.ended else line for line, end, row in zip(lines, ends, rows, strict=True)]
    note = [] if to_scale else ["  (not to scale)"]
    return [*_fold([row.label for row in rows], lines, focus_column), *note]


def seconds(time: float) -> str:
    """A time as a person reads it."""
    return f"{time:.6f}".rstrip("0").rstrip(".") + " s"


def _cells(marks: Sequence[Mark]) -> dict[float, str]:
    cells: dict[float, str] = {}
    for time, sign in marks:
        cells[time] = cells.get(time, "") + sign
    return {time: signs if len(signs) == 1 else f"({signs})" for time, signs in cells.items()}


def _parts(cells: Sequence[dict[float, str]], frame: float) -> list[list[float]]:
    """The moments at which anything happens, in parts within which one character is one frame in every row."""
    parts: list[list[float]] = []
    ends = [0.0 for _ in cells]  # when the characters drawn so far come to their end, in each row
    for moment in sorted({time for row in cells for time in row}):
        fits = (
            bool(parts)
            and _on_grid(moment - parts[-1][0], frame)
            and moment - max(ends) < (_LONGEST_LINE + 0.5) * frame
            and all(end < moment + 1e-6 for end, row in zip(ends, cells, strict=True) if moment in row)
        )
        if fits:
            parts[-1].append(moment)
        else:
            parts.append([moment])
        for number, row in enumerate(cells):
            if moment in row:
                ends[number] = moment + len(row[moment]) * frame
    return parts


def _frames(time: float, frame: float) -> int:
    return round(time / frame)


def _on_grid(time: float, frame: float) -> bool:
    return abs(_frames(time, frame) * frame - time) < 1e-6


def _silence(gap: float, frame: float) -> tuple[str, bool]:
    """Text for a time in which nothing happens, and whether it is as long as that time."""
    frames = _frames(gap, frame)
    if _on_grid(gap, frame) and 0 <= frames <= _LONGEST_LINE:
        return "-" * frames, True
    whole = round(gap * 1_000_000)
    if whole <= 0:
        return "", whole == 0
    unit, size = next((unit, size) for unit, size in _UNITS if whole % size == 0 or (unit == "s" and whole > size))
    return f" {whole / size:.6f}".rstrip("0").rstrip(".") + f"{unit} ", True


def _fold(labels: Sequence[str], lines: Sequence[str], focus: int) -> list[str]:
    margin = max(map(len, labels)) + 2
    parts = range(0, max(1, *map(len, lines)), _WIDTH)
    first = max(0, min(focus // _WIDTH - 1, len(parts) - _MOST_LINES))
    shown = parts[first : first + _MOST_LINES]
    folded: list[str] = []
    for begin in shown:
        before = "... " if begin else ""
        after = " ..." if begin == shown[-1] and begin != parts[-1] else ""
        for label, line in zip(labels, lines, strict=True):
            part = line[begin : begin + _WIDTH]
            folded.append(f"  {label:{margin}}{before}{part}{after if part else ''}".rstrip())
    return folded
