from __future__ import annotations

from typing import Any

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing import Datagram
from rx_multicast_ipc.testing.message_notation import as_written, matches, message_of


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("ping", ipc.Message(b"ping", "10.0.0.1", 49_152, "IPv4", 2.5)),
        (b"\xff", ipc.Message(b"\xff", "10.0.0.1", 49_152, "IPv4", 2.5)),
        (("ping", "10.0.0.2"), ipc.Message(b"ping", "10.0.0.2", 49_152, "IPv4", 2.5)),
        (("ping", "10.0.0.2", 7), ipc.Message(b"ping", "10.0.0.2", 7, "IPv4", 2.5)),
        (("ping", ("10.0.0.2", 7)), ipc.Message(b"ping", "10.0.0.2", 7, "IPv4", 2.5)),
        ((bytearray(b"ping"), "::1"), ipc.Message(b"ping", "::1", 49_152, "IPv6", 2.5)),
        (ipc.Message(b"ping", direct=True), ipc.Message(b"ping", "127.0.0.1", 0, "IPv4", 2.5, True)),
    ],
)
def test_messages_are_written_as_text_and_who_spoke(written: Any, message: ipc.Message) -> None:
    assert message_of(written, 2.5) == message
    assert matches(written, message)


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (5, ipc.InvalidOption),
        (("ping", 5), ipc.InvalidOption),
        (("ping", "10.0.0.2", 7, 8), ipc.InvalidOption),
        (("ping", "bot"), ipc.InvalidAddress),
        (("ping", "10.0.0.2", 70_000), ipc.InvalidPort),
        (bytes(70_000), ipc.PayloadTooLarge),
    ],
)
def test_what_is_no_message_is_refused(value: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        message_of(value, 0.0)


MESSAGE = ipc.Message(b"ping", "10.0.0.2", 7, "IPv4", 2.5)
SENT = Datagram(1.0, ("10.0.0.2", 7), ("224.0.2.1", 61_088), b"ping")


@pytest.mark.parametrize("other", ["pong", b"pin", ("ping", "10.0.0.3"), ("ping", "10.0.0.2", 8), 5, ("ping", 5), None])
def test_another_message_does_not_match(other: Any) -> None:
    assert not matches(other, MESSAGE)
    assert not matches(other, SENT)


def test_a_sent_datagram_is_told_by_where_it_goes() -> None:
    for written in ("ping", b"ping", ("ping", "224.0.2.1"), ("ping", "224.0.2.1", 61_088), ("ping", SENT.destination)):
        assert matches(written, SENT)
    assert not matches(("ping", SENT.source), SENT)
    assert matches(Datagram(1.0, SENT.source, SENT.destination, b"ping"), SENT)


def test_a_message_matches_whenever_it_was_received_but_in_all_else() -> None:
    assert matches(ipc.Message(b"ping", "10.0.0.2", 7), MESSAGE)
    assert not matches(ipc.Message(b"ping", "10.0.0.2", 7, direct=True), MESSAGE)


def test_text_matches_text_where_no_message_comes() -> None:
    assert matches("ping", "ping")
    assert not matches("ping", b"ping")
    assert matches(pytest.approx(1.0), 1.0000000001)  # pyright: ignore[reportUnknownMemberType]


@pytest.mark.parametrize(
    ("data", "shown"),
    [(b"ping", "ping"), (b"", ""), (b"\xff\x00", b"\xff\x00"), (b"a\nb", b"a\nb"), ("é".encode(), "é")],
)
def test_messages_are_shown_as_they_are_written(data: bytes, shown: str | bytes) -> None:
    assert as_written(ipc.Message(data, "10.0.0.2", 7)) == (shown, ("10.0.0.2", 7))
    assert matches(as_written(ipc.Message(data, "10.0.0.2", 7)), ipc.Message(data, "10.0.0.2", 7))
