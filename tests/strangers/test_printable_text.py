"""Whatever the text, what is shown of it steers no terminal and forges no line."""

from __future__ import annotations

import sys
import unicodedata

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rx_multicast_ipc.strangers.printable_text import printable, printable_bytes, printable_json

any_text = st.text(st.characters(exclude_categories=())) | st.text("\x00\x1b\x7f\x9b\u202e\u2028\ud800\U000e0041a\n")


def test_no_character_of_unicode_stays_that_is_control_format_surrogate_or_separator() -> None:
    steering = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    size = 4096
    for first in range(0, sys.maxunicode + 1, size):
        text = "".join(char for char in map(chr, range(first, first + size)) if unicodedata.category(char) in steering)
        assert printable(text).isascii(), hex(first)
        assert printable(text).isprintable(), hex(first)


@given(any_text)
def test_text_becomes_one_printable_line(text: str) -> None:
    assert printable(text).isprintable()
    printable(text).encode()


@given(any_text)
def test_printable_text_stays_as_it_is(text: str) -> None:
    assert printable(printable(text)) == printable(text)
    assert all(char in printable(text) for char in text if char.isprintable())


def test_what_is_to_be_kept_is_kept() -> None:
    assert printable("a\nb\tc\x1b", keep="\n") == "a\nb\\tc\\x1b"


def test_a_limit_says_how_much_is_not_shown() -> None:
    assert printable("\x1b" * 300, limit=2) == "\\x1b\\x1b… (298 more characters)"
    assert printable("ab", limit=2) == "ab"


@given(st.binary())
def test_bytes_become_one_printable_line(data: bytes) -> None:
    assert printable_bytes(data).isprintable()


@pytest.mark.parametrize(("data", "shown"), [(b"\xff", "\\xff"), (b"\x1b[2J", "\\x1b[2J"), ("é".encode(), "é")])
def test_bytes_that_are_not_text_are_seen(data: bytes, shown: str) -> None:
    assert printable_bytes(data) == shown


@given(st.text())
def test_json_stays_the_same_json(text: str) -> None:
    shown = printable_json(msgspec.json.encode({text: text}).decode())
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert msgspec.json.decode(shown) == {text: text}
