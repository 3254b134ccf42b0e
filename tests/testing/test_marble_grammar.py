from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing.marble_grammar import Mark, Script, Span, read, read_span


@pytest.mark.parametrize(
    ("text", "marks", "length"),
    [
        ("", [], 0.0),
        ("--a", [Mark(0.2, "a")], 0.3),
        ("a-b|", [Mark(0.0, "a"), Mark(0.2, "b"), Mark(0.3, "|")], 0.4),
        ("(ab)c", [Mark(0.0, "a"), Mark(0.0, "b"), Mark(0.4, "c")], 0.5),
        ("-(a#)", [Mark(0.1, "a"), Mark(0.1, "#")], 0.5),
        (" a  - b ", [Mark(0.0, "a"), Mark(0.2, "b")], 0.3),
        ("a 3s b", [Mark(0.0, "a"), Mark(3.1, "b")], 3.2),
        ("200ms a 1.5s |", [Mark(0.2, "a"), Mark(1.8, "|")], 1.9),
        ("1m 2h 7us a", [Mark(7260.000007, "a")], 7260.100007),
        ("a3s", [Mark(0.0, "a"), Mark(0.1, "3"), Mark(0.2, "s")], 0.3),
        ("a 3 s", [Mark(0.0, "a"), Mark(0.1, "3"), Mark(0.2, "s")], 0.3),
    ],
)
def test_a_text_says_what_happens_when(text: str, marks: list[Mark], length: float) -> None:
    assert read(text, 0.1) == (marks, length)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a?b", r"'\?' at 1 of 'a\?b' is no marble: use - \( \) \| # letters"),
        ("((a))", "no marble"),
        ("a)", "no marble"),
        ("()", "no marble"),
        ("(a-b)", "no marble"),
        ("(a 3s b)", "no marble"),
        ("^-a", "no marble"),
        ("--(ab", r"'\(' at 2 of '--\(ab' is not closed"),
        ("a|b", "'b' at 2 of 'a|b' comes after the end"),
        ("(|a)", "comes after the end"),
        ("#|", "comes after the end"),
    ],
)
def test_what_is_no_marble_is_refused_and_shown(text: str, reason: str) -> None:
    with pytest.raises(ipc.InvalidOption, match=reason):
        read(text, 1.0)


def test_a_subscription_is_written_with_its_beginning_and_its_end() -> None:
    assert read_span("--^--!", 0.1) == (Span(0.2, 0.5), 0.6)
    assert read_span("^", 0.1) == (Span(0.0), 0.1)
    assert read_span("-(^!)", 0.1) == (Span(0.1, 0.1), 0.5)
    assert read_span("^ 3s !", 0.1) == (Span(0.0, 3.1), 3.2)


@pytest.mark.parametrize("text", ["", "---", "!", "!^", "^^", "^!!", "^-a!", "^|"])
def test_what_is_no_subscription_is_refused(text: str) -> None:
    with pytest.raises(ipc.InvalidOption, match=r"no subscription|no marble"):
        read_span(text, 1.0)


def test_values_are_given_by_mapping_and_by_keyword() -> None:
    script = Script.read("a-b-c1|", 1.0, {"a": "A", "1": 1, "x": "elsewhere"}, {"b": "B"}, ValueError("x"))
    assert [event.value for event in script.events] == ["A", "B", "c", 1, None]


def test_a_keyword_that_is_no_letter_of_the_text_is_a_mistake() -> None:
    for letters in ({"z": 1}, {"value": 1}):
        with pytest.raises(ipc.InvalidOption, match="no marble of 'a-b'"):
            Script.read("a-b", 1.0, None, letters, ValueError("x"))


@given(frame=st.integers(1, 10_000_000).map(lambda value: value / 1_000_000), frames=st.integers(0, 300))
def test_times_are_whole_microseconds_whatever_the_frame(frame: float, frames: int) -> None:
    (mark,), _ = read("-" * frames + "a", frame)
    assert mark.time == round(frames * frame * 1_000_000) / 1_000_000
