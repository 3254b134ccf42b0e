"""Where no thread can be started, whoever needs one of its own is told what to do, and leaves nothing behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reactivex import Observable

from rx_multicast_ipc import capture, operators
from rx_multicast_ipc.notebook.live_view import Live

from ..helpers import Seen, ipc, is_observed, nothing_left_behind


@pytest.fixture
def no_more_threads(channel: ipc.Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that run go on, such as the channel's."""

    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)


NEEDS: dict[str, Callable[[ipc.Channel], Observable[Any]]] = {
    "a look-up": lambda channel: channel.send("x", 5000, "localhost"),
    "a buffer": lambda channel: channel.messages.pipe(operators.on_backpressure_buffer(10)),
    "another channel": lambda channel: ipc.messages(channel.group.port, "239.255.7.9"),
    "a conversation": lambda channel: ipc.with_socket(lambda api: api.messages, channel.group.port),
}


@pytest.mark.usefixtures("no_more_threads")
@pytest.mark.parametrize("what", NEEDS)
def test_it_is_told_what_to_do(channel: ipc.Channel, what: str) -> None:
    seen = Seen(NEEDS[what](channel))
    assert isinstance(seen.error, ipc.CannotOpen | ipc.SendFailed)
    assert "raise the limit of threads" in str(seen.error)
    assert not is_observed(channel.messages)
    assert not is_observed(channel.batches)


@pytest.mark.usefixtures("no_more_threads")
@pytest.mark.parametrize("presence", [None, "me"])
@pytest.mark.parametrize("reliable", [False, True])
@pytest.mark.parametrize("key", [False, ipc.Key(bytes(32))], ids=["raw", "sealed"])
def test_a_channel_that_cannot_be_opened_leaves_nothing_open(
    channel: ipc.Channel, presence: str | None, reliable: bool, key: Any
) -> None:
    with nothing_left_behind(), pytest.raises(ipc.CannotOpen, match="raise the limit of threads"):
        ipc.open_channel(channel.group.port, presence=presence, reliable=reliable, key=key)


@pytest.mark.usefixtures("no_more_threads")
def test_a_capture_that_is_played_is_told_too(tmp_path: Path) -> None:
    path = tmp_path / "x.pcap"
    with capture.Writer(path) as writer:
        writer.write([ipc.Message(b"x", port=5)], ("224.0.2.1", 5))
    seen = Seen(capture.read(path))
    assert isinstance(seen.error, ipc.MulticastError)
    assert "raise the limit of threads" in str(seen.error)


class _Widget:
    """A view's that is never shown."""

    def on_msg(self, callback: object) -> None: ...


@pytest.mark.usefixtures("no_more_threads")
def test_a_live_view_is_told_and_hears_nothing(channel: ipc.Channel) -> None:
    widget: Any = _Widget()
    with pytest.raises(ipc.CannotOpen, match="raise the limit of threads"):
        Live(channel, widget, "a source")
    assert not is_observed(channel.batches)
