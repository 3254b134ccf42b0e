from __future__ import annotations

import pytest

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
