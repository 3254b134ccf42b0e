"""Names and patterns: what they may be, and which names a pattern matches."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rx_multicast_ipc.validation.topic_name import check_name, name_end, read_name
from rx_multicast_ipc.validation.topic_pattern import PatternTree, check_pattern

from ..helpers import ipc

LEVELS = st.lists(st.sampled_from(["a", "b", "é", "pose"]), min_size=1, max_size=4)

WRONG = {
    "": "empty",
    "/robot": "'robot'",
    "robot/": "'robot'",
    "robot//pose": "'robot/pose'",
    "/": "'robot/pose'",
    "a\0b": "NUL",
    "x" * 129: "128 bytes",
    "é" * 65: "128 bytes",
    "\ud800": "UTF-8 cannot encode",
}


@pytest.mark.parametrize("name", ["pose", "robot/pose", "é" * 64, "x" * 128, "a b", "a/b/c/d", "\N{ROBOT FACE}/1"])
def test_a_name_is_what_stands_before_the_nul(name: str) -> None:
    assert check_name(name) == name.encode()
    datagram = name.encode() + b"\0payload"
    assert read_name(datagram[: name_end(datagram)]) == name


@pytest.mark.parametrize("name", [*WRONG, "robot/*", "a*", None, 5, b"robot"])
def test_what_is_no_name_is_refused_with_advice(name: str) -> None:
    with pytest.raises(
        ipc.InvalidTopic, match=re.escape(WRONG.get(name, "topic" if not isinstance(name, str) else "*"))
    ):
        check_name(name)


@pytest.mark.parametrize("pattern", [*WRONG, "a*", "*a/b", "***", "**/a", "a/**/b", None, 5])
def test_what_is_no_pattern_is_refused_with_advice(pattern: str) -> None:
    with pytest.raises(
        ipc.InvalidTopic, match=re.escape(WRONG.get(pattern, "topic" if not isinstance(pattern, str) else "*"))
    ):
        check_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [("robot/#", "robot/**"), ("+/pose", "*/pose"), ("#", "**"), (">", "**"), ("robot.arm.>", "robot/arm/**")],
)
def test_a_pattern_of_mqtt_or_nats_is_refused_with_what_it_is_called_here(pattern: str, meant: str) -> None:
    with pytest.raises(ipc.InvalidTopic, match=re.escape(f"for the rest: '{meant}'")):
        check_pattern(pattern)
    assert check_pattern(meant)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("robot/pose", "robot/pose", True),
        ("robot/pose", "robot/pose/x", False),
        ("robot/*", "robot/pose", True),
        ("robot/*", "robot", False),
        ("robot/*", "robot/pose/x", False),
        ("*/pose", "robot/pose", True),
        ("*/*", "robot/pose", True),
        ("*", "robot/pose", False),
        ("robot/**", "robot/pose/x", True),
        ("robot/**", "robot", True),
        ("robot/**", "robots/pose", False),
        ("*/pose/**", "robot/pose/x/y", True),
        ("**", "robot/pose", True),
        ("**", "robot", True),
    ],
)
def test_a_star_is_one_level_and_two_are_the_rest(pattern: str, name: str, matches: bool) -> None:
    tree: PatternTree[str] = PatternTree()
    tree.add(check_pattern(pattern), "found")
    assert tree.find(name) == (["found"] if matches else [])


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from(["a", "b", "*"]), min_size=0, max_size=3), st.booleans()).filter(
            lambda drawn: bool(drawn[0]) or drawn[1]
        ),
        max_size=8,
    ),
    LEVELS,
)
def test_the_tree_finds_what_a_comparison_pattern_by_pattern_finds(
    patterns: list[tuple[list[str], bool]], levels: list[str]
) -> None:
    tree: PatternTree[int] = PatternTree()
    expected: list[int] = []
    for number, (given_levels, rest) in enumerate(patterns):
        tree.add((*given_levels, *(["**"] if rest else [])), number)
        alike = all(one in (other, "*") for one, other in zip(given_levels, levels, strict=False))
        long_enough = len(levels) >= len(given_levels) if rest else len(levels) == len(given_levels)
        if alike and long_enough:
            expected.append(number)
    assert sorted(tree.find("/".join(levels))) == expected


@given(st.binary(max_size=200))
def test_any_datagram_has_a_name_or_none(data: bytes) -> None:
    end = name_end(data)
    if end > 0 and read_name(data[:end]) is not None:
        assert check_name(data[:end].decode()) == data[:end]
