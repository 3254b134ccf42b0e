from __future__ import annotations

from itertools import pairwise
from typing import Any, Unpack

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops
from reactivex.testing import TestScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc.testing import FaultCounts, FaultOptions, FaultyNetwork, FaultyTransport, VirtualNetwork
from rx_multicast_ipc.testing.faulty_link import CheckedFaults
from rx_multicast_ipc.transport import Changed, Deliver, Ended, TransportWrapper

from ..helpers import PATIENCE, Seen, nothing_left_behind, wait_until


class Feed(TransportWrapper):
    """A transport to which a test brings what arrives."""

    arrive: Deliver

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        self.arrive = deliver
        self.inner.start(deliver, ended, changed)


class Bench:
    """A faulty transport in virtual time, what it is fed and what it delivers."""

    def __init__(self, **faults: Unpack[FaultOptions]) -> None:
        self.scheduler = TestScheduler()
        self.feed = Feed(VirtualNetwork(self.scheduler).open_channel().transport)
        self.transport = FaultyTransport(self.feed, **faults)
        self.batches: list[list[ipc.Message]] = []
        self.times: list[float] = []
        self.closes = False
        self.raises: Exception | None = None
        self.transport.start(self._deliver, lambda fault: None)

    def _deliver(self, batch: list[ipc.Message]) -> None:
        self.batches.append(batch)
        self.times += [self.now] * len(batch)
        if self.closes:
            self.transport.close()
        if self.raises is not None:
            raise self.raises

    @property
    def now(self) -> float:
        return self.scheduler.to_seconds(self.scheduler.now)

    @property
    def messages(self) -> list[ipc.Message]:
        return [message for batch in self.batches for message in batch]

    @property
    def payloads(self) -> list[bytes]:
        return [message.data for message in self.messages]

    def bring(self, *batches: list[bytes], direct: bool = False) -> Bench:
        """Bring these batches, and let time pass until all is delivered."""
        for batch in batches:
            self.feed.arrive([ipc.Message(data, "10.0.0.9", 9, direct=direct) for data in batch])
        self.scheduler.start()
        return self


NUMBERS = [b"%d" % number for number in range(200)]
ALL_SORTS: FaultOptions = {"loss": 0.3, "duplication": 0.2, "reordering": 0.2, "corruption": 0.1, "seed": 7}
EXPECTED = Bench(**ALL_SORTS).bring(NUMBERS).payloads


@given(cuts=st.lists(st.integers(0, 200)))
def test_the_same_seed_and_traffic_meet_the_same_faults_however_it_is_read(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), 200]
    batches = [NUMBERS[start:end] for start, end in pairwise(edges) if start < end]
    assert Bench(**ALL_SORTS).bring(*batches).payloads == EXPECTED


@given(others=st.lists(st.integers(0, 200)))
def test_the_faults_of_datagrams_to_the_group_do_not_depend_on_direct_ones(others: list[int]) -> None:
    bench = Bench(**ALL_SORTS)
    for number, payload in enumerate(NUMBERS):
        for _ in range(others.count(number)):
            bench.feed.arrive([ipc.Message(b"direct", direct=True)])
        bench.feed.arrive([ipc.Message(payload)])
    bench.scheduler.start()
    assert [message.data for message in bench.messages if not message.direct] == EXPECTED


def test_another_seed_chooses_other_faults() -> None:
    outcomes = {tuple(Bench(loss=0.5, seed=seed).bring(NUMBERS).payloads) for seed in (0, 1, "one", "two")}
    assert len(outcomes) == 4


def test_more_of_one_fault_leaves_the_others_as_they_were() -> None:
    some, more = (set(Bench(loss=loss, seed=1).bring(NUMBERS).payloads) for loss in (0.2, 0.6))
    assert more < some
    with_copies = Bench(loss=0.2, duplication=0.5, seed=1).bring(NUMBERS).payloads
    assert set(with_copies) == some


def test_without_a_fault_everything_is_passed_on_in_the_same_batches() -> None:
    bench = Bench().bring(NUMBERS[:3], NUMBERS[3:4], [b""])
    assert [[message.data for message in batch] for batch in bench.batches] == [NUMBERS[:3], NUMBERS[3:4], [b""]]
    assert bench.times == [0.0] * 5
    assert bench.transport.faults == FaultCounts()


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 1.0])
def test_the_asked_for_fraction_is_lost_and_counted(fraction: float) -> None:
    bench = Bench(loss=fraction).bring(NUMBERS * 10)
    lost = 2000 - len(bench.payloads)
    assert bench.transport.faults == FaultCounts(lost=lost)
    assert abs(lost / 2000 - fraction) < 0.05
    assert bench.transport.statistics.received == len(bench.payloads)
    assert bench.transport.statistics.received_bytes == sum(map(len, bench.payloads))


def test_a_duplicated_datagram_arrives_twice_in_a_row() -> None:
    bench = Bench(duplication=1.0).bring([b"a", b"b"])
    assert bench.payloads == [b"a", b"a", b"b", b"b"]
    assert bench.transport.faults == FaultCounts(duplicated=2)


def test_a_reordered_datagram_is_overtaken_by_the_next() -> None:
    bench = Bench(reordering=1.0).bring([b"a", b"b"], [b"c"], [b"d"])
    assert bench.payloads == [b"b", b"a", b"d", b"c"]
    assert bench.transport.faults == FaultCounts(reordered=2)
    assert bench.times == [0.0] * 4


def test_a_datagram_that_nothing_overtakes_waits_a_tenth_of_a_second() -> None:
    bench = Bench(reordering=1.0).bring([b"alone"])
    assert (bench.payloads, bench.times) == ([b"alone"], [0.1])
    assert bench.transport.faults == FaultCounts()
    assert bench.bring([b"next", b"last"]).payloads == [b"alone", b"last", b"next"]


@given(payload=st.binary(min_size=1, max_size=50), seed=st.integers())
def test_a_corrupted_datagram_has_one_bit_flipped(payload: bytes, seed: int) -> None:
    bench = Bench(corruption=1.0, seed=seed).bring([payload, b""])
    corrupted, empty = bench.payloads
    assert empty == b""
    assert len(corrupted) == len(payload)
    assert (int.from_bytes(corrupted) ^ int.from_bytes(payload)).bit_count() == 1
    assert bench.transport.faults == FaultCounts(corrupted=1)


def test_latency_makes_everything_later_by_the_same_time() -> None:
    bench = Bench(latency=0.2)
    bench.feed.arrive([ipc.Message(b"a"), ipc.Message(b"b")])
    assert bench.batches == []
    bench.scheduler.start()
    assert [[message.data for message in batch] for batch in bench.batches] == [[b"a", b"b"]]
    assert bench.times == [0.2, 0.2]
    assert [message.received_at for message in bench.messages] == [0.2, 0.2]
    assert bench.transport.faults == FaultCounts(delayed=2)


def test_jitter_adds_up_to_so_much() -> None:
    bench = Bench(latency=0.2, jitter=0.1)
    for payload in NUMBERS:
        bench.feed.arrive([ipc.Message(payload, received_at=bench.now)])
        bench.scheduler.advance_by(1.0)
    late = [time % 1.0 for time in bench.times]
    assert 0.2 <= min(late) < 0.21
    assert 0.29 < max(late) <= 0.3
    assert bench.times == pytest.approx([message.received_at for message in bench.messages], abs=1e-5)


def test_jitter_keeps_the_order() -> None:
    bench = Bench(latency=0.2, jitter=0.1, duplication=0.3).bring(NUMBERS)
    assert list(dict.fromkeys(bench.payloads)) == NUMBERS
    assert bench.transport.faults.delayed == len(bench.payloads) > 200
    assert max(bench.times) <= 0.3


def test_what_is_on_its_way_when_the_transport_closes_is_not_delivered() -> None:
    bench = Bench(latency=1.0, reordering=0.5)
    bench.feed.arrive([ipc.Message(payload) for payload in NUMBERS])
    bench.transport.close()
    bench.scheduler.start()
    assert bench.messages == []
    assert bench.transport.statistics.received == 0


def test_closing_during_a_late_delivery_ends_it() -> None:
    bench = Bench(latency=0.1, jitter=0.1)
    bench.closes = True
    bench.bring(NUMBERS)
    assert len(bench.batches) == 1


def test_what_a_late_delivery_raises_is_reported_and_the_next_one_comes(unhandled: list[BaseException]) -> None:
    bench = Bench(latency=0.1)
    bench.raises = error = ValueError("on purpose")
    bench.bring([b"a"], [b"b"])
    assert bench.payloads == [b"a", b"b"]
    assert unhandled == [error, error]
    unhandled.clear()


def test_a_subscriber_that_closes_leaves_no_timer_behind(port: int) -> None:
    with nothing_left_behind():
        network = FaultyNetwork(reordering=0.5, latency=0.001)
        with network.open_channel(port) as channel:
            seen = Seen(channel.messages.pipe(ops.do_action(lambda _: channel.close(wait=False))))
            ipc.run(channel.broadcast_all([b"x"] * 50))
            assert seen.wait_for_end().completed


def test_a_live_channel_loses_what_the_seed_says(port: int) -> None:
    def lost_numbers() -> list[int]:
        network = FaultyNetwork(loss=0.3, seed=1)
        with network.open_channel(port, backlog=1) as bad, ipc.open_channel(port) as good:
            heard, all_heard = Seen(bad.messages), Seen(good.messages)
            ipc.run(good.broadcast_all([str(number) for number in range(200)]))
            all_heard.wait_for_count(200)
            wait_until(lambda: len(heard.values) + network.faults.lost == 200)
            assert bad.statistics.received == len(heard.values)
            return sorted(set(range(200)) - {int(message.text) for message in heard.values})

    lost = lost_numbers()
    assert 30 < len(lost) < 90
    assert lost == lost_numbers()


def test_channels_of_one_network_have_faults_of_their_own(port: int) -> None:
    network = FaultyNetwork(loss=0.5, seed=3)
    with network.open_channel(port) as one, network.open_channel(port) as two, ipc.open_channel(port) as good:
        heard = [Seen(one.messages), Seen(two.messages)]
        ipc.run(good.broadcast_all([str(number) for number in range(100)]))
        wait_until(lambda: sum(len(seen.values) for seen in heard) + network.faults.lost == 200)
        first, second = [[message.text for message in seen.values] for seen in heard]
        assert first != second


def test_a_request_with_retries_gets_through_a_bad_live_link(port: int) -> None:
    network = FaultyNetwork(loss=0.6, latency=0.002, jitter=0.002, seed=2)
    with network.open_channel(port) as asker, ipc.open_channel(port) as bot:
        bot.messages.pipe(ops.flat_map(lambda m: bot.reply(m, "pong"))).subscribe()
        answers = rx.range(0, 5).pipe(
            ops.map(lambda _: asker.request("ping", lambda m: m.direct, timeout=0.05).pipe(ops.retry(100))),
            ops.concat_map(lambda request: request),
            ops.map(lambda m: m.text),
            ops.to_list(),
        )
        assert ipc.run(answers, timeout=PATIENCE) == ["pong"] * 5
    assert network.faults.lost > 0
    assert network.faults.delayed > 0


def test_a_closed_live_channel_with_late_datagrams_leaves_nothing_behind(port: int) -> None:
    with nothing_left_behind():
        network = FaultyNetwork(latency=3600.0)
        with network.open_channel(port) as channel:
            ipc.run(channel.broadcast("late"))
            wait_until(lambda: network.faults.delayed)


def test_a_process_is_put_behind_a_bad_link_without_a_change(port: int) -> None:
    network = FaultyNetwork(loss=1.0)
    with network.this_process():
        seen = Seen(ipc.messages(port))
        with ipc.open_channel(port) as deaf:
            ipc.run(ipc.broadcast("x", port))
            wait_until(lambda: network.faults.lost == 2)
            assert deaf.statistics.received == 0
        seen.subscription.dispose()
    assert seen.values == []
    with ipc.open_channel(port) as channel:
        ipc.run(channel.broadcast("y"))
        assert ipc.run(channel.wait_for_message(timeout=PATIENCE)).text == "y"


def test_faults_may_be_put_around_a_virtual_network_too() -> None:
    scheduler = TestScheduler()
    network = VirtualNetwork(scheduler)
    with network.this_process("10.0.0.1"):
        bad = FaultyNetwork(loss=1.0)
        channel = bad.open_channel()
        seen = Seen(channel.messages)
        ipc.run(channel.broadcast("x"))
        scheduler.start()
    assert (seen.values, bad.faults) == ([], FaultCounts(lost=1))


@pytest.mark.parametrize("name", ["loss", "duplication", "reordering", "corruption"])
@pytest.mark.parametrize("value", [-0.1, 1.1, 30, float("nan"), "0.3", None, True])
def test_what_is_no_fraction_is_refused_at_once(name: str, value: Any) -> None:
    options: Any = {name: value}
    for refuses in (FaultyNetwork, Bench):
        with pytest.raises(ipc.InvalidOption, match=f"{name} is a fraction from 0 to 1"):
            refuses(**options)


@pytest.mark.parametrize("name", ["latency", "jitter"])
@pytest.mark.parametrize("value", [-0.1, float("inf"), float("nan"), "1", None])
def test_what_is_no_time_is_refused_at_once(name: str, value: Any) -> None:
    options: Any = {name: value}
    with pytest.raises(ipc.InvalidOption, match=f"{name} is a number of seconds"):
        FaultyNetwork(**options)


@pytest.mark.parametrize("value", [0.5, None, b"x"])
def test_what_is_no_seed_is_refused_at_once(value: Any) -> None:
    with pytest.raises(ipc.InvalidOption, match="seed is a whole number or a text"):
        FaultyNetwork(seed=value)


def test_an_unknown_fault_is_refused_at_once() -> None:
    options: Any = {"delay": 1.0}
    with pytest.raises(TypeError, match="delay"):
        FaultyNetwork(**options)


def test_the_documented_options_are_those_there_are() -> None:
    assert FaultOptions.__annotations__.keys() == set(CheckedFaults.__struct_fields__)
