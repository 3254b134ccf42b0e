"""Who hears a group on a virtual network."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rx_multicast_ipc.transport.virtual.group_listeners import GroupListeners

HOSTS = st.sampled_from(["a", "b", "c"])
SOURCES = st.sampled_from([(), ("a",), ("a", "b")])


@given(
    comings=st.lists(st.tuples(HOSTS, SOURCES), max_size=8),
    steps=st.lists(st.tuples(HOSTS, st.booleans(), st.integers(0, 7)), max_size=12),
)
def test_who_listens_is_known_whoever_comes_and_goes(
    comings: list[tuple[str, tuple[str, ...]]], steps: list[tuple[str, bool, int]]
) -> None:
    listeners, there = GroupListeners(), dict[int, tuple[str, tuple[str, ...]]]()
    for number, (host, sources) in enumerate(comings):
        listeners.join(number, host, sources)
        there[number] = host, sources
    for source, stays, leaving in steps:
        hosts, ends = listeners.recipients(source, source if stays else None)
        assert [(end, hosts[place]) for end, place in ends] == [
            (end, host)
            for end, (host, sources) in there.items()
            if (not stays or host == source) and (not sources or source in sources)
        ]
        assert hosts == list(dict.fromkeys(hosts))
        listeners.leave(leaving)  # who may not be there
        there.pop(leaving, None)
