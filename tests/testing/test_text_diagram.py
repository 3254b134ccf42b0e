from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rx_multicast_ipc.testing.marble_grammar import Mark, read
from rx_multicast_ipc.testing.text_diagram import Row, draw


def row(text: str, label: str = "x", frame: float = 0.1) -> Row:
    marks, _ = read(text, frame)
    return Row(label, marks, text.endswith(("|", "#")))


def test_equal_times_stand_in_equal_columns() -> None:
    rows = [row("--a--(bc)--|", "expected"), row("--a-(bc)-d", "actual")]
    assert draw(rows, 0.1) == [
        "  expected  --a--(bc)--|",
        "  actual    --a-(bc)-d--",
    ]


def test_long_silences_are_times_in_every_row() -> None:
    assert draw([row("a 5s b|"), row("a 5s |")], 0.1) == ["  x  a 5s b|", "  x  a 5s |"]
    assert draw([row("a 5s b"), row("a 2s -c")], 0.1) == ["  x  a 2.1s - 2.8s b", "  x  a 2.1s c 2.8s -"]


def test_moments_between_two_frames_are_told_by_times() -> None:
    assert draw([row("a 50ms b"), row("a--b")], 0.1) == ["  x  a 50ms b 50ms -", "  x  a 50ms - 50ms b"]


def test_what_is_too_close_to_be_drawn_is_said_to_be() -> None:
    crowded = Row("x", [Mark(0.0, "a"), Mark(0.0, "b"), Mark(0.1, "c")], ended=False)
    assert draw([crowded], 0.1) == ["  x  (ab)c", "  (not to scale)"]


def test_nothing_is_an_empty_row() -> None:
    assert draw([row("a-b", "expected"), Row("actual", [], ended=False)], 0.1) == ["  expected  a-b", "  actual    ---"]
    assert draw([Row("actual", [], ended=False)], 0.1) == ["  actual"]


def test_a_long_picture_is_folded_and_shown_around_its_focus() -> None:
    text = "abcdefghij" * 100
    whole = draw([row(text[:200], "expected"), row(text[:150], "actual")], 0.1)
    assert whole == [
        f"  expected  {text[:90]}",
        f"  actual    {text[:90]}",
        f"  expected  ... {text[90:180]}",
        f"  actual    ... {text[90:150]}{'-' * 30}",
        f"  expected  ... {text[180:200]}",
        f"  actual    ... {'-' * 20}",
    ]
    part = draw([row(text, "actual")], 0.1, focus=50.0)
    assert part == [
        f"  actual  ... {text[360:450]}",
        f"  actual  ... {text[450:540]}",
        f"  actual  ... {text[540:630]} ...",
    ]


@given(
    gaps=st.lists(st.integers(0, 40_000), min_size=1, max_size=12),
    frame=st.sampled_from([0.001, 0.01, 0.1, 1.0]),
    ended=st.booleans(),
)
def test_a_picture_to_scale_reads_as_what_it_draws(gaps: list[int], frame: float, ended: bool) -> None:
    time, marks = 0, list[Mark]()
    for number, gap in enumerate(gaps):
        time += gap * 500
        marks.append(Mark(time / 1_000_000, "abcdefghijkl"[number]))
    if ended:
        marks.append(Mark(time / 1_000_000, "|"))
    (line, *note) = draw([Row("x", marks, ended)], frame)
    if note == [] and len(line) < 90:
        assert read(line.removeprefix("  x"), frame)[0] == marks


@pytest.mark.parametrize("text", ["a", "--a--b|", "(ab)--c#", "a 3s b", "-(abc|)", "250ms a 1h |"])
def test_what_is_written_is_drawn_the_same(text: str) -> None:
    assert [line.split(maxsplit=1)[1] for line in draw([row(text)], 0.1)] == [text]
