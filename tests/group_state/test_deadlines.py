"""Deadlines come in order, one an item, whatever was replaced or dropped before."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from rx_multicast_ipc.group_state.presence.deadlines import Deadlines

_KEYS = st.integers(0, 5)
_STEPS = st.lists(st.tuples(st.sampled_from(["set", "drop", "take"]), _KEYS, st.integers(0, 20)), max_size=60)


@given(_STEPS)
def test_the_first_deadline_that_has_come_is_taken_and_no_other(steps: list[tuple[str, int, int]]) -> None:
    deadlines: Deadlines[int] = Deadlines()
    model: dict[int, int] = {}
    for what, key, when in steps:
        if what == "set":
            deadlines.set(key, when)
            model[key] = when
        elif what == "drop":
            deadlines.drop(key)
            model.pop(key, None)
        else:
            due = {key: at for key, at in model.items() if at <= when}
            taken = deadlines.take(when)
            assert (taken is None) == (not due)
            if taken is not None:
                assert model.pop(taken) == min(due.values())
        assert deadlines.next() == min(model.values(), default=math.inf)


def test_deadlines_that_are_put_off_again_and_again_take_no_memory() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("first", 0.0)
    for when in range(10_000):
        deadlines.set("other", 1.0 + when)
    assert len(deadlines) < 200
