"""What every transport promises: the one suite, run on each of them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rx_multicast_ipc import ChannelClosed, Message

from .conftest import Rig


def test_a_datagram_to_the_group_reaches_every_end_of_it_the_senders_among_them(rig: Rig) -> None:
    ends = [rig.start() for _ in range(3)]
    ends[0].transport.send(b"x")
    rig.until(lambda: all(end.messages for end in ends))
    for end in ends:
        (message,) = end.messages
        assert (message.data, message.sender, message.direct) == (b"x", ends[0].transport.sender_address, False)


def test_a_datagram_to_an_ends_own_address_reaches_it_alone(rig: Rig) -> None:
    asking, other, replying = rig.start(), rig.start(), rig.start()
    replying.transport.send(b"for you", asking.transport.sender_address)
    replying.transport.send(b"for all")
    rig.until(lambda: len(asking.messages) == 2 and other.messages)
    assert {message.data: message.direct for message in asking.messages} == {b"for you": True, b"for all": False}
    assert [message.data for message in other.messages] == [b"for all"]


def test_an_end_that_only_sends_is_heard(rig: Rig) -> None:
    sender, end = rig.open(listen=False), rig.start()
    sender.send(b"x")
    rig.until(lambda: end.messages)
    assert end.messages[0].sender == sender.sender_address


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    payloads=st.lists(st.one_of(st.just(b""), st.binary(max_size=100), st.just(bytes(65_507))), min_size=1, max_size=8)
)
def test_payloads_arrive_whole_and_in_order_the_empty_one_too(rig: Rig, payloads: list[bytes]) -> None:
    end = rig.start()
    for payload in payloads:
        end.transport.send(payload)
    rig.until(lambda: len(end.messages) == len(payloads))
    assert [message.data for message in end.messages] == payloads
    end.transport.close()


def test_delivery_is_never_concurrent_and_all_on_one_thread(rig: Rig) -> None:
    end = rig.start()
    for _ in range(100):
        end.transport.send(b"to all")
        end.transport.send(b"to me", end.transport.sender_address)
    rig.until(lambda: len(end.messages) == 200)
    end.transport.close()
    assert (end.overlaps, len(end.threads)) == (0, 1)


def test_sending_while_delivering_does_not_deliver_inside_the_delivery(rig: Rig) -> None:
    def echo(message: Message) -> None:
        if len(message.data) < 20:
            end.transport.send(message.data + b"x")

    end = rig.start(echo)
    end.transport.send(b"")
    rig.until(lambda: len(end.messages) == 21)
    assert end.overlaps == 0
    assert [len(message.data) for message in end.messages] == list(range(21))


def test_nothing_is_delivered_once_close_returned(rig: Rig) -> None:
    end, other = rig.start(), rig.start()
    for _ in range(50):
        other.transport.send(b"x")
    end.transport.close()
    delivered = len(end.messages)
    other.transport.send(b"x")
    rig.until(lambda: len(other.messages) == 51)
    assert len(end.messages) == delivered


def test_close_is_idempotent_and_tells_the_end_once(rig: Rig) -> None:
    end = rig.start()
    for _ in range(3):
        end.transport.close()
    assert end.ends == [None]
    assert end.transport.closed
    assert end.transport.ended


def test_closing_while_delivering_ends_at_once(rig: Rig) -> None:
    def close(_: Message) -> None:
        end.transport.close()
        ended_inside.append(end.transport.closed and bool(end.ends))

    ended_inside: list[bool] = []
    end = rig.start(close)
    end.transport.send(b"x")
    rig.until(lambda: ended_inside)
    assert ended_inside == [True]


def test_close_without_waiting_ends_soon(rig: Rig) -> None:
    end = rig.start()
    end.transport.close(wait=False)
    rig.until(lambda: end.transport.ended)
    assert end.ends == [None]


def test_sending_after_close_is_refused(rig: Rig) -> None:
    end = rig.start()
    end.transport.close()
    with pytest.raises(ChannelClosed):
        end.transport.send(b"x")


def test_a_closed_end_that_never_started_holds_nothing(rig: Rig) -> None:
    for listen in (True, False):
        transport = rig.open(listen=listen)
        transport.close()
        assert transport.ended


def test_actions_run_at_home_in_the_order_they_were_called_for_before_and_after_close(rig: Rig) -> None:
    ran: list[int] = []
    end = rig.start()
    for number in range(5):
        end.transport.call(lambda number=number: ran.append(number))
    rig.until(lambda: len(ran) == 5)
    end.transport.close()
    end.transport.call(lambda: ran.append(5))
    rig.until(lambda: len(ran) == 6)
    assert ran == list(range(6))


def test_an_action_called_at_home_runs_at_once(rig: Rig) -> None:
    order: list[str] = []

    def outer() -> None:
        end.transport.call(lambda: order.append("inner"))
        order.append("outer")

    end = rig.start()
    end.transport.call(outer)
    rig.until(lambda: len(order) == 2)
    assert order == ["inner", "outer"]


def test_timers_run_at_home_in_order(rig: Rig) -> None:
    ran: list[float] = []
    end = rig.start()
    for seconds in (0.03, 0.01, 0.02):
        end.transport.scheduler.schedule_relative(seconds, lambda _scheduler, _state, s=seconds: ran.append(s))
    rig.until(lambda: len(ran) == 3)
    assert ran == [0.01, 0.02, 0.03]


def test_an_action_called_for_before_a_send_runs_before_its_delivery(rig: Rig) -> None:
    for _ in range(200):
        order: list[str] = []
        end = rig.start(lambda _, order=order: order.append("message"))
        end.transport.call(lambda order=order: order.append("action"))
        end.transport.send(b"x")
        rig.until(lambda order=order: len(order) == 2)
        end.transport.close()
        assert order == ["action", "message"]


def test_what_was_sent_and_received_is_counted_and_stays_so_after_close(rig: Rig) -> None:
    end = rig.start()
    for payload in (b"", b"four", b"seven__"):
        end.transport.send(payload)
    rig.until(lambda: len(end.messages) == 3)
    end.transport.close()
    counted = end.transport.statistics
    assert (counted.sent, counted.sent_bytes, counted.refused) == (3, 11, 0)
    assert (counted.received, counted.received_bytes) == (3, 11)


def test_batches_are_never_empty(rig: Rig) -> None:
    end = rig.start()
    for _ in range(100):
        end.transport.send(b"x")
    rig.until(lambda: len(end.messages) == 100)
    assert all(end.batches)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    runs=st.lists(
        st.tuples(
            st.one_of(st.sampled_from([0, 1, 64, 1000, 8193, 40_000, 65_507]), st.integers(0, 2000)), st.integers(1, 9)
        ),
        max_size=7,
    )
)
def test_many_sent_at_once_arrive_whole_and_in_order_whatever_their_sizes(
    rig: Rig, runs: list[tuple[int, int]]
) -> None:
    payloads = [bytes([number % 256]) * size for number, (size, times) in enumerate(runs) for _ in range(times)]
    end = rig.start()
    end.transport.send_many(payloads)
    rig.until(lambda: len(end.messages) == len(payloads))
    end.transport.close()
    assert [message.data for message in end.messages] == payloads
    counted = end.transport.statistics
    assert (counted.sent, counted.sent_bytes) == (len(payloads), sum(map(len, payloads)))
    assert (counted.received, counted.received_bytes) == (counted.sent, counted.sent_bytes)


def test_many_sent_at_once_by_several_ends_keep_their_senders(rig: Rig) -> None:
    listener, *senders = [rig.start() for _ in range(4)]
    for turn in range(10):
        for number, sender in enumerate(senders):
            sender.transport.send_many([bytes([number, turn])] * (number + 1))
    rig.until(lambda: len(listener.messages) == 60)
    for number, sender in enumerate(senders):
        own = [message for message in listener.messages if message.sender == sender.transport.sender_address]
        assert [tuple(message.data) for message in own] == [
            (number, turn) for turn in range(10) for _ in range(number + 1)
        ]


def test_many_cannot_be_sent_after_close(rig: Rig) -> None:
    end = rig.start()
    end.transport.close()
    with pytest.raises(ChannelClosed):
        end.transport.send_many([b"x"])
