"""The text protocol: what is written of many messages is what would be written of each."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rx_multicast_ipc.transport.engine.nats import subjects, wire


@given(
    st.integers(1, 5_000_000) | st.integers(1, 2200),
    st.lists(st.binary(max_size=3), min_size=1, max_size=2200) | st.integers(1, 2200).map(lambda size: [b"xy"] * size),
)
def test_many_messages_are_written_as_each_alone_would_be(number: int, payloads: list[bytes]) -> None:
    written = wire.publish(b"rx.here", subjects.NUMBER, number, payloads)
    for each, payload in enumerate(payloads, number):
        line, _, written = written.partition(b"\r\n")
        command, subject, reply, size = line.split(b" ")
        assert (command, subject, int(size)) == (b"PUB", b"rx.here", len(payload))
        assert subjects.number_in(reply) == each
        assert written[: len(payload) + 2] == payload + b"\r\n"
        written = written[len(payload) + 2 :]
    assert written == b""
