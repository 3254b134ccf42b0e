from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc.notebook import data_frame, to_frame

MESSAGES = [
    ipc.Message(b"ping", "127.0.0.1", 4001, received_at=1_700_000_000.5),
    ipc.Message(b"\xff", "127.0.0.1", 4002, received_at=1_700_000_001.0, direct=True),
]


def test_its_columns_are_the_fields_and_what_they_mean() -> None:
    columns = data_frame.columns(MESSAGES)
    assert set(columns) == {*ipc.Message.__struct_fields__, "size", "text"}
    assert columns["received_at"][0] == datetime(2023, 11, 14, 22, 13, 20, 500_000, UTC)
    assert columns["text"] == ["ping", "\ufffd"]
    assert columns["size"] == [4, 1]
    assert columns["direct"] == [False, True]


@pytest.mark.parametrize("library", data_frame.LIBRARIES)
@pytest.mark.parametrize("messages", [MESSAGES, []], ids=["two", "none"])
def test_a_library_that_is_installed_makes_the_table(library: str, messages: list[ipc.Message]) -> None:
    pytest.importorskip(library, reason=f"{library} is not installed")
    made = to_frame(messages, library=library)
    assert type(made).__module__.startswith(library)
    assert list(made["text"]) == [message.text for message in messages]
    assert len(made) == len(messages)


def with_installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Pretend that these libraries, and no others, are installed."""

    def find_spec(name: str) -> object:
        return name if name in names else None

    def import_module(name: str) -> Any:
        def make(columns: object) -> object:
            return name, columns

        return SimpleNamespace(DataFrame=make)

    monkeypatch.setattr(data_frame, "find_spec", find_spec)
    monkeypatch.setattr(data_frame, "import_module", import_module)


def test_the_first_that_is_installed_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with_installed(monkeypatch, "polars")
    assert to_frame(MESSAGES) == ("polars", data_frame.columns(MESSAGES))
    with_installed(monkeypatch, "polars", "pandas")
    assert to_frame(MESSAGES) == ("pandas", data_frame.columns(MESSAGES))


def test_without_any_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with_installed(monkeypatch)
    with pytest.raises(ipc.MissingExtra, match="needs pandas or polars; install it: pip install pandas"):
        to_frame(MESSAGES)


def test_what_is_no_message_or_no_library_is_refused_at_once() -> None:
    with pytest.raises(ipc.InvalidOption, match="Message records, not of 5"):
        data_frame.columns([5])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ipc.InvalidOption, match="pandas, polars"):
        to_frame(MESSAGES, library="numpy")


class Place(msgspec.Struct):
    floor: int


class Reading(msgspec.Struct):
    sensor: str
    celsius: float
    place: Place | None = None


class Switch(msgspec.Struct, tag="switch"):
    on: bool


class Dial(msgspec.Struct, tag="dial"):
    angle: float


def said(data: bytes, **fields: Any) -> ipc.Message:
    return ipc.Message(data, "127.0.0.1", 4001, received_at=1_700_000_000.5, **fields)


READINGS = [said(b'{"sensor": "roof", "celsius": 21.5}'), said(b'{"sensor": "cellar", "celsius": 15}')]


def test_with_a_type_its_fields_stand_beside_time_and_sender() -> None:
    assert data_frame.columns(READINGS, Reading) == {
        "received_at": [datetime(2023, 11, 14, 22, 13, 20, 500_000, UTC)] * 2,
        "address": ["127.0.0.1"] * 2,
        "port": [4001] * 2,
        "sensor": ["roof", "cellar"],
        "celsius": [21.5, 15.0],
        "place": [None, None],
    }


def test_a_table_of_nothing_has_the_columns_of_the_type() -> None:
    assert list(data_frame.columns([], Reading)) == ["received_at", "address", "port", "sensor", "celsius", "place"]


@pytest.mark.parametrize(
    ("type", "payloads", "expected"),
    [
        (float, [b"21.5", b"3"], {"value": [21.5, 3.0]}),
        (list[int], [b"[1, 2]"], {"value": [[1, 2]]}),
        (dict[str, float], [b'{"a": 1}', b'{"b": 2}'], {"a": [1.0, None], "b": [None, 2.0]}),
        (Switch | Dial, [b'{"type":"switch","on":true}', b'{"type":"dial","angle":1}'],
         {"type": ["switch", "dial"], "on": [True, None], "angle": [None, 1.0]}),
        (Reading, [b'{"sensor":"x","celsius":1,"place":{"floor":2}}'],
         {"sensor": ["x"], "celsius": [1.0], "place": [{"floor": 2}]}),
        (dict[str, int], [b'{"port": 5}'], {"port_": [5]}),
    ],
)  # fmt: skip
def test_every_type_has_its_columns(type: Any, payloads: list[bytes], expected: dict[str, list[Any]]) -> None:
    found = data_frame.columns([said(payload) for payload in payloads], type)
    assert {
        name: values for name, values in found.items() if name not in ("received_at", "address", "port")
    } == expected


def test_payloads_that_stand_for_none_are_left_out_and_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    found = data_frame.columns([*READINGS, said(b"nonsense\x1b"), said(b"[]"), said(b"[" * 60_000)], Reading)
    assert found["sensor"] == ["roof", "cellar"]
    (record,) = caplog.records
    assert record.getMessage().startswith("to_frame() left out 3 of 5 messages: ")


@pytest.mark.parametrize("time", [float("nan"), float("inf"), 1e300, -1e18, 253_402_300_800.0])
def test_a_time_that_is_in_no_calendar_is_told(time: float) -> None:
    with pytest.raises(ipc.InvalidOption, match="received_at"):
        to_frame([ipc.Message(b"x", received_at=time)])


def test_names_without_number_are_bounded_and_told_in_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """Also in what they cost: 40 messages have 80 000 names."""
    messages = [said(msgspec.json.encode({f"{name} of {number}": 1 for name in range(2000)})) for number in range(40)]
    found = data_frame.columns(messages, dict[str, int])
    assert len(found) == len(data_frame.columns([], dict)) + data_frame.MOST_FIELDS
    assert found["0 of 0"] == [1] + [None] * 39
    (record,) = caplog.records
    assert record.getMessage().startswith("to_frame() left out 79000 of 80000 fields")


def test_a_field_with_the_name_of_another_column_loses_neither() -> None:
    found = data_frame.columns([said(b'{"port": 1, "port_": 2, "address_": 3, "address": 4}')], dict[str, int])
    assert (found["port"], found["port_"], found["port__"]) == ([MESSAGES[0].port], [1], [2])
    assert (found["address_"], found["address__"]) == ([3], [4])


def test_other_formats_are_read_as_decode_reads_them() -> None:
    message = said(msgspec.msgpack.encode({"sensor": "roof", "celsius": 21.5}))
    assert data_frame.columns([message], Reading, "msgpack")["celsius"] == [21.5]


def test_topics_have_a_column_and_their_payloads_no_name() -> None:
    found = ipc.TopicMessage("robot/pose", said(b'robot/pose\x00{"sensor": "x", "celsius": 1}'))
    assert data_frame.columns([found], Reading)["sensor"] == ["x"]
    raw = data_frame.columns([found])
    assert (raw["topic"], raw["text"]) == (["robot/pose"], ['{"sensor": "x", "celsius": 1}'])


def test_received_values_bring_their_columns() -> None:
    found = data_frame.columns([ipc.Received(Reading("roof", 21.5), READINGS[0])])
    assert (found["sensor"], found["port"]) == (["roof"], [4001])


def test_a_capture_file_is_a_table(tmp_path: Path, channel: ipc.Channel) -> None:
    path = tmp_path / "today.pcap"
    with ipc.capture.Writer(path) as writer:
        writer.write(READINGS, ("224.0.2.1", 61088))
    for source in (path, str(path)):
        assert data_frame.columns(source, Reading)["celsius"] == [21.5, 15.0]
    assert data_frame.columns(path)["text"][1] == READINGS[1].text


def test_a_file_that_is_no_capture_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"no capture at all" * 9)
    with pytest.raises(ipc.CaptureCorrupt):
        to_frame(tmp_path / "x")
    with pytest.raises(ipc.CaptureFailed):
        to_frame(tmp_path / "nowhere")


@pytest.mark.parametrize("library", data_frame.LIBRARIES)
def test_a_library_makes_the_table_of_a_type(library: str) -> None:
    pytest.importorskip(library, reason=f"{library} is not installed")
    made = to_frame(READINGS, Reading, library=library)
    assert list(made["celsius"]) == [21.5, 15.0]


def test_a_library_in_the_place_of_the_type_is_told_where_it_belongs() -> None:
    with pytest.raises(ipc.InvalidOption, match="library='pandas'"):
        to_frame(READINGS, "pandas")  # pyright: ignore


def test_what_msgspec_does_not_know_is_no_type() -> None:
    with pytest.raises(ipc.InvalidOption, match="type is a type that msgspec knows"):
        to_frame(READINGS, 5)  # pyright: ignore


def test_members_have_a_column_of_their_names_by_who_sent() -> None:
    ann = ipc.Member("Ann", "127.0.0.1", 4001)
    assert data_frame.columns(MESSAGES, members=[ann])["member"] == ["Ann", None]
    numbers = [ipc.Message(b"1", "127.0.0.1", 4001), ipc.Message(b"2", "127.0.0.1", 4002)]
    found = data_frame.columns(numbers, int, members={ann, ipc.Member("Ann", "127.0.0.1", 4002)})
    assert (found["member"], found["value"]) == (["Ann 127.0.0.1:4001", "Ann 127.0.0.1:4002"], [1, 2])
    assert "member" not in data_frame.columns(MESSAGES)


def test_members_are_those_of_a_channel_that_are_there_now(port: int) -> None:
    with ipc.open_channel(port, presence="Ann") as channel:
        own = ipc.Message(b"x", *channel.sender_address)
        assert data_frame.columns([own, MESSAGES[0]], members=channel)["member"] == ["Ann", None]
    with pytest.raises(ipc.ChannelClosed):
        to_frame([own], members=channel)


def test_members_that_are_none_are_refused(channel: ipc.Channel) -> None:
    with pytest.raises(ipc.Unsupported, match="presence="):
        to_frame(MESSAGES, members=channel)
    for members in (["Ann"], 5, channel.messages):
        with pytest.raises(ipc.InvalidOption, match="members is a channel"):
            to_frame(MESSAGES, members=members)  # type: ignore[arg-type]  # pyright: ignore
