"""A payload is shown as what it is, whatever it is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rx_multicast_ipc.cli.spy.payload_views import SHOWN, View, hex_dump, view_of

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a": 1}', "json"),
        (b"[1]", "json"),
        (b"17", "text"),
        (b"plain\ntext\t", "text"),
        (b"\xff\x00", "hex"),
        (b"\x00", "hex"),
        (b"", "text"),
        (("\N{LATIN SMALL LETTER E WITH ACUTE}" * SHOWN).encode(), "text"),
        (b"x" + ("\N{LATIN SMALL LETTER E WITH ACUTE}" * SHOWN).encode(), "text"),
    ],
)
def test_the_view_that_fits_is_picked(data: bytes, expected: View) -> None:
    assert view_of(data, "auto")[0] == expected


@given(st.binary(), st.sampled_from(["auto", "text", "json", "hex"]))
def test_every_payload_has_every_view_and_none_steers_a_terminal(data: bytes, view: View) -> None:
    _, text = view_of(data, view)
    assert all(char.isprintable() or char == "\n" for char in text)


@given(values)
def test_json_is_laid_out_and_not_changed(value: Any) -> None:
    view, text = view_of(json.dumps(value).encode(), "json")
    assert view == "json"
    assert json.loads(text) == value


@given(st.binary(min_size=1))
def test_a_hex_dump_holds_every_byte_in_order(data: bytes) -> None:
    lines = hex_dump(data).splitlines()
    assert bytes.fromhex("".join(line[6:53] for line in lines)) == data
    assert [int(line[:4], 16) for line in lines] == list(range(0, len(data), 16))


def test_a_large_payload_says_how_much_is_not_shown() -> None:
    for view in ("text", "hex", "json"):
        assert view_of(b"x" * 65_507, view)[1].endswith(f"… and {65_507 - SHOWN} bytes more")
