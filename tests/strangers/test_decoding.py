"""No datagram raises."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rx_multicast_ipc.strangers.decoding import (
    decode_or_none,
    indented_json_or_none,
    leading_text_or_none,
    text_or_none,
)

HOSTILE = {
    "empty": b"",
    "not UTF-8": b'{"a":"\xff"}',
    "nested lists": b"[" * 60_000,
    "nested objects": b'{"a":' * 10_000,
    "nested and closed": b"[" * 30_000 + b"]" * 30_000,
    "a huge number": b"9" * 60_000,
    "a huge exponent": b"1e999999999",
    "a lone surrogate": b'"\\ud800"',
    "no number": b"NaN",
    "nested MessagePack": b"\x91" * 60_000,
    "a claimed length": b"\xdd\xff\xff\xff\xff",
    "a map with itself as keys": b"\x81" * 60_000,
    "every control character": bytes(range(32)) + bytes(range(127, 160)),
}


@pytest.mark.parametrize("decode", [msgspec.json.decode, msgspec.msgpack.decode, json.loads, bytes.decode])
@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_decoder_gets_a_raise_through(decode: object, data: bytes) -> None:
    decode_or_none(decode, data)  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [RecursionError, UnicodeDecodeError("utf-8", b"", 0, 1, ""), MemoryError, KeyError])
def test_every_error_of_a_decoder_means_not_for_me(error: Exception) -> None:
    def decode(_: bytes) -> object:
        raise error

    assert decode_or_none(decode, b"") is None


def test_an_interrupt_is_no_error_of_a_decoder() -> None:
    def decode(_: bytes) -> object:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        decode_or_none(decode, b"")


@given(st.binary())
def test_text_is_text_or_none(data: bytes) -> None:
    text = text_or_none(data)
    assert text is None or text.encode() == data


@given(st.text(), st.integers(1, 20))
def test_a_character_that_is_cut_in_half_does_not_make_text_something_else(text: str, size: int) -> None:
    leading = leading_text_or_none(text.encode(), size)
    assert leading is not None
    assert text.startswith(leading)
    assert len(text.encode()[:size]) - len(leading.encode()) < 4


@pytest.mark.parametrize("data", [b"ab\xff", b"\xff" + b"x" * 100, b"abcde\xff" + b"x" * 100])
def test_what_is_not_text_is_not_taken_for_cut(data: bytes) -> None:
    assert leading_text_or_none(data, 10) is None


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_json_is_laid_out_or_none(data: bytes) -> None:
    lines = indented_json_or_none(data)
    assert lines is None or json.loads(lines) == json.loads(data)
