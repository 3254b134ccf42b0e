"""Ctrl-C, or a signal handler that sends, amid a send on a reliable channel: nothing is held up, and nothing lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

import rx_multicast_ipc as ipc

from ...helpers import THOROUGH, Seen, run, wait_until
from ...interrupts import interrupted_at, traces_opcodes

STRIDE = 1 if THOROUGH else 3

SENDS: dict[str, Callable[[ipc.Channel, bytes], object]] = {
    "one": lambda channel, data: channel.broadcast(data).subscribe(),
    "large": lambda channel, data: channel.broadcast(data + bytes(10_000)).subscribe(),
    "many": lambda channel, data: ipc.run(channel.broadcast_all([data, b"", data + bytes(2000)])),
    "acknowledged": lambda channel, data: channel.broadcast(data, acknowledged=True).subscribe(on_error=lambda _: None),
    "direct": lambda channel, data: channel.send(data, channel.sender_address).subscribe(),
}

OPTIONS: list[Any] = [{"reliable": True}, {"reliable": True, "key": ipc.Key(bytes(32))}]

pytestmark = [
    traces_opcodes,
    pytest.mark.filterwarnings("ignore::rx_multicast_ipc.NeverSubscribedWarning"),
    pytest.mark.parametrize("options", OPTIONS, ids=["reliable", "sealed"]),
    pytest.mark.parametrize("send", SENDS),
]


def test_a_send_that_is_interrupted_anywhere_holds_up_no_later_one(port: int, send: str, options: Any) -> None:
    with ipc.open_channel(port, **options) as sender, ipc.open_channel(port, **options) as other:
        events, seen = Seen(other.events), Seen(other.messages)
        for place in count(1, STRIDE):
            reached = interrupted_at(place, lambda: SENDS[send](sender, b"interrupted"))
            expected = b"%d" % place
            run(sender.broadcast(expected))
            seen.wait_for(lambda seen, expected=expected: seen.values and seen.values[-1].data == expected)
            if not reached:
                break
        assert [event for event in events.values if isinstance(event, ipc.Gap)] == []


def test_what_a_signal_handler_sends_amid_a_send_is_lost_as_little_as_that(port: int, send: str, options: Any) -> None:
    with ipc.open_channel(port, **options) as sender, ipc.open_channel(port, **options) as other:
        seen = Seen(other.messages)
        sent: Counter[bytes] = Counter()

        def handle(data: bytes) -> None:
            sender.broadcast(data).subscribe()
            sent[data] += 1

        for place in count(1, STRIDE):
            reached = interrupted_at(
                place,
                lambda place=place: SENDS[send](sender, b"%d by itself" % place),
                lambda place=place: handle(b"%d by the handler" % place),
            )
            run(sender.broadcast(b"%d after" % place))
            sent[b"%d after" % place] += 1
            if send in ("one", "acknowledged"):
                sent[b"%d by itself" % place] += 1
            if not reached:
                break
        wait_until(lambda: sent <= Counter(message.data for message in seen.values))
        heard = Counter(message.data for message in seen.values)
        assert {data: heard[data] for data in sent} == sent
