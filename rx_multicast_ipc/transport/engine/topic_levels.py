"""Topics as levels of subjects and keys, in which most characters stand for themselves."""

from __future__ import annotations

from urllib.parse import quote

from ...validation.topic_name import ONE_LEVEL, REST


def levels_of(topic: str) -> list[str]:
    """The levels of a topic's name, or of a pattern, as they stand in subjects and keys.

    Letters, digits, ``_``, ``-`` and ``~`` of ASCII are themselves; every other byte of UTF-8 is ``%`` and two
    hexadecimal digits, for dots and blanks divide subjects, and engines have wildcards of their own.
    """
    return [
        level if level in (ONE_LEVEL, REST) else quote(level, safe="").replace(".", "%2E") for level in topic.split("/")
    ]
