from __future__ import annotations

from typing import Any

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


STEERING = "\x1b[2J\x1b]0;pwned\x07\u202e\u200b\u2028\x9b"
"""What steers a terminal, or shows text in another order."""


@pytest.mark.parametrize(
    "record",
    [
        ipc.Message(STEERING.encode(), STEERING, 5, interface=STEERING, topic=STEERING, destination=(STEERING, 5)),
        ipc.TopicMessage(STEERING, ipc.Message(b"x", topic=STEERING)),
        ipc.Received(STEERING, ipc.Message(b"x", topic=STEERING)),
        ipc.Member(STEERING, STEERING, 5, STEERING.encode()),
        ipc.Joined(ipc.Member(STEERING, STEERING, 5), 1.0),
        ipc.Left(ipc.Member(STEERING, STEERING, 5), "silent", 1.0),
        ipc.NetworkEvent(ipc.NetworkChange.DOWN, STEERING, STEERING, 1.0),
        ipc.CaptureCorrupt(STEERING, 5, "cut"),
        ipc.CaptureFailed(f"cannot read {STEERING}"),
        ipc.DecodeFailed(ipc.Message(STEERING.encode(), STEERING), ValueError(STEERING)),
    ],
    ids=lambda record: type(record).__name__,
)
def test_no_record_that_is_printed_steers_a_terminal(record: object) -> None:
    """On an engine, a stranger chooses what stands in the place of an address and a topic; and files have any name."""
    assert str(record).isprintable()
    assert repr(record).isprintable()


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


def test_a_message_reads_its_own_payload() -> None:
    assert ipc.Message(b'{"a": [1, null]}').json() == {"a": [1, None]}
    assert ipc.Message(b"[1, 2]").decode(list[int]) == [1, 2]
    assert ipc.Message(b"3").decode(int | str) == 3
    assert ipc.Message(b"\x93\x01\x02\x03").decode(list[int], format="msgpack") == [1, 2, 3]


@pytest.mark.parametrize("data", [b"", b"nonsense", b"\xff", b'"\xff"', b"[" * 100_000, b'{"a":'])
def test_a_payload_that_is_no_such_value_says_so(data: bytes) -> None:
    message = ipc.Message(data)
    with pytest.raises(ipc.DecodeFailed) as caught:
        message.json()
    assert caught.value.message is message
    with pytest.raises(ipc.DecodeFailed):
        message.decode(dict[str, int])


def test_what_is_no_type_or_format_is_refused() -> None:
    wrong: Any = "json"
    with pytest.raises(ipc.InvalidOption, match="a type that msgspec knows"):
        ipc.Message(b"1").decode(wrong)
    with pytest.raises(ipc.InvalidOption, match="msgpack"):
        ipc.Message(b"1").decode(int, format="xml")  # pyright: ignore[reportArgumentType]
