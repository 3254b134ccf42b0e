"""What strangers sent reaches no log raw, by whatever way."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import reactivex as rx

from rx_multicast_ipc.operators import OnDecodeError
from rx_multicast_ipc.strangers.rate_limit import LogLimit
from rx_multicast_ipc.subscribing import decode_errors

from ..helpers import ipc

FORGED = "x\n2026-01-01 CRITICAL root: forged\x1b[2J\u202e\x9b\x7f"


@pytest.fixture
def log(unhandled: list[BaseException]) -> Iterator[io.StringIO]:
    """What a handler with a plain formatter writes, with the default hook for what subscribers raise."""
    ipc.set_unhandled_error_hook(None)
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    logger = logging.getLogger("rx_multicast_ipc")
    logger.addHandler(handler)
    yield out
    logger.removeHandler(handler)


def report(error: BaseException) -> None:
    """As the library logs what a subscriber raised."""
    logging.getLogger("rx_multicast_ipc").error("a subscriber raised and was detached", exc_info=error)


@pytest.fixture(autouse=True)
def fresh_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_errors, "_log_limit", LogLimit(decode_errors._log.warning))  # pyright: ignore[reportPrivateUsage]


class Reading(msgspec.Struct, forbid_unknown_fields=True):
    a: int = 0


def decoded(data: bytes, on_error: OnDecodeError = "log") -> rx.Observable[Reading]:
    return rx.of(ipc.Message(data)).pipe(ipc.operators.decode(Reading, on_error=on_error))


def assert_safe(text: str) -> None:
    assert all(char.isprintable() or char == "\n" for char in text)
    assert not any(line.startswith("2026") for line in text.splitlines())


def test_a_field_that_a_stranger_named_is_one_line(log: io.StringIO) -> None:
    decoded(msgspec.json.encode({FORGED: 1})).subscribe()
    assert len(log.getvalue().splitlines()) == 1
    assert "forged" in log.getvalue()
    assert_safe(log.getvalue())


def test_a_long_name_is_cut(log: io.StringIO) -> None:
    decoded(msgspec.json.encode({"n" * 60_000: 1})).subscribe()
    assert len(log.getvalue()) < 500


def test_a_decoder_of_ones_own_may_say_what_it_likes(log: io.StringIO) -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def decode(data: bytes) -> int:
        raise Unspeakable if data else ValueError(FORGED)

    rx.of(ipc.Message(b"x")).pipe(ipc.operators.decode(decode)).subscribe()
    assert "Unspeakable" in log.getvalue()
    rx.of(ipc.Message(b"")).pipe(ipc.operators.decode(decode, on_error="raise")).subscribe(on_error=report)
    assert "forged" in log.getvalue()
    assert_safe(log.getvalue())


def test_a_traceback_shows_what_a_stranger_sent_in_lines_that_pass_for_no_record(log: io.StringIO) -> None:
    decoded(msgspec.json.encode({FORGED: 1}), on_error="raise").subscribe(on_error=report)
    assert "Traceback" in log.getvalue()
    assert "forged" in log.getvalue()
    assert_safe(log.getvalue())


def test_arguments_that_do_not_fit_raise_nothing_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logging.getLogger("rx_multicast_ipc").warning("%d", "no number")


def test_a_flood_of_bad_datagrams_is_one_line_and_a_count(log: io.StringIO) -> None:
    junk = [ipc.Message(b"junk")] * 5_000
    rx.from_iterable(junk).pipe(ipc.operators.decode(Reading)).subscribe()
    first, count = log.getvalue().splitlines()
    assert first.startswith("cannot decode 4 bytes from 127.0.0.1:0")
    assert "4,999 more like it" in count


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff", b'{"a":"\xff"}', b"[" * 60_000, b'{"a":' * 10_000, b'{"a":' + b"9" * 60_000 + b"}", b'{"a":NaN}'],
)
@pytest.mark.parametrize("format", ["json", "msgpack"])
def test_no_datagram_ends_a_stream(data: bytes, format: Any) -> None:
    good = msgspec.msgpack.encode(Reading(7)) if format == "msgpack" else msgspec.json.encode(Reading(7))
    seen: list[Any] = []
    source = rx.of(ipc.Message(data), ipc.Message(b"\x91" * 60_000), ipc.Message(good))
    source.pipe(ipc.operators.decode(Reading, format=format)).subscribe(seen.append, seen.append)
    assert seen[-1] == Reading(7)
    assert not any(isinstance(element, Exception) for element in seen)
