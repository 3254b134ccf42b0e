"""What is kept of each sender is bounded, whoever pretends to be how many."""

from __future__ import annotations

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from rx_multicast_ipc.strangers.bounded_map import BoundedMap


@given(st.lists(st.integers(0, 20)), st.integers(1, 8))
def test_the_keys_that_were_used_last_are_kept(keys: list[int], capacity: int) -> None:
    found: BoundedMap[int, list[int]] = BoundedMap(capacity)
    for at, key in enumerate(keys):
        found.use(key, lambda _: []).append(at)
    latest = list(OrderedDict.fromkeys(reversed(keys)))[:capacity]
    assert list(reversed(found)) == latest
    assert all(keys[at] == key for key, places in found.items() for at in places)
    assert (found.forgotten == 0) == (len(set(keys)) <= capacity)


def test_a_key_that_is_used_all_the_time_is_never_forgotten() -> None:
    found: BoundedMap[int, object] = BoundedMap(10)
    mine = found.use(-1, lambda _: object())
    for key in range(20_000):
        found.use(key, lambda _: object())
        assert found.use(-1, lambda _: object()) is mine
    assert len(found) == 10
    assert found.forgotten == 20_000 - 9


def test_a_new_key_costs_the_same_however_many_there_are() -> None:
    """No key is compared with, or even looked at for, another one."""
    looked_at: list[int] = []

    class Key(int):
        def __hash__(self) -> int:
            looked_at.append(int(self))
            return super().__hash__()

    found: BoundedMap[Key, None] = BoundedMap(1_000)
    for number in range(1_500):
        found.use(Key(number), lambda _: None)
    before = len(looked_at)
    found.use(Key(9_999), lambda _: None)
    assert len(looked_at) - before < 10
