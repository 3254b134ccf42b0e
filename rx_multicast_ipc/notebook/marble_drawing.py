"""A marble diagram as SVG, and as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import floor, log10
from typing import Final
from xml.sax.saxutils import escape

from .marble_lanes import Lane, Marble

DENSE: Final = 80
"""Items of a lane above which it is drawn as bars."""

_WIDTH: Final = 860
_LEFT: Final = 150
_RIGHT: Final = 44
_LANE: Final = 46
_RADIUS: Final = 11
_MIDDLE_RADIUS: Final = 9
_SMALL_RADIUS: Final = 6
_BINS: Final = 120
_CHARACTER: Final = 6.2
"""Pixels, about."""

_COLOURS: Final = ("#4e86c6", "#f0932b", "#4caf7a", "#a973c9", "#2fb3b8", "#d4ac2b")

_STYLE: Final = (
    ".rxm-marbles{font:11px var(--jp-ui-font-family,system-ui,sans-serif);max-width:100%;height:auto}"
    ".rxm-marbles text{fill:var(--jp-ui-font-color1,#6b7680)}"
    ".rxm-marbles .axis{fill:var(--jp-ui-font-color2,#7a858f)}"
    ".rxm-marbles .in{fill:#fff;font-weight:600}"
    ".rxm-marbles line{stroke:var(--jp-ui-font-color2,#7a858f)}"
    ".rxm-marbles .grid{stroke:var(--jp-border-color2,#7a858f55)}"
    ".rxm-marbles .error{stroke:var(--jp-error-color1,#d32f2f);stroke-width:2.5}"
    ".rxm-marbles .end{stroke-width:2.5}"
)

_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_TEXT_COLUMNS: Final = 60

_SHORTEST: Final = 1e-6
"""Seconds; what is shorter has no scale."""


def draw_svg(lanes: Sequence[Lane], seconds: float) -> str:
    """One line a lane, time to the right, in seconds."""
    seconds = seconds if seconds >= _SHORTEST else 1.0
    height = _LANE * len(lanes) + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="rxm-marbles" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="Marble diagram"><style>{_STYLE}</style>'
    ]
    bottom = _LANE * len(lanes) + 6
    for tick in _ticks(seconds):
        x = _x(tick, seconds)
        parts.append(
            f'<line class="grid" x1="{x}" x2="{x}" y1="8" y2="{bottom}"/>'
            f'<text class="axis" x="{x}" y="{bottom + 16}" text-anchor="middle">{tick:g} s</text>'
        )
    for number, lane in enumerate(lanes):
        parts.extend(_draw_lane(lane, 8 + _LANE * number + _LANE // 2, _COLOURS[number % len(_COLOURS)], seconds))
    return "".join([*parts, "</svg>"])


def draw_text(lanes: Sequence[Lane], seconds: float) -> str:
    """One line a lane: ``o`` an item, a digit several, ``*`` more than nine, ``|`` completion, ``#`` an error."""
    seconds = seconds if seconds >= _SHORTEST else 1.0
    width = max((len(lane.name) for lane in lanes), default=0)

    def column(time: float) -> int:
        return min(_TEXT_COLUMNS - 1, int(time / seconds * _TEXT_COLUMNS))

    lines: list[str] = []
    for lane in lanes:
        counts = [0] * _TEXT_COLUMNS
        for marble in lane.marbles:
            counts[column(marble.time)] += 1
        marks = ["-" if n == 0 else "o" if n == 1 else str(n) if n < 10 else "*" for n in counts]
        if lane.end is not None:
            end = column(lane.end.time)
            if marks[end] != "-":  # what came in the same moment is still seen
                end += 1
            marks[end:] = ["#" if lane.end.kind == "error" else "|"]
        lines.append(f"{_line(lane.name):{width}}  {''.join(marks)}")
    return "\n".join([*lines, f"{'':{width}}  0 to {seconds:g} s"])


def _draw_lane(lane: Lane, y: int, colour: str, seconds: float) -> Iterator[str]:
    end = _x(seconds if lane.end is None else lane.end.time, seconds)
    name = _shorten(lane.name, (_LEFT - 20) / _CHARACTER)
    yield f'<text x="{_LEFT - 14}" y="{y + 4}" text-anchor="end">{name}</text>'
    yield f'<line x1="{_LEFT}" x2="{end}" y1="{y}" y2="{y}"/>'
    if lane.end is not None and lane.end.kind == "error":
        text = _text(_error_text(lane.end.value))
        yield f'<path class="error" d="M{end - 7},{y - 7} l14,14 m0,-14 l-14,14"><title>{text}</title></path>'
    elif lane.end is not None:
        yield f'<line class="end" x1="{end}" x2="{end}" y1="{y - 17}" y2="{y + 17}"><title>completed</title></line>'
    yield from (_bars if len(lane.marbles) > DENSE else _marbles)(lane.marbles, y, colour, seconds)


def _marbles(marbles: Sequence[Marble], y: int, colour: str, seconds: float) -> Iterator[str]:
    places = [_x(marble.time, seconds) for marble in marbles]
    room = min((two - one for one, two in pairwise(places) if two > one), default=_WIDTH)
    short = all(len(marble.text) <= 1 for marble in marbles)
    radius = _RADIUS if room > 2 * _RADIUS else _MIDDLE_RADIUS if short and room > _MIDDLE_RADIUS else _SMALL_RADIUS
    stacked = 0
    for index, (marble, x) in enumerate(zip(marbles, places, strict=True)):
        stacked = stacked + 1 if index and x - places[index - 1] < 1 else 0
        top = y - 5 * min(stacked, 3)
        yield f"<g><title>{_text(f'{marble.time:g} s: {marble.text}')}</title>"
        yield f'<circle cx="{x}" cy="{top}" r="{radius}" fill="{colour}" fill-opacity=".9"/>'
        if radius > _SMALL_RADIUS and len(marble.text) <= 2:
            yield f'<text class="in" x="{x}" y="{top + 4}" text-anchor="middle">{_text(marble.text)}</text>'
        elif room > 5 * _CHARACTER and not stacked:
            below = _shorten(marble.text, room / _CHARACTER)
            yield f'<text x="{x}" y="{y + radius + 11}" text-anchor="middle">{below}</text>'
        yield "</g>"


def _bars(marbles: Sequence[Marble], y: int, colour: str, seconds: float) -> Iterator[str]:
    counts = [0] * _BINS
    for marble in marbles:
        counts[min(_BINS - 1, int(marble.time / seconds * _BINS))] += 1
    most = max(counts)
    width = (_WIDTH - _LEFT - _RIGHT) / _BINS
    for index, count in enumerate(counts):
        if count:
            height = round(4 + 26 * count / most, 1)
            yield (
                f'<rect x="{_LEFT + index * width:.1f}" y="{y + 12 - height:.1f}" width="{width - 0.8:.1f}" '
                f'height="{height}" fill="{colour}"><title>{count} from {index * seconds / _BINS:.3g} s</title></rect>'
            )
    yield f'<text class="axis" x="{_WIDTH - _RIGHT}" y="{y + 22}" text-anchor="end">{len(marbles):,} items</text>'


def _error_text(value: tuple[type[BaseException], Iterable[object]]) -> str:
    kind, arguments = value
    return f"{kind.__name__}: {', '.join(map(str, arguments))}"


def _x(time: float, seconds: float) -> float:
    return round(_LEFT + time / seconds * (_WIDTH - _LEFT - _RIGHT), 1)


def _ticks(seconds: float) -> Iterator[float]:
    unit = 10 ** floor(log10(seconds / 4))
    step = next(factor * unit for factor in (1, 2, 2.5, 5, 10) if factor * unit >= seconds / 8)
    for number in range(int(seconds / step + 1e-9) + 1):
        yield round(number * step, 9)


def _line(text: str) -> str:
    return " ".join(text.split())


def _shorten(text: str, room: float) -> str:
    line = _line(text[:200])
    return _text(line if len(line) <= room else line[: max(1, int(room) - 1)] + "…")


def _text(text: str) -> str:
    """Escaped, and without what XML 1.0 (section 2.2) does not allow."""
    return escape(_NOT_XML.sub("\ufffd", text[:400]))
