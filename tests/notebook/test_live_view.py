from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
import reactivex as rx
from reactivex.subject import Subject

import rx_multicast_ipc as ipc
from rx_multicast_ipc.notebook import live
from rx_multicast_ipc.notebook.live_update import Head
from rx_multicast_ipc.notebook.live_view import Live
from rx_multicast_ipc.notebook.plotted_values import PlottedValues

from ..helpers import Seen, finish, is_observed, python, wait_until


class FakeWidget:
    """Keeps what it is to send."""

    def __init__(self) -> None:
        self.heads: list[Head] = []
        self.payloads = b""
        self.answer: Callable[[Any, Any, Any], None] | None = None
        self.closed = 0
        self.fault: Exception | None = None

    def send(self, content: Any, buffers: Any = None) -> None:
        if self.fault is not None:
            raise self.fault
        head, payloads = buffers
        self.heads.append(msgspec.json.decode(head, type=Head))
        self.payloads += payloads

    def on_msg(self, callback: Callable[[Any, Any, Any], None], remove: bool = False) -> None:
        self.answer = callback

    def close(self) -> None:
        self.closed += 1

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        return {"text/plain": "the widget", "x/view": "it"}, {}

    @property
    def last(self) -> Head:
        return self.heads[-1]


Show = Callable[..., Live]


@pytest.fixture
def widget() -> FakeWidget:
    return FakeWidget()


@pytest.fixture
def show(widget: FakeWidget) -> Iterator[Show]:
    views: list[Live] = []

    def open_view(source: Any, values: PlottedValues | None = None) -> Live:
        views.append(Live(source, widget, "a source", values))
        return views[-1]

    yield open_view
    for view in views:
        view.close()


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("rx_multicast_ipc live")]


def test_a_channels_messages_and_drops_are_told(channel: ipc.Channel, show: Show, widget: FakeWidget) -> None:
    view = show(channel)
    ipc.run(channel.broadcast_all(["one", "two"]))
    wait_until(lambda: view.total == 2)
    view.stop()
    assert (widget.last.total, widget.last.dropped, widget.payloads) == (2, channel.statistics.dropped, b"onetwo")
    assert sum(items for head in widget.heads for _, items, _ in head.senders) == 2


def test_a_pipelines_values_are_told(show: Show, widget: FakeWidget) -> None:
    values: Subject[Any] = Subject()
    view = show(values)
    values.on_next(1)
    values.on_next({"a": 2})
    view.stop()
    assert (widget.last.total, widget.last.dropped, widget.payloads) == (2, None, b'1{"a":2}')


def test_the_end_of_the_source_is_the_last_that_is_told(show: Show, widget: FakeWidget) -> None:
    show(rx.of(1, 2))
    wait_until(lambda: not threads())
    assert (widget.last.total, widget.last.state) == (2, "completed")


def test_an_error_of_the_source_is_told(show: Show, widget: FakeWidget) -> None:
    view = show(rx.throw(OSError("gone")))
    wait_until(lambda: not threads())
    assert (widget.last.state, widget.last.error) == ("failed", "OSError: gone")
    assert "OSError: gone" in repr(view)


def test_a_channel_that_closes_completes_the_view(port: int, show: Show, widget: FakeWidget) -> None:
    with ipc.open_channel(port) as channel:
        show(channel)
    wait_until(lambda: not threads())
    assert widget.last.state == "completed"


def test_stop_ends_thread_and_subscription_and_leaves_the_page(
    channel: ipc.Channel, show: Show, widget: FakeWidget
) -> None:
    view = show(channel)
    view.stop()
    view.stop()
    assert not threads()
    assert not is_observed(channel.batches)
    assert (widget.last.state, widget.closed) == ("stopped", 0)


def test_close_takes_it_off_the_page_once(channel: ipc.Channel, show: Show, widget: FakeWidget) -> None:
    with show(channel) as view:
        assert is_observed(channel.batches)
    assert not is_observed(channel.batches)
    view.close()
    view.close()
    assert widget.closed == 1


def test_it_can_be_stopped_in_a_subscriber(channel: ipc.Channel, show: Show) -> None:
    view = show(channel)
    seen = Seen(channel.messages)
    channel.messages.subscribe(lambda _: view.stop())
    ipc.run(channel.broadcast("stop"))
    seen.wait_for_count(1)
    wait_until(lambda: not threads())


def test_a_front_end_that_begins_late_gets_what_is_there(show: Show, widget: FakeWidget) -> None:
    values: Subject[Any] = Subject()
    view = show(values)
    values.on_next("early")
    view.stop()
    told = len(widget.heads)
    assert widget.answer is not None
    widget.answer(widget, "hello", [])
    assert len(widget.heads) == told + 1
    assert (widget.last.total, len(widget.last.rows), widget.last.state) == (1, 1, "stopped")


def test_a_front_end_that_cannot_be_reached_ends_the_view_and_not_the_source(
    show: Show, widget: FakeWidget, caplog: pytest.LogCaptureFixture
) -> None:
    values: Subject[int] = Subject()
    widget.fault = OSError("no front end")
    with caplog.at_level(logging.ERROR, "rx_multicast_ipc"):
        view = show(values)
        values.on_next(1)
        wait_until(lambda: not threads())
    assert "cannot reach its front end" in caplog.text
    assert values.observers == []
    assert view.state == "failed"


def test_it_has_a_plain_text_beside_the_widget(show: Show) -> None:
    view = show(rx.never())
    bundle, _ = view._repr_mimebundle_()  # pyright: ignore[reportPrivateUsage]
    assert bundle == {"text/plain": "<live view of a source: 0 so far, live>", "x/view": "it"}


def test_what_is_no_source_is_refused_at_once() -> None:
    with pytest.raises(ipc.InvalidOption, match=r"a source is a Channel or an Observable.*open_channel"):
        live([1, 2])  # pyright: ignore[reportArgumentType]


def test_without_the_extra_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["anywidget"] = None
import reactivex
from rx_multicast_ipc.notebook import live
live(reactivex.never())
"""
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtra: a live view needs anywidget" in process.stderr
    assert "pip install 'rx-multicast-ipc[notebook]'" in process.stderr


def test_outside_a_notebook_it_is_its_text_and_ends_with_the_process(port: int) -> None:
    pytest.importorskip("anywidget", reason="needs the extra [notebook]")
    code = """
import sys
import rx_multicast_ipc as ipc
from rx_multicast_ipc.notebook import live
channel = ipc.open_channel(int(sys.argv[1]))
view = live(channel)
print(view)
"""
    assert finish(python(code, port)) == f"<live view of 224.0.2.1:{port} on loopback: 0 so far, live>\n"


def test_a_channels_messages_are_taken_a_batch_at_a_time(channel: ipc.Channel, show: Show) -> None:
    show(channel.messages)
    assert is_observed(channel.batches)
    assert not is_observed(channel.messages)


def test_members_are_told_by_their_names(widget: FakeWidget, show: Show, port: int) -> None:
    with ipc.open_channel(port, presence="Ann") as ann, ipc.open_channel(port, presence=ipc.Presence(None)) as channel:
        show(channel, PlottedValues(lambda message: len(message.data)))
        named: list[str] = []
        channel.members.subscribe(lambda members: named.extend(member.name for member in members))
        wait_until(lambda: named == ["Ann"])
        ipc.run(ann.broadcast("hello"))
        wait_until(lambda: any(head.rows for head in widget.heads))
    assert [row.sender for head in widget.heads for row in head.rows] == ["Ann"]
    assert {name for head in widget.heads for name, _ in head.values.series} == {"Ann"}
