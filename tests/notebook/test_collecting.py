from __future__ import annotations

import math
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops

import rx_multicast_ipc as ipc
from rx_multicast_ipc.notebook import collect

from ..helpers import is_observed


def test_what_a_channel_hears_in_that_time_is_a_list(channel: ipc.Channel) -> None:
    assert collect(channel, 0.01) == []
    sending = channel.broadcast_all(rx.timer(0.05).pipe(ops.map(str)))
    sending.subscribe(scheduler=channel.scheduler)
    assert [message.text for message in collect(channel, 0.5)] == ["0"]
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
