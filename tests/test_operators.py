from __future__ import annotations

import dataclasses
import gc
import threading
from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from typing import Annotated, Any, Literal

import msgspec
import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops
from reactivex.internal import SequenceContainsNoElementsError
from reactivex.scheduler import ImmediateScheduler
from reactivex.subject import Subject
from reactivex.testing import TestScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc.operators import Format, backpressure_buffer
from rx_multicast_ipc.receiving.bounded_queue import BoundedQueue
from rx_multicast_ipc.receiving.overflow import OverflowName
from rx_multicast_ipc.testing import Marbles, VirtualClock
from rx_multicast_ipc.transport.delivered_batch import HERE, DeliveredBatch

from .helpers import Seen, divide_by_zero, nothing_left_behind, wait_until
from .interrupts import interrupted_at, traces_opcodes
from .wall_clock import WallClock


class Reading(msgspec.Struct):
    sensor: str
    celsius: float


@dataclasses.dataclass
class Point:
    x: int
    y: int


def stream(*payloads: bytes) -> rx.Observable[ipc.Message]:
    return rx.from_iterable(ipc.Message(payload) for payload in payloads)


class TestWaitForMessage:
    def test_emits_the_first_match_and_completes(self) -> None:
        waiting = stream(b"a", b"b", b"b").pipe(ipc.operators.wait_for_message(lambda m: m.data == b"b"))
        assert Seen(waiting).values == [ipc.Message(b"b")]

    def test_without_a_predicate_takes_the_first(self) -> None:
        assert ipc.run(stream(b"a", b"b").pipe(ipc.operators.wait_for_message())).data == b"a"

    def test_times_out_in_the_time_of_its_scheduler(self) -> None:
        marbles = Marbles(TestScheduler())
        expected, too_late = marbles.events("-(a|)"), marbles.events("---#", error=ipc.MessageTimeout(3))
        recording = marbles.record(marbles.cold("-ab-c").pipe(ipc.operators.wait_for_message(bool, timeout=3)))
        late = marbles.record(rx.never().pipe(ipc.operators.wait_for_message(timeout=3.0)))
        marbles.scheduler.start()
        assert recording.events == expected
        assert late.events == too_late

    def test_a_raising_predicate_ends_it(self) -> None:
        with pytest.raises(ZeroDivisionError):
            ipc.run(stream(b"a").pipe(ipc.operators.wait_for_message(lambda m: 1 // 0)))

    def test_a_stream_without_a_match_says_so(self) -> None:
        with pytest.raises(SequenceContainsNoElementsError, match="without a match"):
            ipc.run(stream(b"a").pipe(ipc.operators.wait_for_message(lambda m: False)))


class TestDecode:
    @pytest.mark.parametrize("format", ["json", "msgpack"])
    @given(sensor=st.text(), celsius=st.floats(allow_nan=False, allow_infinity=False))
    def test_gives_back_what_encode_took(self, format: Format, sensor: str, celsius: float) -> None:
        reading = Reading(sensor, celsius)
        encoded = ipc.run(rx.just(reading).pipe(ipc.operators.encode(format=format)))
        decoded = stream(encoded).pipe(ipc.operators.decode(Reading, format=format))
        assert ipc.run(decoded) == reading

    def test_knows_dataclasses_and_generic_types(self) -> None:
        assert ipc.run(stream(b'{"x":1,"y":2}').pipe(ipc.operators.decode(Point))) == Point(1, 2)
        assert ipc.run(stream(b"[1,2]").pipe(ipc.operators.decode(list[int]))) == [1, 2]
        assert ipc.run(stream(b"3").pipe(ipc.operators.decode(int))) == 3

    def test_takes_any_callable(self) -> None:
        assert ipc.run(stream(b"abc").pipe(ipc.operators.decode(lambda data: data.decode().upper()))) == "ABC"

    def test_knows_unions_and_other_forms(self) -> None:
        decode = ipc.operators.decode
        for type_, payload, value in [
            (int | str, b'"a"', "a"),
            (Point | None, b"null", None),
            (Literal["on", "off"], b'"on"', "on"),
            (Annotated[int, msgspec.Meta(ge=0)], b"3", 3),
            (dict[str, list[int]], b'{"a":[1]}', {"a": [1]}),
            (Any, b'{"a":1}', {"a": 1}),
        ]:
            form: Any = type_
            assert ipc.run(stream(payload).pipe(decode(form))) == value
            refused = Seen[Any](stream(b"[[]]").pipe(decode(form, on_error="raise")))
            assert form is Any or isinstance(refused.error, ipc.DecodeFailed)

    def test_gives_the_message_beside_the_value_if_asked_for(self) -> None:
        messages = rx.of(ipc.Message(b"1", "10.0.0.1", 5), ipc.Message(b"x"), ipc.Message(b"2", "10.0.0.2", 6))
        seen = Seen(messages.pipe(ipc.operators.decode(int, with_message=True)))
        assert [(value, message.sender) for value, message in seen.values] == [
            (1, ("10.0.0.1", 5)),
            (2, ("10.0.0.2", 6)),
        ]
        own = Seen(messages.pipe(ipc.operators.decode(lambda data: data * 2, with_message=True)))
        assert [received.value for received in own.values] == [b"11", b"xx", b"22"]

    def test_takes_a_format_of_the_users_both_ways(self) -> None:
        class Hexadecimal:
            def encode(self, value: int) -> bytes:
                return f"{value:x}".encode()

            def decode(self, data: bytes) -> int:
                return int(data, 16)

        (encoded,) = Seen(rx.just(255).pipe(ipc.operators.encode(format=Hexadecimal()))).values
        assert encoded == b"ff"
        assert Seen(stream(encoded, b"xyz").pipe(ipc.operators.decode(int, format=Hexadecimal()))).values == [255]

    @pytest.mark.parametrize("mistake", ["Point", b"Point", ...])
    def test_what_is_no_type_is_refused_at_once(self, mistake: Any) -> None:
        with pytest.raises(ipc.InvalidOption, match="a type that msgspec knows"):
            ipc.operators.decode(mistake)

    def test_a_bad_datagram_is_logged_and_the_stream_goes_on(self, caplog: pytest.LogCaptureFixture) -> None:
        good = stream(b'{"x":1,"y":2}', b"nonsense", b'{"x":"1"}', b'{"x":3,"y":4}').pipe(ipc.operators.decode(Point))
        assert Seen(good).values == [Point(1, 2), Point(3, 4)]
        assert caplog.text.count("cannot decode") == 2

    def test_skips_silently_if_told_so(self, caplog: pytest.LogCaptureFixture) -> None:
        assert Seen(stream(b"x", b"1").pipe(ipc.operators.decode(int, on_error="skip"))).values == [1]
        assert caplog.text == ""

    def test_ends_the_stream_if_told_so_and_says_which_datagram(self) -> None:
        seen = Seen(stream(b"1", b"x", b"2").pipe(ipc.operators.decode(int, on_error="raise")))
        assert seen.values == [1]
        assert isinstance(seen.error, ipc.DecodeFailed)
        assert seen.error.message.data == b"x"
        assert isinstance(seen.error.__cause__, msgspec.DecodeError)

    def test_hands_bad_datagrams_to_a_callable(self) -> None:
        bad: list[ipc.DecodeFailed] = []
        assert Seen(stream(b"x", b"1").pipe(ipc.operators.decode(int, on_error=bad.append))).values == [1]
        assert [failure.message.data for failure in bad] == [b"x"]

    def test_mistakes_are_told_at_once(self) -> None:
        with pytest.raises(ipc.InvalidOption, match="json"):
            ipc.operators.decode(int, format="xml")  # pyright: ignore[reportArgumentType]
        with pytest.raises(ipc.InvalidOption, match="callable"):
            ipc.operators.decode(int, on_error="ignore")  # pyright: ignore[reportCallIssue, reportArgumentType]

    def test_what_cannot_be_encoded_ends_the_stream(self) -> None:
        with pytest.raises(TypeError):
            ipc.run(rx.just(object()).pipe(ipc.operators.encode()))

    def test_encode_takes_any_callable(self) -> None:
        assert ipc.run(rx.just("abc").pipe(ipc.operators.encode(str.encode))) == b"abc"


class TestOnBackpressureBuffer:
    """The source gives 0 to 9 at once; the subscriber runs in virtual time, later."""

    def run(self, overflow: ipc.Overflow | OverflowName, **options: Any) -> Seen[int]:
        scheduler = TestScheduler()
        buffer = ipc.operators.on_backpressure_buffer(4, overflow, scheduler=scheduler, **options)
        seen = Seen(rx.range(10).pipe(buffer))
        assert seen.values == []
        scheduler.start()
        return seen

    def test_drop_oldest_keeps_the_newest(self) -> None:
        seen = self.run(ipc.Overflow.DROP_OLDEST)
        assert (seen.values, seen.completed) == ([6, 7, 8, 9], True)

    @pytest.mark.parametrize("overflow", [*ipc.Overflow])
    def test_what_goes_can_be_named_as_text(self, overflow: ipc.Overflow) -> None:
        named, told = self.run(overflow.value), self.run(overflow)
        assert (named.values, type(named.error)) == (told.values, type(told.error))

    def test_drop_latest_keeps_the_oldest(self) -> None:
        seen = self.run(ipc.Overflow.DROP_LATEST)
        assert (seen.values, seen.completed) == ([0, 1, 2, 3], True)

    def test_error_ends_the_stream_after_what_is_queued(self) -> None:
        seen = self.run(ipc.Overflow.ERROR)
        assert seen.values == [0, 1, 2, 3]
        assert isinstance(seen.error, ipc.BufferOverflow)
        assert seen.error.capacity == 4

    def test_tells_what_it_drops(self) -> None:
        dropped: list[int] = []
        self.run(ipc.Overflow.DROP_OLDEST, on_overflow=dropped.append)
        assert dropped == [0, 1, 2, 3, 4, 5]

    def test_an_error_of_the_source_comes_after_what_is_queued(self) -> None:
        scheduler = TestScheduler()
        source = rx.of(1, 2).pipe(ops.concat(rx.throw(KeyError("x"))))
        seen = Seen(source.pipe(ipc.operators.on_backpressure_buffer(4, scheduler=scheduler)))
        scheduler.start()
        assert seen.values == [1, 2]
        assert isinstance(seen.error, KeyError)

    def test_a_slow_subscriber_does_not_hold_up_the_channel(self, channel: ipc.Channel) -> None:
        busy, release = threading.Event(), threading.Event()

        def work(_: ipc.Message) -> None:
            busy.set()
            release.wait(60)

        buffer = ipc.operators.on_backpressure_buffer(10)
        slow = Seen(channel.messages.pipe(buffer, ops.do_action(work), ops.take(11)))
        quick = Seen(channel.messages)
        ipc.run(channel.broadcast("0"))
        assert busy.wait(10)
        ipc.run(channel.broadcast_all(map(str, range(1, 500))))
        quick.wait_for_count(500)
        release.set()
        texts = [message.text for message in slow.wait_for_end().values]
        assert texts == ["0", *(str(number) for number in range(490, 500))]

    def test_who_leaves_in_the_middle_of_a_burst_gets_no_more_of_it(self, channel: ipc.Channel) -> None:
        buffered = channel.messages.pipe(ipc.operators.on_backpressure_buffer(100_000))
        seen, everything = Seen(buffered.pipe(ops.take(3))), Seen(buffered)
        ipc.run(channel.broadcast_all([b"%d" % number for number in range(100)]))
        assert [message.data for message in everything.wait_for_count(100)] == [b"%d" % number for number in range(100)]
        assert [message.data for message in seen.wait_for_end().values] == [b"0", b"1", b"2"]

    def test_what_a_burst_loses_is_told_one_by_one_and_counted(self, channel: ipc.Channel) -> None:
        release, dropped = threading.Event(), list[ipc.Message]()

        def work(_: ipc.Message) -> None:
            release.wait(60)

        buffer: Any = ipc.operators.on_backpressure_buffer(10, "drop_latest", on_overflow=dropped.append)
        seen: Seen[Any] = Seen(channel.messages.pipe(buffer, ops.do_action(work)))
        ipc.run(channel.broadcast_all([b"%d" % number for number in range(100)]))
        ipc.run(channel.broadcast("end"))
        ipc.run(channel.wait_for_message(lambda m: m.data == b"end", timeout=60))
        release.set()
        channel.close()
        heard = seen.wait_for_end().values
        assert len(heard) + len(dropped) == 101
        assert channel.statistics.discarded == len(dropped) >= 90

    def test_behind_another_operator_it_queues_together_what_comes_in_a_batch_while_the_subscriber_is_busy(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        queued = list[list[int]]()

        class Watched(BoundedQueue[int]):
            def put(self, item: int) -> Sequence[int]:
                queued.append([item])
                return super().put(item)

            def put_all(self, items: Sequence[int]) -> Sequence[int]:
                queued.append(list(items))
                return super().put_all(items)

        monkeypatch.setattr(backpressure_buffer, "BoundedQueue", Watched)
        scheduler, values, heard = TestScheduler(), Subject[int](), list[int]()
        buffer = ipc.operators.on_backpressure_buffer(100, scheduler=scheduler)
        values.pipe(ops.map(lambda value: value * 10), buffer).subscribe(heard.append)
        deliver_together(lambda: [values.on_next(value) for value in (1, 2, 3, 4)])
        values.on_next(5)  # in no batch
        assert queued[:2] == [[10], [20, 30, 40]]
        scheduler.start()
        assert heard == [10, 20, 30, 40, 50]

    def test_nothing_waits_for_the_end_of_a_batch_when_the_subscriber_could_have_it(self) -> None:
        scheduler, values, heard = TestScheduler(), Subject[int](), list[int]()
        buffer = ipc.operators.on_backpressure_buffer(1000, scheduler=scheduler)
        values.pipe(ops.map(lambda value: value), buffer).subscribe(heard.append)

        def deliver() -> None:
            for value in range(5):
                values.on_next(value)
            scheduler.start()
            assert heard == [0, 1, 2, 3, 4]
            values.on_next(5)  # nobody is at work who would look for it
            scheduler.start()
            assert heard == [0, 1, 2, 3, 4, 5]

        deliver_together(deliver)
        scheduler.start()
        assert heard == [0, 1, 2, 3, 4, 5]

    def test_a_slow_neighbour_does_not_hold_up_what_is_buffered(self) -> None:
        values, heard = Subject[int](), list[int]()
        both = threading.Event()

        def hear(value: int) -> None:
            heard.append(value)
            if value == 2:
                both.set()

        values.pipe(ops.map(lambda value: value), ipc.operators.on_backpressure_buffer(1000)).subscribe(hear)
        in_time: list[bool] = []
        values.pipe(ops.filter(lambda value: value == 2)).subscribe(lambda _: in_time.append(both.wait(30)))
        deliver_together(lambda: [values.on_next(value) for value in (1, 2, 3)])
        assert in_time == [True]

    def test_a_buffer_for_the_latest_alone_gathers_nothing(self) -> None:
        scheduler, values, heard, lost = TestScheduler(), Subject[int](), list[int](), list[int]()
        buffer: Any = ipc.operators.on_backpressure_buffer(1, scheduler=scheduler, on_overflow=lost.append)
        values.pipe(ops.map(lambda value: value), buffer).subscribe(heard.append)

        def deliver() -> None:
            for value in range(5):
                values.on_next(value)
            assert lost == [0, 1, 2, 3]

        deliver_together(deliver)
        scheduler.start()
        assert heard == [4]

    def test_what_waits_for_the_end_of_a_batch_keeps_its_place_before_what_other_threads_bring_and_before_the_end(
        self,
    ) -> None:
        scheduler, values, heard = TestScheduler(), Subject[int](), list[object]()
        buffer = ipc.operators.on_backpressure_buffer(1000, scheduler=scheduler)
        values.pipe(ops.map(lambda value: value), buffer).subscribe(heard.append, None, lambda: heard.append("end"))

        def deliver() -> None:
            for value in (1, 2, 3):
                values.on_next(value)
            other = threading.Thread(target=lambda: values.on_next(4))
            other.start()
            other.join()
            values.on_completed()

        deliver_together(deliver)
        scheduler.start()
        assert heard == [1, 2, 3, 4, "end"]

    def test_of_what_waits_for_the_end_of_a_batch_who_left_gets_nothing(self) -> None:
        scheduler, values, heard = TestScheduler(), Subject[int](), list[int]()
        buffered = values.pipe(ipc.operators.on_backpressure_buffer(1000, scheduler=scheduler))
        subscription = buffered.subscribe(heard.append)

        def deliver() -> None:
            values.on_next(1)
            values.on_next(2)
            subscription.dispose()

        deliver_together(deliver)
        scheduler.start()
        assert heard == []

    def test_an_on_overflow_that_raises_at_the_end_of_a_batch_ends_its_own_subscription_and_no_more(
        self, unhandled: list[BaseException]
    ) -> None:
        scheduler, values, heard = TestScheduler(), Subject[int](), list[object]()

        def fail(value: int) -> None:
            raise ValueError(value)

        buffer: Any = ipc.operators.on_backpressure_buffer(4, scheduler=scheduler, on_overflow=fail)
        buffered: rx.Observable[int] = values.pipe(ops.map(lambda value: value), buffer)
        buffered.subscribe(heard.append, lambda error: heard.append(str(error)))
        deliver_together(lambda: [values.on_next(value) for value in (1, 2, 3)])
        deliver_together(lambda: [values.on_next(value) for value in (4, 5, 6)])
        values.on_next(7)
        scheduler.start()
        assert heard == [3, 4, 5, 6, "1"]
        assert [str(error) for error in unhandled] == ["1"]
        unhandled.clear()

    def test_in_a_run_the_subscriber_has_the_calling_thread(self, channel: ipc.Channel) -> None:
        threads: set[int] = set()
        numbers = channel.messages.pipe(
            ipc.operators.on_backpressure_buffer(100),
            ops.do_action(lambda _: threads.add(threading.get_ident())),
            ops.take(20),
            ops.count(),
        )
        sending = channel.broadcast_all(map(str, range(20)), rate=5000).pipe(ops.ignore_elements())
        assert ipc.run(rx.merge(numbers, sending), timeout=60) == 20
        assert threads == {threading.get_ident()}

    def test_disposing_ends_its_thread(self, channel: ipc.Channel) -> None:
        before = threading.active_count()
        subscription = channel.messages.pipe(ipc.operators.on_backpressure_buffer(10)).subscribe()
        ipc.run(channel.broadcast("x"))
        subscription.dispose()
        wait_until(lambda: threading.active_count() <= before)

    @pytest.mark.parametrize("end", ["completes", "errs", "overflows", "is left", "raises"])
    def test_no_thread_stays_however_a_stream_ends(self, end: str) -> None:
        source: Subject[int] = Subject()
        buffer = ipc.operators.on_backpressure_buffer(1 if end == "overflows" else 9, ipc.Overflow.ERROR)
        hold = threading.Event()

        def work(_: int) -> None:
            if end == "overflows":
                hold.wait(10)
            elif end == "raises":
                raise ZeroDivisionError

        with nothing_left_behind():
            for _ in range(5):
                stream = source.pipe(buffer, ops.do_action(work), ops.take(1 if end == "is left" else 100))
                stream.subscribe(on_error=lambda _: None)
            for number in range(5):
                source.on_next(number)
            hold.set()
            if end == "completes":
                source.on_completed()
            elif end == "errs":
                source.on_error(KeyError())
            wait_until(lambda: not source.observers)

    def test_no_thread_stays_for_a_source_that_is_garbage(self) -> None:
        def begin() -> None:
            source: Subject[int] = Subject()
            source.pipe(ipc.operators.on_backpressure_buffer(9)).subscribe()
            source.on_next(1)

        before = threading.active_count()
        begin()
        wait_until(lambda: gc.collect() >= 0 and threading.active_count() <= before)

    def test_a_step_of_the_wall_clock_holds_nothing_up(self, wall_clock: WallClock) -> None:
        source: Subject[int] = Subject()
        seen = Seen(source.pipe(ipc.operators.on_backpressure_buffer(1000)))
        for number in range(1000):
            wall_clock.step(-3.6)
            source.on_next(number)
        source.on_completed()
        assert seen.wait_for_end().values == list(range(1000))

    def test_a_source_on_many_threads_loses_nothing(self) -> None:
        source: Subject[int] = Subject()
        seen = Seen(source.pipe(ipc.operators.on_backpressure_buffer(100_000)))

        def push() -> None:
            for number in range(2000):
                source.on_next(number)

        threads = [threading.Thread(target=push) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        source.on_completed()
        assert sorted(seen.wait_for_end().values) == sorted([*range(2000)] * 4)

    @traces_opcodes
    def test_what_comes_anywhere_in_a_drain_is_delivered(self) -> None:
        for place in count(1):
            scheduler = TestScheduler()
            source: Subject[int] = Subject()
            seen = Seen(source.pipe(ipc.operators.on_backpressure_buffer(9, scheduler=scheduler)))
            source.on_next(1)
            reached = interrupted_at(place, scheduler.start, lambda source=source: source.on_next(2))
            scheduler.start()
            assert seen.values == [1, 2][: 1 + reached]
            if not reached:
                break

    @traces_opcodes
    def test_what_is_gathered_anywhere_in_a_drain_is_delivered(self) -> None:
        def reaches(place: int) -> bool:
            scheduler, values, heard = TestScheduler(), Subject[int](), list[int]()
            buffer = ipc.operators.on_backpressure_buffer(1000, scheduler=scheduler)
            values.pipe(ops.map(lambda value: value), buffer).subscribe(heard.append)
            reached: list[bool] = []

            def deliver() -> None:
                values.on_next(1)
                reached.append(interrupted_at(place, scheduler.start, lambda: values.on_next(2)))
                scheduler.start()
                assert heard == [1, 2][: 1 + reached[0]]

            deliver_together(deliver)
            return reached[0]

        assert next(place for place in count(1) if not reaches(place)) > 10

    def test_what_waits_is_bounded_in_bytes(self) -> None:
        scheduler = TestScheduler()
        lost: list[ipc.Message] = []
        buffer = ipc.operators.on_backpressure_buffer(
            100, scheduler=scheduler, capacity_bytes=1000, on_overflow=lost.append
        )
        seen = Seen(stream(*[bytes(300)] * 8).pipe(buffer))
        scheduler.start()
        assert (len(seen.values), len(lost)) == (3, 5)

    @pytest.mark.parametrize("kind", ["messages", "batches"])
    def test_what_is_lost_is_in_the_statistics_of_its_channel(self, channel: ipc.Channel, kind: str) -> None:
        scheduler = TestScheduler()
        buffer: Any = ipc.operators.on_backpressure_buffer(4, scheduler=scheduler)
        source: rx.Observable[Any] = getattr(channel, kind)
        source.pipe(ops.map(lambda item: item), buffer).subscribe()
        for _ in range(10):
            ipc.run(channel.broadcast("x"))
            wait_until(lambda: channel.statistics.received == channel.statistics.sent)
        wait_until(lambda: channel.statistics.discarded == 6)

    def test_a_subscriber_that_raises_is_reported(self, unhandled: list[BaseException]) -> None:
        scheduler = TestScheduler()
        rx.range(3).pipe(ipc.operators.on_backpressure_buffer(4, scheduler=scheduler)).subscribe(divide_by_zero)
        scheduler.start()
        assert [type(error) for error in unhandled] == [ZeroDivisionError]
        unhandled.clear()

    @pytest.mark.parametrize("capacity", [0, -1, 1.5, True])
    def test_a_capacity_that_is_none_is_refused(self, capacity: int) -> None:
        with pytest.raises(ipc.InvalidOption, match="1 or more"):
            ipc.operators.on_backpressure_buffer(capacity)


def deliver_together(deliver: Callable[[], object]) -> None:
    """Call what delivers a batch of several messages."""
    HERE.batch = batch = DeliveredBatch()
    try:
        deliver()
    finally:
        HERE.batch = None
        batch.end()


def always_draw(number: float, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = Random()
    monkeypatch.setattr(drawn, "random", lambda: number)
    monkeypatch.setattr("rx_multicast_ipc.operators.retry_backoff._random_of", lambda clock: drawn)  # pyright: ignore


class TestRetryWithBackoff:
    @pytest.fixture
    def marbles(self) -> Marbles:
        return Marbles(frame=0.1)

    @pytest.fixture(autouse=True)
    def without_chance(self, monkeypatch: pytest.MonkeyPatch) -> None:
        always_draw(0.0, monkeypatch)

    def test_tries_again_after_pauses_that_double_up_to_the_longest(self, marbles: Marbles) -> None:
        source = marbles.cold("#", error=ipc.SendFailed("down"))
        tried = source.pipe(ipc.operators.retry_with_backoff(5, first=0.1, longest=0.4))
        marbles.expect(tried).to_be("-----------#", error=ipc.SendFailed("down"))
        marbles.expect(source.subscriptions).to_be("(^!)", "-(^!)", "---(^!)", "-------(^!)", "-----------(^!)")
        marbles.close()

    def test_passes_on_what_the_attempt_that_works_gives(self, marbles: Marbles) -> None:
        attempts = iter([marbles.cold("a-#", error=ipc.SendFailed("down")), marbles.cold("-b|")])
        source = rx.defer(lambda _: next(attempts))
        marbles.expect(source.pipe(ipc.operators.retry_with_backoff(first=0.1))).to_be("a---b|")
        marbles.close()

    def test_other_errors_end_it_at_once(self, marbles: Marbles) -> None:
        source = marbles.cold("-#", error=ipc.ChannelClosed())
        marbles.expect(source.pipe(ipc.operators.retry_with_backoff())).to_be("-#", error=ipc.ChannelClosed)
        marbles.close()

    def test_goes_on_for_as_many_attempts_as_it_was_given(self) -> None:
        scheduler, errors = TestScheduler(), list[Exception]()
        tried = rx.throw(ipc.SendFailed("down")).pipe(ipc.operators.retry_with_backoff(3000, longest=1.0))
        tried.subscribe(on_error=errors.append, scheduler=scheduler)
        scheduler.start()
        assert [type(error) for error in errors] == [ipc.SendFailed]
        assert scheduler.clock > 1400

    def test_an_attempt_that_begins_before_the_one_that_failed_has_returned_stays_subscribed(self) -> None:
        values: Subject[str] = Subject()
        attempts = iter([rx.throw(ipc.SendFailed("down")), values])
        tried = rx.defer(lambda _: next(attempts)).pipe(ipc.operators.retry_with_backoff(first=0))
        seen: list[str] = []
        tried.subscribe(seen.append, scheduler=ImmediateScheduler())
        values.on_next("here")
        assert seen == ["here"]

    def test_disposing_in_a_pause_ends_the_attempts(self, marbles: Marbles) -> None:
        source = marbles.cold("#", error=ipc.SendFailed("down"))
        tried = source.pipe(ipc.operators.retry_with_backoff(first=1.0))
        marbles.expect(tried, subscription="^----!").to_be("-----")
        marbles.expect(source.subscriptions).to_be("(^!)")
        marbles.close()

    def test_pauses_are_drawn_so_that_many_do_not_try_again_together(
        self, marbles: Marbles, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        always_draw(1.0, monkeypatch)
        source = marbles.cold("#", error=ipc.SendFailed("down"))
        marbles.expect(source.pipe(ipc.operators.retry_with_backoff(2, first=1.0))).to_be(
            "-----#", error=ipc.SendFailed
        )
        marbles.close()

    def test_on_a_virtual_clock_each_run_draws_the_same_pauses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.undo()

        def ends() -> list[float]:
            clock, found = VirtualClock(), list[float]()
            for _ in range(3):
                tried = rx.throw(ipc.SendFailed("down")).pipe(ipc.operators.retry_with_backoff(4))
                tried.subscribe(on_error=lambda _: found.append(clock.clock), scheduler=clock)
            clock.start()
            return found

        first = ends()
        assert first == ends()
        assert len(set(first)) == 3

    @pytest.mark.parametrize(
        "options",
        [{"attempts": 0}, {"first": -1}, {"first": float("inf")}, {"longest": 0.01}, {"first": "1"}, {"errors": "all"}],
    )
    def test_options_that_cannot_be_are_refused(self, options: Any) -> None:
        with pytest.raises(ipc.InvalidOption, match=next(iter(options))):
            ipc.operators.retry_with_backoff(**options)
