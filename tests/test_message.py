from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import rx_multicast_ipc as ipc


def test_a_message_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        ipc.Message(b"x").data = b"y"  # pyright: ignore[reportAttributeAccessIssue]


def test_messages_with_equal_fields_are_equal_and_hash_alike() -> None:
    assert ipc.Message(b"x", port=7) == ipc.Message(b"x", port=7)
    assert len({ipc.Message(b"x"), ipc.Message(b"x"), ipc.Message(b"y")}) == 2


def test_text_replaces_what_is_not_utf8() -> None:
    assert ipc.Message(b"a\xffb").text == "a\N{REPLACEMENT CHARACTER}b"


def test_repr_is_short_whatever_the_payload() -> None:
    assert repr(ipc.Message(b"hi", "10.0.0.1", 7, direct=True)) == "<Message b'hi' from 10.0.0.1:7 direct>"
    assert len(repr(ipc.Message(bytes(65_507)))) < 400


@given(st.binary(max_size=5000))
def test_in_a_notebook_it_is_a_table_whatever_was_sent(data: bytes) -> None:
    shown = ipc.Message(data)._repr_html_()  # pyright: ignore[reportPrivateUsage]
    assert shown.count("<tr>") == len(ipc.Message.__struct_fields__)
    assert len(shown) < 40_000


def test_in_a_notebook_markup_stays_text() -> None:
    attack = "<script>alert('&')</script>"
    shown = ipc.Message(attack.encode(), address=attack)._repr_html_()  # pyright: ignore[reportPrivateUsage]
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;alert(&#x27;&amp;&#x27;)") == 2


def test_in_a_notebook_a_long_text_is_cut_between_characters_and_bytes_are_hexadecimal() -> None:
    assert "éx... (9000 bytes)" in ipc.Message("xé".encode() * 3000)._repr_html_()  # pyright: ignore[reportPrivateUsage]
    assert ">ff 00 61<" in ipc.Message(b"\xff\x00a")._repr_html_()  # pyright: ignore[reportPrivateUsage]
