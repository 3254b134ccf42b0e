"""``ping`` measures what is there, and counts what is not."""

from __future__ import annotations

import statistics

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reactivex import operators as ops

from rx_multicast_ipc.cli.ping_figures import Figures, RoundTrips
from rx_multicast_ipc.cli.ping_protocol import Ping, answer_pings, decode_pong, encode_ping, is_ping

from ..helpers import PATIENCE, Seen, interrupt, ipc
from .helpers import Listen, command, end, records, start, wait_until_listening

PEER, OTHER = ("10.0.0.2", 1), ("10.0.0.3", 1)

ANSWERED_IN = "--timeout", PATIENCE / 10
"""For pings whose answers are counted on: a second can be too little on a busy machine."""


def pong(ping: bytes) -> bytes:
    """The answer, as any language would make it."""
    assert ping.startswith(b'{"rx-multicast-ipc":"ping",')
    return ping.replace(b"ping", b"pong", 1)


def test_every_responder_answers_and_is_told_apart(listen: Listen, port: int) -> None:
    listen("--respond")
    responder = start("ping", "--respond", "--verbose", "--port", port)
    wait_until_listening(responder)
    code, out, err = command("ping", "--port", port, "--count", 5, "--interval", 0.05, *ANSWERED_IN)
    interrupt(responder)
    assert end(responder) == (130, b"", "")
    assert (code, err) == (0, "")
    *answers, one, other, total = records(out)
    assert total == {"event": "end", "sent": 5, "peers": 2}
    assert one["port"] != other["port"]
    for peer in (one, other):
        assert (peer["sent"], peer["received"], peer["lost"], peer["duplicates"]) == (5, 5, 0, 0)
        times = [answer["ms"] for answer in answers if answer["port"] == peer["port"]]
        assert peer["ms"]["minimum"] == min(times)
        assert peer["ms"]["median"] == pytest.approx(statistics.median(times))
        assert peer["ms"]["p99"] == peer["ms"]["maximum"] == max(times)


def test_nobody_answering_is_code_1(port: int) -> None:
    code, out, _ = command("ping", "--port", port, "--count", 1, "--timeout", 0.1)
    assert (code, records(out)) == (1, [{"event": "end", "sent": 1, "peers": 0}])


def test_loss_and_duplicates_are_counted_a_peer_and_loss_is_code_1(port: int, channel: ipc.Channel) -> None:
    def answer(message: ipc.Message) -> None:
        ping = decode_pong(pong(message.data))
        assert ping is not None
        for _ in range((1, 0, 3, 1)[ping.sequence - 1]):
            channel.reply(message, pong(message.data)).subscribe()

    channel.messages.pipe(ops.filter(lambda m: is_ping(m.data))).subscribe(answer)
    code, out, _ = command("ping", "--port", port, "--count", 4, "--interval", 0.05, "--quiet", *ANSWERED_IN)
    assert code == 1
    peer, _ = records(out)
    assert (peer["sent"], peer["received"], peer["lost"], peer["duplicates"]) == (4, 3, 1, 2)


def test_answers_that_make_no_sense_are_ignored(port: int, channel: ipc.Channel) -> None:
    answer_pings(channel)

    def confuse(message: ipc.Message) -> None:
        for data in (b"", b'{"rx-multicast-ipc":"pong",', pong(encode_ping(Ping("other", 1, 0.0))), b"pong"):
            channel.reply(message, data).subscribe()
        asked = decode_pong(pong(message.data))
        assert asked is not None
        channel.reply(message, pong(encode_ping(Ping(asked.id, 99, 0.0)))).subscribe()

    channel.messages.pipe(ops.filter(lambda m: is_ping(m.data))).subscribe(confuse)
    code, out, err = command("ping", "--port", port, "--count", 2, "--interval", 0.05, *ANSWERED_IN)
    assert (code, err) == (0, "")
    assert [record["event"] for record in records(out)] == ["answer", "answer", "peer", "end"]


def test_ctrl_c_ends_with_the_figures_and_130(port: int, channel: ipc.Channel) -> None:
    answer_pings(channel)
    process = start("ping", "--port", port, "--human", "--interval", 0.05)
    assert process.stdout is not None
    process.stdout.readline()  # of an answer
    interrupt(process)
    code, out, err = end(process)
    assert (code, err) == (130, "")
    assert b"1 peer answered" in out
    assert b"duplicates" in out


def test_pings_have_the_size_that_was_asked_for(port: int, channel: ipc.Channel) -> None:
    seen = Seen(channel.messages)
    command("ping", "--port", port, "--count", 1, "--timeout", 0, "--size", 1472)
    assert [len(message.data) for message in seen.wait_for_count(1)] == [1472]


def test_a_responder_answers_the_asker_alone_and_nothing_but_pings(channel: ipc.Channel, port: int) -> None:
    answer_pings(channel)
    with ipc.open_channel(port) as asking, ipc.open_channel(port) as other:
        heard_by_other = Seen(other.messages)
        ipc.run(asking.broadcast("pinging"))
        ping = encode_ping(Ping("0123abcd", 7, 1.5))
        answer = ipc.run(asking.request(ping, lambda m: m.direct, timeout=PATIENCE))
        assert (answer.data, answer.sender) == (pong(ping), channel.sender_address)
        ipc.run(asking.broadcast("end"))
        assert [m.data for m in heard_by_other.wait_for_count(3)] == [b"pinging", ping, b"end"]


def test_the_wire_format_is_the_one_that_is_documented() -> None:
    data = encode_ping(Ping("9f86d081", 1, 1767225600.123456))
    expected = {"rx-multicast-ipc": "ping", "id": "9f86d081", "sequence": 1, "time": 1767225600.123456, "pad": ""}
    assert msgspec.json.decode(data) == expected
    assert data.startswith(b'{"rx-multicast-ipc":"ping","id":"9f86d081","sequence":1,"time":1767225600.123456')


@given(st.text(max_size=64), st.integers(1, 2**40), st.floats(0, 1e11), st.integers(0, 65_507))
def test_every_ping_comes_back_as_it_was(identity: str, sequence: int, time: float, size: int) -> None:
    data = encode_ping(Ping(identity, sequence, time), size)
    assert is_ping(data)
    assert decode_pong(data) is None
    assert len(data) >= size
    back = decode_pong(pong(data))
    assert back is not None
    assert (back.id, back.sequence, back.time) == (identity, sequence, time)


@given(st.binary() | st.binary().map(lambda tail: b'{"rx-multicast-ipc":"pong",' + tail))
def test_no_datagram_breaks_the_reading_of_answers(data: bytes) -> None:
    decode_pong(data)


@given(st.lists(st.floats(1e-6, 10), min_size=1, max_size=300))
def test_round_trips_are_in_order_and_the_median_is_the_median(seconds: list[float]) -> None:
    found = RoundTrips.of(seconds)
    assert found.minimum <= found.median <= found.maximum
    assert found.median <= found.p99 <= found.maximum
    assert found.median == pytest.approx(statistics.median(seconds) * 1e3)
    assert 0 <= found.jitter <= found.maximum - found.minimum + 1e-9


def test_jitter_is_the_mean_difference_of_successive_round_trips() -> None:
    assert RoundTrips.of([0.001, 0.003, 0.002]).jitter == pytest.approx(1.5)
    assert RoundTrips.of([0.5]).jitter == 0


def test_a_ping_under_way_is_not_lost_yet() -> None:
    figures = Figures()
    figures.ping(0.0)
    figures.ping(1.0)
    figures.answer(PEER, 1, 0.5)
    (peer,) = figures.peers(1.5, patience=1.0)
    assert (peer.sent, peer.received, peer.lost) == (1, 1, 0)
    (peer,) = figures.peers(2.5, patience=1.0)
    assert (peer.sent, peer.received, peer.lost) == (2, 1, 1)


def test_a_peer_that_came_late_says_from_which_ping_on() -> None:
    figures = Figures()
    for number in range(1, 4):
        figures.ping(float(number))
        figures.answer(PEER, number, number + 0.1)
    figures.answer(OTHER, 3, 3.1)
    assert [(peer.address, peer.first, peer.lost) for peer in figures.peers(9.0, 1.0)] == [
        ("10.0.0.2", 1, 0),
        ("10.0.0.3", 3, 2),
    ]
