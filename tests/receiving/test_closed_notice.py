from __future__ import annotations

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc.receiving.closed_notice import ClosedNotice, anew

from ..helpers import divide_by_zero


@pytest.fixture
def notice() -> ClosedNotice:
    return ClosedNotice()


def test_everybody_is_told_whatever_the_others_raise(notice: ClosedNotice, unhandled: list[BaseException]) -> None:
    told: list[Exception] = []
    for action in (divide_by_zero, told.append, divide_by_zero, told.append):
        notice.add(action)
    notice.tell(ipc.ChannelClosed)
    assert [type(error) for error in told] == [ipc.ChannelClosed] * 2
    assert [type(error) for error in unhandled] == [ZeroDivisionError] * 2
    unhandled.clear()


def test_an_exit_is_raised_once_everybody_was_told(notice: ClosedNotice) -> None:
    def leave(_: Exception) -> None:
        raise SystemExit(3)

    told: list[Exception] = []
    notice.add(leave)
    notice.add(told.append)
    with pytest.raises(SystemExit):
        notice.tell(ipc.ChannelClosed)
    assert len(told) == 1


def test_each_is_told_once_and_with_an_error_of_his_own(notice: ClosedNotice) -> None:
    told: list[Exception] = []
    notice.add(told.append)
    notice.add(told.append)
    notice.tell(ipc.ChannelClosed)
    notice.tell(ipc.ChannelClosed)
    assert len(told) == len({id(error) for error in told}) == 2


def test_who_comes_late_is_told_at_once(notice: ClosedNotice) -> None:
    notice.tell(ipc.ChannelClosed)
    told: list[Exception] = []
    notice.add(told.append)
    assert len(told) == 1


def test_who_left_is_not_told_even_at_the_last_moment(notice: ClosedNotice) -> None:
    told: list[Exception] = []
    notice.add(told.append).dispose()
    notice.add(lambda _: last.dispose())
    last = notice.add(told.append)
    notice.tell(ipc.ChannelClosed)
    assert told == []


def test_an_error_made_anew_keeps_its_words_and_its_cause_but_not_its_traceback() -> None:
    try:
        raise ipc.ChannelClosed("gone") from OSError(9, "bad")
    except ipc.ChannelClosed as error:
        other = anew(error)
    assert (str(other), str(other.__cause__), other.__traceback__) == ("gone", "[Errno 9] bad", None)
