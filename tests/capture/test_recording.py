"""Recording passes messages through, and the file says who sent what to whom."""

from __future__ import annotations

import logging
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import reactivex as rx
from reactivex import operators as ops
from reactivex.subject import Subject
from reactivex.testing import TestScheduler

import rx_multicast_ipc as ipc
from rx_multicast_ipc import capture
from rx_multicast_ipc.testing import VirtualNetwork
from rx_multicast_ipc.testing.held_channel import held
from rx_multicast_ipc.transport.udp.transport import UdpTransport

from ..helpers import (
    PATIENCE,
    Seen,
    divide_by_zero,
    is_observed,
    needs_linux,
    needs_namespaces,
    nothing_left_behind,
    wait_until,
)
from .packets import GROUP, PORT
from .tcpdump import TCPDUMP_SEES, capture_with_tcpdump, needs_tcpdump


def recorded(path: Path) -> list[capture.Datagram]:
    with capture.Reader(path) as reader:
        return list(reader)


def test_messages_pass_through_and_are_in_the_file_before_they_do(tmp_path: Path, channel: ipc.Channel) -> None:
    path = tmp_path / "recorded.pcap"
    seen = Seen(channel.messages.pipe(capture.write(path, channel), ops.map(lambda m: (m, recorded(path)[-1]))))
    sent = [b"one", b"", b"three" * 1000]
    ipc.run(channel.broadcast_all(sent))
    to_group = (channel.group.address, channel.group.port)
    for (message, written), data in zip(seen.wait_for_count(3), sent, strict=True):
        assert (message.data, message.sender) == (data, channel.sender_address)
        assert written == (message, to_group)


def test_direct_messages_are_written_as_sent_to_the_channel_alone(tmp_path: Path, port: int) -> None:
    path = tmp_path / "recorded.pcap"
    with ipc.open_channel(port) as channel, ipc.open_channel(port) as other:
        seen = Seen(channel.messages.pipe(capture.write(path, channel)))
        ipc.run(channel.broadcast("question"))
        ipc.run(other.wait_for_message(timeout=PATIENCE).pipe(ops.flat_map(lambda m: other.reply(m, "answer"))))
        seen.wait_for_count(2)
        assert {(m.text, m.direct, m.sender, to) for m, to in recorded(path)} == {
            ("question", False, channel.sender_address, ("224.0.2.1", port)),
            ("answer", True, other.sender_address, channel.sender_address),
        }


def test_batches_are_recorded_too(tmp_path: Path, channel: ipc.Channel) -> None:
    path = tmp_path / "recorded.pcap"
    seen = Seen(
        channel.batches.pipe(capture.write(path, channel), ops.scan(lambda count, batch: count + len(batch), 0))
    )
    ipc.run(channel.broadcast_all([str(number) for number in range(1000)]))
    seen.wait_for(lambda seen: seen.values and seen.values[-1] == 1000)
    assert [int(message.data) for message, _ in recorded(path)] == list(range(1000))


def test_merged_streams_are_recorded_with_the_destination_of_each(tmp_path: Path, port: int) -> None:
    path = tmp_path / "recorded.pcap"
    scheduler = TestScheduler()
    network = VirtualNetwork(scheduler)
    one, two = network.open_channel(port), network.open_channel(port + 1, "224.0.2.9")
    rx.merge(one.messages, two.messages).pipe(capture.write(path)).subscribe()
    one.broadcast("to one").subscribe()
    two.broadcast("to two").subscribe()
    two.send("to it alone", one.sender_address).subscribe()
    scheduler.start()
    one.close()
    two.close()
    assert {(message.text, to) for message, to in recorded(path)} == {
        ("to one", ("224.0.2.1", port)),
        ("to two", ("224.0.2.9", port + 1)),
        ("to it alone", one.sender_address),
    }


def test_without_a_channel_the_group_is_named_and_where_direct_ones_went_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "recorded.pcap"
    messages = [ipc.Message(b"a"), ipc.Message(b"b", direct=True)]
    rx.from_iterable(messages).pipe(capture.write(path)).subscribe()
    assert [to for _, to in recorded(path)] == [("224.0.2.1", 61088), ("0.0.0.0", 0)]
    assert [message.data for message, _ in recorded(path)] == [b"a", b"b"]

    messages = [ipc.Message(b"a", "fe80::1", 5, "IPv6"), ipc.Message(b"b", "fe80::1", 5, "IPv6", direct=True)]
    rx.from_iterable([messages]).pipe(capture.write(path, port=5, group="FF02:0::7")).subscribe()
    assert [to for _, to in recorded(path)] == [("ff02::7", 5), ("::", 0)]


def test_a_virtual_conversation_is_recorded_in_virtual_time(tmp_path: Path) -> None:
    path = tmp_path / "recorded.pcap"
    scheduler = TestScheduler()
    network = VirtualNetwork(scheduler, latency=0.25)
    ann, bob = network.open_channel(host="10.0.0.1"), network.open_channel(host="10.0.0.2")
    bob.messages.pipe(capture.write(path, bob)).subscribe()
    ann.broadcast("hello").subscribe()
    scheduler.advance_to(1.0)
    bob.close()
    ((message, to),) = recorded(path)
    assert (message.text, message.sender, message.received_at, to) == (
        *("hello", ann.sender_address, 0.25),
        ("224.0.2.1", 61088),
    )


@pytest.mark.parametrize("end", ["complete", "error", "dispose"])
def test_the_file_is_closed_at_the_end_and_whole(tmp_path: Path, end: str) -> None:
    path = tmp_path / "recorded.pcap"
    with nothing_left_behind():
        source: Subject[ipc.Message] = Subject()
        seen = Seen(source.pipe(capture.write(path)))
        source.on_next(ipc.Message(b"x"))
        if end == "complete":
            source.on_completed()
            assert seen.completed
        elif end == "error":
            source.on_error(ValueError("x"))
            assert isinstance(seen.error, ValueError)
        else:
            seen.subscription.dispose()
    assert len(recorded(path)) == 1


def test_a_file_that_cannot_be_written_errs_and_leaves_the_channel_alone(tmp_path: Path, channel: ipc.Channel) -> None:
    seen = Seen(channel.messages.pipe(capture.write(tmp_path / "missing" / "x.pcap", channel)))
    assert isinstance(seen.error, ipc.CaptureFailed)
    assert not is_observed(channel.messages)


def test_a_message_that_no_packet_can_carry_ends_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "recorded.pcap"
    source: Subject[ipc.Message] = Subject()
    seen = Seen(source.pipe(capture.write(path)))
    source.on_next(ipc.Message(b"x"))
    source.on_next(ipc.Message(b"x", "::1", 5, "IPv6"))
    source.on_next(ipc.Message(b"x"))
    assert (len(seen.values), type(seen.error), len(recorded(path))) == (1, ipc.InvalidAddress, 1)


def test_a_raising_subscriber_ends_its_recording_and_no_other(
    tmp_path: Path, channel: ipc.Channel, unhandled: list[BaseException]
) -> None:
    other = Seen(channel.messages.pipe(capture.write(tmp_path / "other.pcap", channel)))
    channel.messages.pipe(capture.write(tmp_path / "raising.pcap", channel)).subscribe(divide_by_zero)
    ipc.run(channel.broadcast_all(["one", "two"]))
    other.wait_for_count(2)
    assert (len(recorded(tmp_path / "raising.pcap")), len(recorded(tmp_path / "other.pcap"))) == (1, 2)
    wait_until(lambda: unhandled)
    unhandled.clear()


def test_disposing_while_another_thread_records_is_silent(tmp_path: Path, unhandled: list[BaseException]) -> None:
    for _ in range(20):
        source: Subject[ipc.Message] = Subject()
        seen = Seen(source.pipe(capture.write(tmp_path / "recorded.pcap")))
        feeding = threading.Thread(target=rx.from_iterable([ipc.Message(b"x")] * 300).subscribe, args=(source,))
        feeding.start()
        seen.wait_for_count(5)
        seen.subscription.dispose()
        feeding.join(PATIENCE)
        assert seen.error is None
        assert len(recorded(tmp_path / "recorded.pcap")) >= len(seen.values)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"path": None}, ipc.InvalidOption),
        ({"path": "x", "channel": 61088}, ipc.InvalidOption),
        ({"path": "x", "port": 0}, ipc.InvalidPort),
        ({"path": "x", "group": "10.0.0.1"}, ipc.InvalidGroup),
        ({"path": "x", "group": ""}, ipc.InvalidGroup),
    ],
)
def test_mistakes_are_told_by_the_call(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        capture.write(**arguments)


@needs_linux
def test_without_trains_what_was_missed_is_counted_exactly(
    tmp_path: Path, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    path = tmp_path / "recorded.pcap"
    whole = partial(UdpTransport, gro=False)
    with (
        ipc.open_channel(port) as sender,
        ipc.Channel(ipc.Group.of(port), whole, {"receive_buffer": 100_000}) as channel,
    ):
        seen = Seen(channel.batches.pipe(capture.write(path, channel), ops.map(len)))
        with held(channel):
            ipc.run(sender.broadcast_all([bytes(64)] * 20_000))
        dropped = channel.statistics.dropped or 0
        seen.wait_for(lambda seen: sum(seen.values) + dropped == 20_000)
    assert dropped > 10_000
    assert len(recorded(path)) == 20_000 - dropped


@needs_namespaces
@needs_tcpdump
@pytest.mark.parametrize("options", [["-i", "lo"], ["-i", "any"], ["-i", "lo", "--nano"]], ids=" ".join)
def test_a_capture_that_tcpdump_made_is_read(tmp_path: Path, options: list[str]) -> None:
    path = tmp_path / "tcpdump.pcap"
    capture_with_tcpdump(path, *options)
    with capture.Reader(path, port=PORT) as reader:
        found = list(reader)
    assert [message.data for message, _ in found] == TCPDUMP_SEES
    assert {to for _, to in found} == {(GROUP, PORT)}
    assert {(message.address, message.direct) for message, _ in found} == {("127.0.0.1", False)}
