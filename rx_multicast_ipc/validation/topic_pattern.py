"""Patterns of names of topics, and which of them match a name."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from ..errors import InvalidTopic
from .topic_name import ONE_LEVEL, REST, check_levels

_T = TypeVar("_T")

_WILDCARDS_ELSEWHERE: Final = {"+": ONE_LEVEL, "#": REST, ">": REST}
"""Those of MQTT and NATS, which would be levels here, to which nobody publishes."""


def check_pattern(pattern: str) -> tuple[str, ...]:
    """The levels of ``pattern``; raises ``InvalidTopic``."""
    check_levels(pattern)
    levels = tuple(pattern.split("/"))
    for level in levels:
        if level in _WILDCARDS_ELSEWHERE or level.endswith(".>"):
            words = (pattern.replace(".", "/") if level.endswith(".>") else pattern).split("/")
            meant = "/".join(_WILDCARDS_ELSEWHERE.get(word, word) for word in words)
            raise InvalidTopic(
                f"{pattern!r} is a pattern of MQTT or NATS; "
                f'here "*" stands for one level and "**" for the rest: {meant!r}'
            )
        if ONE_LEVEL in level and level not in (ONE_LEVEL, REST):
            raise InvalidTopic(
                f'{level!r} in {pattern!r}: "*" stands for one whole level and "**" for the rest, '
                'such as "robot/*/pose" or "robot/**"; choose among what they let through with ops.filter'
            )
    if REST in levels[:-1]:
        raise InvalidTopic(f'"**" stands for the rest, so it must be the last level, unlike in {pattern!r}')
    return levels


def check_topics(_: str, pattern: str) -> str:
    """``pattern``, if it is one; raises ``InvalidTopic``."""
    check_pattern(pattern)
    return pattern


class PatternTree(Generic[_T]):
    """Finds what belongs to the patterns that a name matches: at the cost of the name's levels, not of the patterns."""

    def __init__(self) -> None:
        self._below: dict[str, PatternTree[_T]] = {}
        self._here: list[_T] = []
        self._rest: list[_T] = []

    def add(self, levels: tuple[str, ...], value: _T) -> None:
        node = self
        for level in levels:
            if level == REST:
                node._rest.append(value)
                return
            node = node._below.setdefault(level, PatternTree())
        node._here.append(value)

    def find(self, name: str) -> list[_T]:
        """The values of all patterns that match, in no particular order."""
        found: list[_T] = []
        nodes = [self]
        for level in name.split("/"):
            for node in nodes:
                found += node._rest
            nodes = [below for node in nodes for key in (level, ONE_LEVEL) if (below := node._below.get(key))]
        for node in nodes:
            found += node._here
            found += node._rest
        return found
