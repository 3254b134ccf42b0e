"""``listen --decode``, ``send --json`` and ``send --encode``: payloads as values."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

from rx_multicast_ipc.strangers.decoding import json_line_or_none

from ..helpers import Seen, ipc, needs_linux
from .helpers import Listen, command, end, records

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def shown(data: bytes, format: str) -> Any:
    line = json_line_or_none(data, format)
    assert line is not None
    assert b"\n" not in line
    return msgspec.json.decode(line)


@given(PLAIN, st.sampled_from(["json", "msgpack"]))
def test_what_json_has_is_shown_as_it_is(value: object, format: str) -> None:
    assert shown(getattr(msgspec, format).encode(value), format) == value


def test_numbers_of_json_keep_their_digits() -> None:
    text = b'{"a": 12345678901234567890123, "b": 0.10000000000000000001}'
    assert json_line_or_none(text, "json") == b'{"a":12345678901234567890123,"b":0.10000000000000000001}'


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": b"\x00\xff"}, {"b": {"$bytes": "00ff"}}),
        (msgspec.msgpack.Ext(5, b"\x01"), {"$extension": 5, "$bytes": "01"}),
        ({1: "a", False: "b", None: "c", 1.5: "d"}, {"1": "a", "false": "b", "null": "c", "1.5": "d"}),
        ([math.nan, math.inf], [None, None]),
        ({b"k": 1}, {'{"$bytes":"6b"}': 1}),
    ],
)
def test_what_only_messagepack_has_is_told_in_json(value: object, expected: object) -> None:
    assert shown(msgspec.msgpack.encode(value), "msgpack") == expected


@pytest.mark.parametrize("format", ["json", "msgpack"])
@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", b"nope", b"\xff\xfe", b"[" * 60_000, b"\x91" * 60_000, b"\x81" * 60_000, b'"\xff"', b"\xa1\xff"],
    ids=range(9),
)
def test_no_bytes_of_a_stranger_raise(data: bytes, format: str) -> None:
    assert json_line_or_none(data, format) is None or format == "msgpack"


@given(st.binary(max_size=100), st.sampled_from(["json", "msgpack"]))
def test_whatever_comes_is_one_line_of_json_or_nothing(data: bytes, format: str) -> None:
    line = json_line_or_none(data, format)
    if line is not None:
        msgspec.json.decode(line)
        assert b"\n" not in line


@needs_linux
def test_listen_prints_values_and_tells_of_what_is_none(listen: Listen, channel: ipc.Channel) -> None:
    process = listen("--decode", "json", "--count", 2)
    for data in ('{"x": 1.50}', "no JSON \x1b[2J", "null"):
        ipc.run(channel.broadcast(data))
    code, out, err = end(process)
    assert code == 0
    assert [record["value"] for record in records(out)] == [{"x": 1.5}, None]
    assert [{"data", "text"} & record.keys() for record in records(out)] == [set(), set()]
    assert b'{"x":1.50}' in out
    assert err == f"rx-multicast-ipc: a message of 127.0.0.1:{channel.sender_address[1]} is no JSON\n"


@needs_linux
@pytest.mark.parametrize(("form", "ending"), [("--raw", b'{"x":1.5}\n'), ("--human", b'  robot/pose  {"x":1.5}\n')])
def test_listen_decodes_what_stands_behind_a_topics_name(
    form: str, ending: bytes, listen: Listen, channel: ipc.Channel
) -> None:
    process = listen("--topic", "robot/*", "--decode", "msgpack", "--count", 1, form)
    ipc.run(channel.broadcast(b"robot/pose\0" + msgspec.msgpack.encode({"x": 1.5})))
    code, out, _ = end(process)
    assert code == 0
    assert out.endswith(ending)


@needs_linux
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--json", '{"x":  1.5}', "[]"], [b'{"x":  1.5}', b"[]"]),
        (["--encode", "json", "null"], [b"null"]),
        (["--encode", "msgpack", '{"x": 1.5}'], [msgspec.msgpack.encode({"x": 1.5})]),
        (["--topic", "a", "--json", "1"], [b"a\x001"]),
    ],
)
def test_send_checks_json_and_sends_it(
    arguments: list[str], expected: list[bytes], port: int, channel: ipc.Channel
) -> None:
    heard = Seen(channel.messages.pipe(ops.map(lambda m: m.data)))
    assert command("send", "--port", port, *arguments) == (0, b"", "")
    assert heard.wait_for_count(len(expected)) == expected


@needs_linux
@pytest.mark.parametrize(
    "arguments",
    [
        ["--json", "nope"],
        ["--json", '{"x": 1'],
        ["--json", "[" * 5_000],
        ["--encode", "json", ""],
        ["--encode", "msgpack", "NaN"],
        ["--encode", "msgpack", "1" + "0" * 30],
    ],
)
def test_what_is_no_json_is_a_mistake_in_the_call_and_not_sent(
    arguments: list[str], port: int, channel: ipc.Channel
) -> None:
    heard = Seen(channel.messages)
    code, out, err = command("send", "--port", port, *arguments)
    assert (code, out, err.count("\n")) == (2, b"", 1)
    assert "JSON" in err
    ipc.run(channel.broadcast("the end"))
    assert [m.text for m in heard.wait_for_count(1)] == ["the end"]


@needs_linux
def test_lines_of_json_on_standard_input_are_checked_one_by_one(port: int, channel: ipc.Channel) -> None:
    heard = Seen(channel.messages)
    code, _, err = command("send", "--port", port, "--json", text=b'{"n": 1}\nnope\n{"n": 2}\n')
    assert code == 2
    assert "nope" in err
    assert [m.text for m in heard.wait_for_count(1)] == ['{"n": 1}']
