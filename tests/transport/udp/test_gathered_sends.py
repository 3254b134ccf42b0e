from __future__ import annotations

import errno
from collections.abc import Sequence

import pytest

from rx_multicast_ipc.errors import ChannelClosed, SendFailed
from rx_multicast_ipc.transport.delivered_batch import NOBODY_LOOKS
from rx_multicast_ipc.transport.udp.batch_sending import SentMany
from rx_multicast_ipc.transport.udp.gathered_sends import GatheredSends


class Owner:
    def __init__(self) -> None:
        self.count = 0
        self.errors: list[Exception] = []

    def went(self, count: int) -> None:
        self.count += count

    def was_refused(self, error: Exception) -> None:
        self.errors.append(error)


class Link:
    """Takes so many at a time, and refuses or is full at some."""

    def __init__(self, refused: Sequence[bytes] = (), space: int = 1000) -> None:
        self.sent: list[bytes] = []
        self._refused = refused
        self.space = space

    def send_many(self, payloads: Sequence[bytes], sent: SentMany) -> None:
        for payload in payloads:
            if payload in self._refused or len(self.sent) >= self.space:
                return
            self.sent.append(payload)
            sent.payloads += 1

    def send_one(self, payload: bytes, sent: SentMany) -> None:
        if len(self.sent) >= self.space:
            raise BlockingIOError(errno.EAGAIN, "full")
        if payload in self._refused:
            raise SendFailed("no route")
        self.sent.append(payload)
        sent.payloads = 1


def test_all_leave_in_order_and_each_owner_is_told_how_many() -> None:
    gathered, link, one, two = GatheredSends(), Link(), Owner(), Owner()
    for payload, owner in ((b"1", one), (b"2", two), (b"3", one), (b"4", NOBODY_LOOKS)):
        gathered.add(payload, owner)
    gathered.send(link.send_many, link.send_one)
    assert not gathered.untold
    assert link.sent == [b"1", b"2", b"3", b"4"]
    assert (one.count, two.count, bool(gathered.waiting)) == (2, 1, False)


def test_a_refused_one_takes_those_of_its_owner_with_it_and_no_others() -> None:
    gathered, link, one, two = GatheredSends(), Link([b"2"]), Owner(), Owner()
    for payload, owner in ((b"1", one), (b"2", one), (b"3", two), (b"4", one), (b"5", two)):
        gathered.add(payload, owner)
    gathered.send(link.send_many, link.send_one)
    gathered.tell()
    assert link.sent == [b"1", b"3", b"5"]
    assert (one.count, two.count) == (1, 2)
    assert [str(error) for error in one.errors] == ["no route"]
    assert not two.errors


def test_what_nobody_looks_at_is_refused_alone_and_reported(unhandled: list[BaseException]) -> None:
    gathered, link = GatheredSends(), Link([b"2"])
    for payload in (b"1", b"2", b"3"):
        gathered.add(payload, NOBODY_LOOKS)
    gathered.send(link.send_many, link.send_one)
    gathered.tell()
    assert link.sent == [b"1", b"3"]
    assert [str(error) for error in unhandled] == ["no route"]
    unhandled.clear()


@pytest.mark.parametrize("space", range(4))
def test_what_a_full_buffer_does_not_take_waits_on_in_its_order(space: int) -> None:
    gathered, link, one = GatheredSends(), Link(space=space), Owner()
    for payload in (b"1", b"2", b"3"):
        gathered.add(payload, one)
    gathered.send(link.send_many, link.send_one)
    assert (one.count, bool(gathered.waiting)) == (space, space < 3)
    gathered.add(b"4", one)
    link.space = 1000
    gathered.send(link.send_many, link.send_one)
    assert link.sent == [b"1", b"2", b"3", b"4"]
    assert one.count == 4


def test_a_send_in_the_middle_of_it_neither_repeats_nor_loses_any() -> None:
    """A signal handler may send while its thread does."""
    gathered, link, one = GatheredSends(), Link(), Owner()

    def interrupted(payloads: Sequence[bytes], sent: SentMany) -> None:
        link.send_many(payloads, sent)
        gathered.add(b"handler", one)
        gathered.send(link.send_many, link.send_one)

    gathered.add(b"1", one)
    gathered.send(interrupted, link.send_one)
    assert link.sent == [b"1", b"handler"]
    assert (one.count, bool(gathered.waiting)) == (2, False)


def test_what_waits_at_the_end_is_told_once_for_each_owner() -> None:
    gathered, one, two = GatheredSends(), Owner(), Owner()
    for owner in (one, two, one):
        gathered.add(b"x", owner)
    gathered.refuse(ChannelClosed)
    gathered.tell()
    assert [type(error) for error in one.errors + two.errors] == [ChannelClosed, ChannelClosed]
    assert one.errors[0] is not two.errors[0]
    assert not gathered.waiting


def test_a_refusal_is_held_until_its_owner_is_told_also_by_another_who_comes_meanwhile() -> None:
    gathered, link, two = GatheredSends(), Link([b"1"]), Owner()
    held: list[bool] = []

    class First(Owner):
        def was_refused(self, error: Exception) -> None:
            held.append(gathered.holds(self))
            if not self.errors:
                super().was_refused(error)
                gathered.tell()  # as another thread does before this one has told it

    one = First()
    for payload, owner in ((b"1", one), (b"2", two)):
        gathered.add(payload, owner)
    gathered.send(link.send_many, link.send_one)
    assert (gathered.holds(one), gathered.holds(two)) == (True, False)
    gathered.tell()
    assert held == [True, True]
    assert (len(one.errors), gathered.holds(one), bool(gathered.untold)) == (1, False, False)


def test_who_is_to_be_told_as_a_signal_handler_raises_is_told_by_the_next_one() -> None:
    gathered, link, one = GatheredSends(), Link([b"1"]), Owner()
    gathered.add(b"1", one)
    gathered.add(b"2", NOBODY_LOOKS)

    def interrupted(payloads: Sequence[bytes], sent: SentMany) -> None:
        if gathered.untold:
            raise KeyboardInterrupt
        link.send_many(payloads, sent)

    with pytest.raises(KeyboardInterrupt):
        gathered.send(interrupted, link.send_one)
    assert gathered.holds(one)
    gathered.tell()
    assert ([str(error) for error in one.errors], gathered.holds(one)) == (["no route"], False)


def test_what_is_out_as_a_signal_handler_raises_is_not_sent_again() -> None:
    gathered, link, one = GatheredSends(), Link(), Owner()
    for payload in (b"1", b"2"):
        gathered.add(payload, one)

    def none_together(payloads: Sequence[bytes], sent: SentMany) -> None: ...

    def interrupted(payload: bytes, sent: SentMany) -> None:
        link.send_one(payload, sent)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gathered.send(none_together, interrupted)
    gathered.send(link.send_many, link.send_one)
    assert link.sent == [b"1", b"2"]
    assert (one.count, bool(gathered.waiting)) == (2, False)
