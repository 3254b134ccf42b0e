from __future__ import annotations

import math
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc.notebook import collect

from ..helpers import is_observed, run, wait_until


def test_what_a_channel_hears_in_that_time_is_a_list(channel: ipc.Channel) -> None:
    assert collect(channel, 0.01) == []

    def say() -> None:
        wait_until(lambda: is_observed(channel.messages) or is_observed(channel.batches))
        run(channel.broadcast("0"))

    saying = threading.Thread(target=say)
    saying.start()
    assert [message.text for message in collect(channel, 1.0)] == ["0"]
    saying.join()
    assert not is_observed(channel.messages)


def test_it_ends_with_the_source_and_keeps_plain_values() -> None:
    assert collect(rx.of(1, "two"), 60) == [1, "two"]


def test_an_error_of_the_source_is_raised() -> None:
    with pytest.raises(OSError, match="gone"):
        collect(rx.throw(OSError("gone")), 60)


@pytest.mark.parametrize("seconds", [-1, math.inf, None, "1"])
def test_what_is_no_time_is_refused_at_once(channel: ipc.Channel, seconds: Any) -> None:
    with pytest.raises(ipc.InvalidOption):
        collect(channel, seconds)


class Shell:
    """What a notebook's kernel has, as far as a bar needs it."""

    kernel = object()

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []
        self.display = self

    def get_ipython(self) -> Shell:
        return self

    def __call__(self, bundle: dict[str, str], **_: Any) -> Shell:
        self.update(bundle)
        return self

    def update(self, bundle: dict[str, str], **_: Any) -> None:
        self.shown.append(bundle)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    made = Shell()
    monkeypatch.setitem(
        sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: made, display=SimpleNamespace(display=made))
    )
    return made


def test_in_a_notebook_a_bar_shows_how_far_it_has_come(shell: Shell) -> None:
    numbers = rx.interval(0.05)
    heard = collect(numbers, 1.0)
    assert len(shell.shown) >= 2
    assert "<progress" in shell.shown[0]["text/html"]
    assert shell.shown[0]["text/plain"].endswith("of 1 s")
    assert shell.shown[-1] == {"text/plain": f"{len(heard)} in 1.0 s"}


def test_the_bar_ends_with_the_source_and_with_its_error(shell: Shell) -> None:
    assert collect(rx.timer(0.3), 60) == [0]
    with pytest.raises(OSError, match="gone"):
        collect(rx.timer(0.3).pipe(ops.flat_map(lambda _: rx.throw(OSError("gone")))), 60)
    assert [bundle["text/plain"][:4] for bundle in shell.shown if "text/html" not in bundle] == ["1 in", "0 in"]


def test_what_is_short_or_is_not_to_be_shown_has_no_bar(shell: Shell) -> None:
    collect(rx.never(), 0.25)
    collect(rx.never(), 0.6, progress=False)
    assert shell.shown == []
