"""What an end on an engine sends, where a signal handler sends amid it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc.transport import WouldBlock
from rx_multicast_ipc.transport.engine.numbered_sends import NumberedSends
from rx_multicast_ipc.transport.own_messages import OwnMessages


class Carrier:
    """A connection that notes what is published, and has a signal handler run amid that."""

    payload_limit = 1000

    def __init__(self) -> None:
        self.published: list[Any] = []
        self.handlers: list[Any] = []

    def publish(self, end: object, payloads: Any, *_: object) -> None:
        self.published += payloads
        while self.handlers:
            self.handlers.pop()()


def test_a_send_by_another_way_that_a_signal_handler_makes_amid_one_waits_and_is_not_sent_as_any_other() -> None:
    carrier = Carrier()
    posted: list[Any] = []
    end: Any = SimpleNamespace(sender_address=("here", 1), group="a group")
    connection: Any = carrier
    sends: NumberedSends[Any] = NumberedSends(end, connection, 1, None, None, posted.append, lambda: None)
    identified: list[bytes] = []

    def by_another_way(_end: object, payloads: Any, *_: object) -> None:
        identified.extend(payloads)

    def handle() -> None:
        sends.publish((b"plain",), None)
        with pytest.raises(WouldBlock):
            sends.publish((b"identified",), None, by_another_way)

    carrier.handlers.append(handle)
    sends.publish((b"interrupted",), None)
    for action in posted:
        action()
    sends.publish((b"identified",), None, by_another_way)
    assert carrier.published == [b"interrupted", b"plain"]
    assert identified == [b"identified"]
    assert sends.next == 4


def test_what_went_before_one_that_was_refused_is_heard_by_the_sender_itself() -> None:
    carrier = Carrier()
    heard: list[list[bytes]] = []
    end: Any = SimpleNamespace(sender_address=("here", 1), group="a group")
    connection: Any = carrier
    own = OwnMessages(("224.0.2.77", 5000), 1 << 20)
    own.start()
    sends: NumberedSends[Any] = NumberedSends(
        end, connection, 1, None, own, list[Any]().append, lambda: heard.append([each.data for each in own.take()])
    )

    def lose_it() -> None:
        error = ipc.SendFailed("away")
        error.sent = 1
        raise error

    with pytest.raises(ipc.SendFailed):
        sends.send([b"1", b"2", bytes(1001)], None)
    carrier.handlers.append(lose_it)
    with pytest.raises(ipc.SendFailed):
        sends.send([b"3", b"4"], None)
    assert heard == [[b"1", b"2"], [b"3"]]
