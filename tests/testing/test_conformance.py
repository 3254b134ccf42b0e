"""The conformance kit itself: every rule can fail, and says what it is about."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from contextlib import suppress
from unittest import SkipTest

import pytest

from rx_multicast_ipc import CannotOpen, ChannelOptions, Group
from rx_multicast_ipc.testing.conformance import RULES, BrokenPromise, Rig, Rule, process_rules, transport_rig
from rx_multicast_ipc.testing.conformance.broken_promise import expect, raises
from rx_multicast_ipc.transport import Hears, Transport

from ..helpers import loaded_by
from ..transport_rigs import Wrap, udp, virtual
from . import broken_transports as broken

BREAKAGES: dict[str, tuple[Wrap, ...]] = {
    "everyone_in_the_group_hears": (broken.DeafToItself, broken.HearsTwice),
    "a_direct_datagram_reaches_one_end": (broken.CallsNothingDirect,),
    "other_groups_and_ports_are_not_heard": (broken.HearsOtherGroups,),
    "only_named_sources_are_heard": (broken.HearsOtherGroups, broken.DeafToNamedSources),
    "an_end_that_only_sends_is_heard": (broken.MuteBeforeItsStart,),
    "an_end_that_hears_direct_messages_hears_no_others": (broken.DeafToDirectMessages,),
    "an_end_without_echo_hears_others_alone": (broken.HearsItselfAnyway,),
    "an_end_hears_its_own_messages_as_it_sent_them": (broken.HearsTwice, broken.DeafToItself),
    "an_end_hears_itself_before_the_answer": (broken.HearsItselfLate,),
    "what_arrived_before_the_start_is_delivered": (broken.DeafBeforeItsStart,),
    "payloads_arrive_whole": (broken.Truncates, broken.DeliversBuffers),
    "an_empty_payload_is_a_message": (broken.SkipsEmptyPayloads,),
    "messages_keep_their_order": (broken.Reverses,),
    "messages_say_who_sent_them_when_and_how": (
        broken.StampsNothing,
        broken.CallsNothingDirect,
        broken.SaysNoDestination,
    ),
    "delivery_is_serial_and_on_one_thread": (broken.DeliversOnManyThreads,),
    "batches_are_never_empty": (broken.DeliversNothingAtTimes,),
    "sending_while_delivering_delivers_later": (broken.DeliversWhileSending,),
    "a_delivery_that_raises_stops_nothing": (broken.ClosesAtAnError,),
    "any_thread_may_send": (broken.SendsOnItsOwnThreadOnly,),
    "an_end_that_was_not_started_sends": (broken.MuteBeforeItsStart,),
    "too_large_a_payload_is_refused": (broken.SwallowsRefusals, broken.CountsRefusedAsSent),
    "many_arrive_whole_and_in_order": (
        broken.SendsManyBackwards,
        broken.SendsAFewOfMany,
        broken.Truncates,
    ),
    "many_of_several_ends_keep_their_senders": (broken.TakesTheFirstForTheSender,),
    "a_refused_one_of_many_says_how_many_went_before": (
        broken.ForgetsHowManyWent,
        broken.SendsManyPastARefusal,
    ),
    "nothing_is_sent_after_close": (broken.SwallowsBeingClosed,),
    "what_goes_out_and_comes_in_is_counted": (broken.CountsNoBytes, broken.HearsTwice),
    "the_count_is_final_after_close": (broken.ForgetsItsCount,),
    "names_are_looked_up_or_refused": (broken.FindsEveryName,),
    "an_end_says_where_it_is": (broken.LosesItsAddress, broken.KnowsNoAddressOfItsOwn),
    "who_waits_to_send_is_told": (broken.NeverIsWritable, broken.IsWritableElsewhere),
    "actions_run_in_order_also_after_close": (broken.RunsNothingAfterClose,),
    "actions_run_before_the_start": (broken.RunsNothingBeforeItsStart,),
    "an_action_called_for_on_the_io_thread_runs_at_once": (broken.RunsActionsLater,),
    "an_action_called_for_before_a_send_runs_before_its_delivery": (broken.RunsActionsLater,),
    "an_action_that_raises_stops_nothing": (broken.RunsNothingAfterAnError,),
    "timers_run_in_the_order_of_their_times": (broken.TimesAreAllTheSame,),
    "a_disposed_timer_does_not_run": (broken.TimersCannotBeDisposed,),
    "timers_run_on_after_close": (broken.TimersEndWithIt,),
    "the_io_thread_is_one": (broken.TimersHaveThreads, broken.DeliversOnManyThreads),
    "two_ends_answer_each_other_from_two_threads": (broken.CallsNothingDirect,),
    "what_is_lost_is_counted_exactly": (broken.CountsLossesByGuessing,),
    "an_end_is_open_until_closed": (
        broken.NeverSaysItIsClosed,
        broken.NeverSaysItHasEnded,
        broken.ClosesLater,
    ),
    "close_ends_once": (broken.EndsTwice,),
    "nothing_is_delivered_once_close_returned": (broken.DeliversAfterClose,),
    "ended_is_the_last_call": (broken.DeliversAfterClose, broken.EndsElsewhere),
    "closing_during_a_delivery_ends_at_once": (broken.ClosesLater,),
    "closing_in_an_action_or_a_timer_ends_at_once": (broken.ClosesLater,),
    "close_without_waiting_ends_soon": (broken.ClosesOnlyWhenWaitedFor,),
    "closing_one_end_leaves_the_others": (broken.ClosesAllOfThem,),
    "a_closed_end_holds_nothing": (broken.KeepsADescriptor,),
    "a_change_of_the_network_is_told_and_heals": (broken.TellsNoChange, broken.EndsAtAChange),
}
"""Of every rule that can be checked in virtual time, transports that break it."""

LIVE_BREAKAGES: dict[str, tuple[Wrap, ...]] = {
    "a_stopped_peer_delays_nobody": (broken.HearsTwice,),
    "close_waits_for_the_delivery_under_way": (broken.ClosesWithoutWaiting,),
    "a_fault_ends_it_and_is_told": (broken.HidesItsFault, broken.EndsTwice),
}
"""Of every rule that needs a thread or a fault, live transports that break it."""


def leaves_something_open(kept: list[int]) -> Rig:
    def fail(group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> Transport:
        kept.append(os.open(os.devnull, os.O_RDONLY))
        raise CannotOpen("never")

    return Rig(fail, pass_time=lambda: None, cannot_open=Group.of())


def leaves_something_open_while_others_let_go(kept: list[int]) -> Rig:
    others = [socket.socket(), socket.socket()]

    def fail(group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> Transport:
        others.pop().close()
        kept.append(os.open(os.devnull, os.O_RDONLY))
        raise CannotOpen("never")

    return Rig(fail, pass_time=lambda: None, cannot_open=Group.of())


def raises_what_nobody_expects(_: list[int]) -> Rig:
    def fail(group: Group, options: ChannelOptions, hears: Hears = Hears.ALL) -> Transport:
        raise RuntimeError("never")

    return Rig(fail, pass_time=lambda: None, cannot_open=Group.of())


PROCESS_BREAKAGES = {
    "last_words_at_exit_are_heard": """
opened = open_transport
def open_transport(*arguments):
    end = opened(*arguments)
    end.send_many = lambda payloads: end.scheduler.schedule_relative(1.0, lambda *_: type(end).send_many(end, payloads))
    return end
""",
    "open_ends_do_not_hold_the_process": """
import threading
threading.Thread(target=threading.Event().wait).start()
""",
}
"""What goes wrong in another process."""

BROKEN_OPENERS = leaves_something_open, leaves_something_open_while_others_let_go, raises_what_nobody_expects


def named(name: str) -> Rule:
    (rule,) = [rule for rule in RULES if rule.name == name]
    return rule


def cases(table: dict[str, tuple[Wrap, ...]]) -> list[object]:
    return [
        pytest.param(named(name), breakage, id=f"{name}-{getattr(breakage, '__name__', '')}")
        for name, breakages in table.items()
        for breakage in breakages
    ]


@pytest.mark.parametrize(("rule", "breakage"), cases(BREAKAGES))
def test_a_transport_that_breaks_the_promise_is_found_out(rule: Rule, breakage: Wrap) -> None:
    with pytest.raises(BrokenPromise):
        rule(virtual(breakage))


@pytest.fixture
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is broken is waited for in vain."""
    monkeypatch.setattr(transport_rig, "PATIENCE", 2.0)
    monkeypatch.setattr(process_rules, "PATIENCE", 2.0)


@pytest.mark.usefixtures("little_patience")
@pytest.mark.parametrize(("rule", "breakage"), cases(LIVE_BREAKAGES))
def test_a_live_transport_that_breaks_the_promise_is_found_out(rule: Rule, breakage: Wrap) -> None:
    with pytest.raises(BrokenPromise):
        rule(udp(breakage))


@pytest.mark.usefixtures("little_patience")
@pytest.mark.parametrize("name", PROCESS_BREAKAGES)
def test_a_promise_that_another_process_breaks_is_found_out(name: str) -> None:
    rig = udp()
    rig.wrap_elsewhere(PROCESS_BREAKAGES[name])
    with pytest.raises(BrokenPromise):
        named(name)(rig)


@pytest.mark.parametrize("broken_opener", BROKEN_OPENERS)
def test_an_opener_that_breaks_its_promise_is_found_out(broken_opener: Callable[[list[int]], Rig]) -> None:
    rule = named("what_cannot_be_opened_leaves_nothing_open")
    kept: list[int] = []
    try:
        with pytest.raises(BrokenPromise):
            rule(broken_opener(kept))
    finally:
        for descriptor in kept:
            os.close(descriptor)


def test_every_rule_is_shown_to_fail() -> None:
    shown = {*BREAKAGES, *LIVE_BREAKAGES, *PROCESS_BREAKAGES, "what_cannot_be_opened_leaves_nothing_open"}
    assert shown == {rule.name for rule in RULES}


def test_the_kit_needs_neither_pytest_nor_hypothesis() -> None:
    loaded = loaded_by("import rx_multicast_ipc.testing.conformance")
    assert "rx_multicast_ipc.testing.conformance" in loaded
    assert not {"pytest", "hypothesis"} & loaded


def test_every_rule_has_a_name_of_its_own_and_says_its_promise() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert all(rule.promise.endswith(".") for rule in RULES)


def test_a_broken_promise_says_what_was_promised_expected_and_seen() -> None:
    rule = named("payloads_arrive_whole")
    with pytest.raises(BrokenPromise) as caught:
        rule(virtual(broken.Truncates))
    assert "the payload: expected b" in str(caught.value)
    assert caught.value.__notes__ == [f"promise: {rule.promise}"]


def test_a_rule_that_cannot_be_checked_is_skipped_with_its_reason() -> None:
    rule = named("what_cannot_be_opened_leaves_nothing_open")
    with pytest.raises(SkipTest, match="cannot_open="):
        rule(virtual())


def test_a_rule_closes_what_it_opened_whether_it_holds_or_not() -> None:
    opened: list[Transport] = []

    def remember(transport: Transport) -> Transport:
        opened.append(transport)
        return broken.Truncates(transport)

    for rule in RULES[:6]:
        with suppress(BrokenPromise):
            rule(virtual(remember))
    assert opened
    assert all(transport.closed for transport in opened)


def test_what_is_expected_is_compared_and_shown_in_short() -> None:
    expect("the same", 1, 1)
    with pytest.raises(BrokenPromise, match=r"bytes: expected b'xxx.*\.\.\. \(10003 characters\), got b''"):
        expect("bytes", b"", b"x" * 10_000)


def test_an_error_of_another_kind_is_a_broken_promise_too() -> None:
    with pytest.raises(BrokenPromise, match="expected KeyError, got ValueError"):
        raises(KeyError, lambda: "".index("x"))
    with pytest.raises(BrokenPromise, match="expected KeyError or OSError, but nothing was raised"):
        raises((KeyError, OSError), lambda: None)
