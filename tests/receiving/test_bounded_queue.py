from __future__ import annotations

import pickle
from random import Random
from typing import Any

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc.receiving.bounded_queue import BoundedQueue, weigh


def message(size: int) -> ipc.Message:
    return ipc.Message(bytes(size))


def take_all(queue: BoundedQueue[Any]) -> list[Any]:
    return [queue.take() for _ in range(len(queue))]


@pytest.mark.parametrize(
    ("overflow", "kept", "lost"),
    [
        (ipc.Overflow.DROP_OLDEST, [2, 3, 4], [0, 1]),
        (ipc.Overflow.DROP_LATEST, [0, 1, 2], [3, 4]),
        (ipc.Overflow.ERROR, [0, 1, 2], [3, 4]),
    ],
)
def test_beyond_its_messages_it_loses_what_its_policy_says_and_counts_it(
    overflow: ipc.Overflow, kept: list[int], lost: list[int]
) -> None:
    queue: BoundedQueue[int] = BoundedQueue(3, overflow)
    assert [one for item in range(5) for one in queue.put(item)] == lost
    assert queue.discarded == 2
    assert take_all(queue) == kept


@pytest.mark.parametrize("overflow", list(ipc.Overflow))
def test_it_never_holds_more_bytes_than_it_may(overflow: ipc.Overflow) -> None:
    queue: BoundedQueue[ipc.Message] = BoundedQueue(1000, overflow, capacity_bytes=10_000)
    random = Random(1)
    put = lost = 0
    for _ in range(3000):
        put += 1
        lost += len(queue.put(message(random.randrange(5000))))
        if random.random() < 0.3:
            queue.take()
            put -= 1
        assert sum(len(one.data) for one in queue) <= 10_000
    assert lost == queue.discarded > 1000
    assert put == lost + len(queue)


def test_a_list_of_messages_counts_as_their_sum() -> None:
    queue: BoundedQueue[list[ipc.Message]] = BoundedQueue(10)
    for _ in range(3):
        queue.put([message(1)] * 4)
    assert len(queue) == 2
    assert queue.discarded == 4
    assert weigh([message(100), message(50)]) == (2, 150)


def test_other_items_count_one_message_and_the_bytes_that_they_take() -> None:
    assert weigh([1, 2, 3])[0] == weigh([])[0] == weigh("x")[0] == 1
    assert 10_000 <= weigh(bytes(10_000))[1] < 10_200
    assert 10_000 <= weigh(bytearray(10_000))[1] < 10_200


@pytest.mark.parametrize("overflow", list(ipc.Overflow))
@pytest.mark.parametrize("bounds", [{"capacity": 3}, {"capacity": 100, "capacity_bytes": 300}])
def test_an_item_that_is_larger_than_the_queue_is_held_alone(overflow: ipc.Overflow, bounds: Any) -> None:
    queue: BoundedQueue[list[ipc.Message]] = BoundedQueue(overflow=overflow, **bounds)
    whole = [message(100)] * 8
    assert not queue.put(whole)
    queue.put([message(100)])
    assert len(queue) == 1
    queue.take()
    assert not queue.put([message(1)])


def test_counting_alone_does_as_weighing_does() -> None:
    plain: BoundedQueue[ipc.Message] = BoundedQueue(7, weight=None)
    weighed: BoundedQueue[ipc.Message] = BoundedQueue(7)
    random = Random(2)
    for number in range(300):
        batch = [message(number)] * random.randrange(20)
        plain.extend(batch)
        weighed.extend(batch)
        assert list(plain.put(message(number))) == list(weighed.put(message(number)))
        assert [one.data for one in plain] == [one.data for one in weighed]
        assert plain.discarded == weighed.discarded
        if random.random() < 0.5 and len(plain):
            assert plain.take() == weighed.take()


def test_many_at_once_do_as_one_by_one_does() -> None:
    random = Random(7)
    for _ in range(200):
        bounds: Any = {"capacity": random.randint(1, 12), "capacity_bytes": random.randint(1, 60)}
        together: BoundedQueue[Any] = BoundedQueue(**bounds)
        alone: BoundedQueue[Any] = BoundedQueue(**bounds)
        told: list[list[int]] = [[], []]
        for queue, losses in zip((together, alone), told, strict=True):
            queue.counts.append(losses.append)
        for _ in range(20):
            batch = [message(random.randint(0, 9)) for _ in range(random.randint(0, 20))]
            together.extend(batch)
            for item in batch:
                alone.put(item)
            assert list(together) == list(alone)
            assert together.discarded == alone.discarded == sum(told[0]) == sum(told[1])
            if random.random() < 0.3:
                assert take_all(together) == take_all(alone)


def test_what_is_cleared_is_not_lost() -> None:
    queue: BoundedQueue[ipc.Message] = BoundedQueue(3, capacity_bytes=10)
    for _ in range(2):
        queue.put(message(5))
        queue.put(message(5))
        queue.clear()
    assert (len(queue), queue.discarded) == (0, 0)


def test_who_counts_is_told_of_each_loss() -> None:
    queue: BoundedQueue[list[ipc.Message]] = BoundedQueue(4)
    losses: list[int] = []
    queue.counts.append(losses.append)
    for size in (3, 1, 4, 2):
        queue.put([message(1)] * size)
    assert losses == [4, 4]


@pytest.mark.parametrize(
    ("bounds", "text"), [({"capacity": 2}, "2 items"), ({"capacity": 9, "capacity_bytes": 10}, "10 bytes")]
)
def test_the_error_of_a_full_queue_says_which_bound_it_met(bounds: Any, text: str) -> None:
    queue: BoundedQueue[ipc.Message] = BoundedQueue(overflow=ipc.Overflow.ERROR, **bounds)
    while not queue.put(message(5)):
        pass
    error = queue.overflow_error()
    assert text in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_what_is_put_and_taken_together_is_as_one_by_one() -> None:
    """Random puts and takes, of messages and of other things, within and beyond the bounds."""
    random = Random(2)
    for overflow in ipc.Overflow:
        single: BoundedQueue[Any] = BoundedQueue(50, overflow, capacity_bytes=20_000)
        several: BoundedQueue[Any] = BoundedQueue(50, overflow, capacity_bytes=20_000)
        for _ in range(500):
            kinds = [ipc.Message] if random.random() < 0.7 else [ipc.Message, bytes]  # messages are weighed together
            items = [random.choice(kinds)(bytes(random.randrange(900))) for _ in range(random.randrange(40))]
            lost: list[Any] = []
            for item in items:
                lost += single.put(item)
                if lost and overflow is ipc.Overflow.ERROR:  # which ends a stream
                    break
            assert list(several.put_all(items)) == lost
            if random.random() < 0.2:
                assert list(several.put(message(5))) == list(single.put(message(5)))
            if len(single) and random.random() < 0.3:
                assert several.take() == single.take()
            most = random.randrange(60)
            assert several.take_some(most) == [single.take() for _ in range(min(most, len(single)))]
            assert (list(several), several.discarded) == (list(single), single.discarded)


@pytest.mark.parametrize("overflow", list(ipc.Overflow))
def test_what_is_lost_of_many_is_counted_once_and_without_the_lock(overflow: ipc.Overflow) -> None:
    queue: BoundedQueue[ipc.Message] = BoundedQueue(3, overflow)
    internals: Any = queue
    counted: list[tuple[int, bool]] = []
    queue.counts.append(lambda gone: counted.append((gone, internals._lock._is_owned())))
    lost = queue.put_all([message(1) for _ in range(5)])
    assert counted == [(len(lost), False)]
    assert len(queue) == 3
