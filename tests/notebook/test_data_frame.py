from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

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
    made = to_frame(messages, library)
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
        to_frame(MESSAGES, "numpy")
