from __future__ import annotations

import logging
import threading

import pytest
from reactivex import operators as ops

import rx_multicast_ipc as ipc

from ..helpers import Seen, raw_sender, wait_until


def test_a_loop_of_waits_sees_a_flood_whole_and_in_order(port: int) -> None:
    with ipc.open_channel(port, backlog=4096) as channel, raw_sender() as sender:
        for number in range(2000):
            sender.sendto(b"%d" % number, ("224.0.2.1", port))
        waits = channel.wait_for_message(timeout=5).pipe(ops.repeat(2000), ops.to_list())
        assert [int(message.data) for message in ipc.run(waits)] == list(range(2000))


def test_the_first_wait_starts_where_the_channel_opened(channel: ipc.Channel) -> None:
    ipc.run(channel.broadcast("early"))
    wait_until(lambda: channel.statistics.received == 1)
    assert ipc.run(channel.wait_for_message(timeout=5)).text == "early"


def test_each_wait_starts_where_the_one_before_ended(channel: ipc.Channel) -> None:
    ipc.run(channel.broadcast_all(["skip", "a", "b", "c"]))
    assert ipc.run(channel.wait_for_message(lambda m: m.text == "a", timeout=5)).text == "a"
    assert ipc.run(channel.wait_for_message(timeout=5)).text == "b"
    assert ipc.run(channel.wait_for_message(timeout=5)).text == "c"


def test_what_a_predicate_passed_over_is_gone(channel: ipc.Channel) -> None:
    ipc.run(channel.broadcast_all(["a", "b"]))
    ipc.run(channel.wait_for_message(lambda m: m.text == "b", timeout=5))
    with pytest.raises(ipc.MessageTimeout):
        ipc.run(channel.wait_for_message(lambda m: m.text == "a", timeout=0.05))


def test_any_true_value_of_a_predicate_takes_the_message(channel: ipc.Channel) -> None:
    ipc.run(channel.broadcast("truthy"))
    assert ipc.run(channel.wait_for_message(lambda m: m.text, timeout=5)).text == "truthy"


def test_waits_that_overlap_see_the_same_message(channel: ipc.Channel) -> None:
    first, second = Seen(channel.wait_for_message()), Seen(channel.wait_for_message())
    ipc.run(channel.broadcast("both"))
    assert first.wait_for_end().values == second.wait_for_end().values


def test_a_predicate_that_raises_ends_its_own_wait_only(channel: ipc.Channel) -> None:
    other = Seen(channel.wait_for_message())
    bad = Seen(channel.wait_for_message(lambda m: 1 / 0))
    ipc.run(channel.broadcast("x"))
    assert isinstance(bad.wait_for_end().error, ZeroDivisionError)
    assert other.wait_for_end().completed


def test_a_wait_that_times_out_says_how_long_it_waited(channel: ipc.Channel) -> None:
    with pytest.raises(ipc.MessageTimeout, match=r"within 0\.05 s") as raised:
        ipc.run(channel.wait_for_message(timeout=0.05))
    assert raised.value.seconds == 0.05
    assert isinstance(raised.value, TimeoutError)


def test_a_timeout_of_zero_takes_what_is_there_already(channel: ipc.Channel) -> None:
    ipc.run(channel.broadcast("there"))
    wait_until(lambda: channel.statistics.received == 1)
    assert ipc.run(channel.wait_for_message(timeout=0)).text == "there"
    with pytest.raises(ipc.MessageTimeout):
        ipc.run(channel.wait_for_message(timeout=0))


def test_a_wait_that_ended_leaves_nothing_behind(channel: ipc.Channel) -> None:
    for _ in range(50):
        with pytest.raises(ipc.MessageTimeout):
            ipc.run(channel.wait_for_message(timeout=0))
    ipc.run(channel.broadcast("x"))
    assert ipc.run(channel.wait_for_message(timeout=5)).text == "x"


def test_a_message_is_not_lost_to_a_wait_that_was_disposed_of(channel: ipc.Channel) -> None:
    Seen(channel.wait_for_message()).subscription.dispose()
    ipc.run(channel.broadcast("kept"))
    assert ipc.run(channel.wait_for_message(timeout=5)).text == "kept"


def test_closing_the_channel_ends_a_pending_wait(channel: ipc.Channel) -> None:
    pending = Seen(channel.wait_for_message())
    channel.close()
    assert isinstance(pending.wait_for_end().error, ipc.ChannelClosed)


def test_messages_lost_between_two_waits_are_reported(
    channel: ipc.Channel, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    with ipc.open_channel(port, backlog=10) as small:
        ipc.run(channel.broadcast_all(str(number) for number in range(15)))
        wait_until(lambda: small.statistics.received == 15)
        with caplog.at_level(logging.WARNING, "rx_multicast_ipc"):
            assert ipc.run(small.wait_for_message(timeout=5)).text == "5"
    assert "5 messages were lost" in caplog.text


def test_a_request_hears_an_answer_however_fast_it_comes(channel: ipc.Channel, port: int) -> None:
    with ipc.open_channel(port) as service:
        answers = service.messages.pipe(
            ops.filter(lambda m: m.data == b"ping"), ops.flat_map(lambda m: service.reply(m, "pong"))
        )
        Seen(answers)
        for _ in range(200):
            assert ipc.run(channel.request("ping", lambda m: m.data == b"pong", timeout=5)).direct


def test_a_request_never_takes_the_channels_own_message_for_an_answer(channel: ipc.Channel) -> None:
    with pytest.raises(ipc.MessageTimeout, match="answer"):
        ipc.run(channel.request("anybody?", lambda m: True, timeout=0.1))


def test_a_request_leaves_what_is_no_answer_to_the_waits(channel: ipc.Channel, port: int) -> None:
    with ipc.open_channel(port) as other:
        asked = Seen(channel.request("?", lambda m: m.text == "answer"))
        ipc.run(other.broadcast_all(["news", "answer", "more news"]))
        assert asked.wait_for_end().values[0].text == "answer"
        heard = channel.wait_for_message(lambda m: m.text != "?", timeout=5).pipe(ops.repeat(2), ops.to_list())
        assert [message.text for message in ipc.run(heard)] == ["news", "more news"]


def test_retry_asks_again(channel: ipc.Channel, port: int) -> None:
    with ipc.open_channel(port) as deaf_at_first:
        answers = deaf_at_first.messages.pipe(
            ops.filter(lambda m: m.text == "?"), ops.skip(2), ops.flat_map(lambda m: deaf_at_first.reply(m, "!"))
        )
        Seen(answers)
        asked = channel.request("?", lambda m: m.text == "!", timeout=0.2).pipe(ops.retry(3))
        assert ipc.run(asked).text == "!"


def test_waits_end_on_the_delivering_thread(channel: ipc.Channel) -> None:
    ipc.run(channel.broadcast("x"))
    wait_until(lambda: channel.statistics.received == 1)
    threads: list[str] = []
    ipc.run(channel.wait_for_message().pipe(ops.do_action(lambda _: threads.append(threading.current_thread().name))))
    assert threads == [f"rx_multicast_ipc {channel.group}"]


@pytest.mark.parametrize("timeout", [-1, "5", True, float("nan")])
def test_a_timeout_that_is_no_number_of_seconds_is_refused_at_once(channel: ipc.Channel, timeout: float) -> None:
    with pytest.raises(ipc.InvalidOption, match="seconds"):
        channel.wait_for_message(timeout=timeout)
