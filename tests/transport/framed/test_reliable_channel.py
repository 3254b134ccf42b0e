"""Reliable channels as users open them: in virtual time, over bad links, and live."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
import threading
from typing import Any

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc import Channel, Gap, Message, Reliable
from rx_multicast_ipc.testing import FaultyNetwork, VirtualClock, VirtualNetwork
from rx_multicast_ipc.testing.conformance.transport_rig import free_port

from ...helpers import PATIENCE


def heard_by(channel: Channel) -> list[bytes]:
    heard: list[bytes] = []
    channel.messages.subscribe(lambda message: heard.append(message.data))
    return heard


def numbered(count: int) -> list[bytes]:
    return [b"%06d" % number for number in range(count)]


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_a_virtual_channel_hears_all_in_order(loss: float) -> None:
    clock = VirtualClock()
    network = VirtualNetwork(clock, latency=0.01, jitter=0.02, loss=loss, duplication=0.1, reordering=0.1, seed=1)
    sender, *ends = [network.open_channel(reliable=True) for _ in range(3)]
    heard = [heard_by(channel) for channel in (sender, *ends)]
    clock.advance_by(1.0)
    sender.broadcast_all(numbered(500)).subscribe()
    clock.advance_by(10.0)
    assert heard == [numbered(500)] * 3


def test_virtual_time_runs_out() -> None:
    clock = VirtualClock()
    network = VirtualNetwork(clock, latency=0.01)
    sender, end = network.open_channel(reliable=True), network.open_channel(reliable=True)
    heard = heard_by(end)
    sender.broadcast("one").subscribe()
    clock.start()
    assert heard == [b"one"]


def test_a_large_message_arrives_whole() -> None:
    clock = VirtualClock()
    network = VirtualNetwork(clock, latency=0.001, loss=0.1, seed=2)
    sender, end = network.open_channel(reliable=True), network.open_channel(reliable=True)
    heard = heard_by(end)
    clock.advance_by(1.0)
    image = bytes(range(256)) * 4096
    sender.broadcast(image).subscribe()
    clock.advance_by(10.0)
    assert heard == [image]


def test_single_messages_that_fill_packets_wait_for_no_acknowledgement_while_the_window_grows() -> None:
    clock = VirtualClock()
    network = VirtualNetwork(clock, latency=0.00025)
    sender, end = network.open_channel(reliable=True), network.open_channel(reliable=True)
    sent_at: list[float] = []
    heard_at: list[float] = []
    end.messages.subscribe(lambda _message: heard_at.append(clock.clock))
    clock.advance_by(1.0)
    for _ in range(200):
        sent_at.append(clock.clock)
        sender.broadcast(bytes(1384)).subscribe()
        clock.advance_by(0.0001)
    clock.advance_by(1.0)
    assert len(heard_at) == 200
    assert max(heard - sent for heard, sent in zip(heard_at, sent_at, strict=True)) < 0.001


def test_a_message_beyond_the_largest_is_refused_at_once() -> None:
    network = VirtualNetwork(VirtualClock())
    channel = network.open_channel(reliable=Reliable(largest=1000))
    with pytest.raises(ipc.PayloadTooLarge):
        channel.broadcast(bytes(1001))


def test_a_large_one_beyond_a_datagram_is_refused_in_words_of_its_own() -> None:
    network = VirtualNetwork(VirtualClock())
    channel = network.open_channel(reliable=Reliable(largest=100_000))
    with pytest.raises(ipc.PayloadTooLarge, match="largest="):
        channel.broadcast(bytes(100_001))


def test_a_reply_is_reliable_and_reaches_one() -> None:
    clock = VirtualClock()
    network = VirtualNetwork(clock, latency=0.01, loss=0.3, seed=3)
    asking, answering, other = [network.open_channel(reliable=True) for _ in range(3)]

    def answer(message: Message) -> None:
        answering.reply(message, b"re: " + message.data).subscribe()

    answering.messages.subscribe(answer)
    answers: list[Message] = []
    others = heard_by(other)
    asking.messages.subscribe(lambda message: answers.append(message) if message.direct else None)
    clock.advance_by(1.0)
    asking.broadcast_all(numbered(50)).subscribe()
    clock.advance_by(10.0)
    assert [message.data for message in answers] == [b"re: " + data for data in numbered(50)]
    assert others == numbered(50)


def broken_conversation() -> tuple[VirtualClock, VirtualNetwork, Channel, Channel]:
    """A receiver that was cut off for longer than the sender keeps what it sent."""
    clock = VirtualClock()
    network = VirtualNetwork(clock, latency=0.001)
    options = Reliable(window=16, patience=0.5)
    sender = network.open_channel(host="10.0.0.1", reliable=options)
    end = network.open_channel(host="10.0.0.2", reliable=options)
    clock.advance_by(1.0)
    return clock, network, sender, end


def fall_behind(clock: VirtualClock, network: VirtualNetwork, sender: Channel) -> None:
    sender.broadcast("before").subscribe()
    clock.advance_by(0.5)
    network.partition(["10.0.0.1"], ["10.0.0.2"])
    for number in range(100):
        sender.broadcast(b"%d" % number + bytes(1300)).subscribe()
    clock.advance_by(5.0)
    network.heal()
    sender.broadcast("after").subscribe()
    clock.advance_by(5.0)


def test_a_gap_is_told_in_its_place() -> None:
    clock, network, sender, end = broken_conversation()
    deliveries: list[Message | Gap] = []
    events: list[Any] = []
    end.deliveries.subscribe(deliveries.append)
    end.events.subscribe(events.append)
    fall_behind(clock, network, sender)
    assert [each.text if isinstance(each, Message) else "gap" for each in deliveries][:2] == ["before", "gap"]
    assert isinstance(deliveries[-1], Message)
    assert deliveries[-1].text == "after"
    (gap,) = [event for event in events if isinstance(event, Gap)]
    assert gap == deliveries[1]
    assert gap.sender == sender.sender_address
    assert gap.count + len(deliveries) - 1 == 102
    assert end.statistics.gaps == 1


def test_a_gap_neither_ends_messages_nor_is_one() -> None:
    clock, network, sender, end = broken_conversation()
    heard: list[Message] = []
    ended: list[object] = []
    end.messages.subscribe(heard.append, ended.append, lambda: ended.append("completed"))
    fall_behind(clock, network, sender)
    assert heard[-1].text == "after"
    assert all(isinstance(message, Message) for message in heard)
    assert ended == []


def test_a_gap_is_an_error_for_who_wants_that() -> None:
    clock, network, sender, end = broken_conversation()
    heard: list[str] = []
    errors: list[Exception] = []
    ipc.operators.fail_on_gap(end).subscribe(lambda message: heard.append(message.text), errors.append)
    fall_behind(clock, network, sender)
    assert heard == ["before"]
    (error,) = errors
    assert isinstance(error, ipc.MessagesMissing)
    assert "10.0.0.1" in str(error)
    assert pickle.loads(pickle.dumps(error)).gap == error.gap


def test_a_raw_peer_is_counted_as_foreign_and_hears_no_text() -> None:
    clock = VirtualClock()
    network = VirtualNetwork(clock)
    raw, reliable = network.open_channel(), network.open_channel(reliable=True)
    heard = heard_by(reliable)
    texts: list[Message] = []
    raw.messages.subscribe(texts.append)
    raw.broadcast("raw").subscribe()
    reliable.broadcast("framed").subscribe()
    clock.advance_by(5.0)
    assert heard == [b"framed"]
    assert reliable.statistics.foreign == 1
    assert not any(message.text.startswith("framed") for message in texts)


@pytest.mark.parametrize("wrong", [1, "yes", None, 0.5])
def test_reliable_is_a_flag_or_a_record(wrong: Any) -> None:
    network = VirtualNetwork(VirtualClock())
    if wrong is None:
        network.open_channel(reliable=wrong).close()
    else:
        with pytest.raises(ipc.InvalidOption):
            network.open_channel(reliable=wrong)


@pytest.mark.parametrize(
    "values",
    [
        {"window": 15},
        {"window": 8193},
        {"window": True},
        {"keep": 10},
        {"patience": -1},
        {"patience": float("nan")},
        {"rate": 0},
        {"largest": 0},
    ],
    ids=str,
)
def test_values_out_of_range_are_refused(values: Any) -> None:
    with pytest.raises(ipc.InvalidOption):
        Reliable(**values)


def test_a_live_channel_hears_all_in_order_over_bad_links() -> None:
    port = free_port()
    sender = FaultyNetwork(loss=0.1, seed=1).open_channel(port, reliable=True)
    end = FaultyNetwork(loss=0.1, duplication=0.1, reordering=0.1, seed=2).open_channel(port, reliable=True)
    heard: list[bytes] = []
    complete = threading.Event()

    def hear(message: Message) -> None:
        heard.append(message.data)
        if len(heard) == 2000:
            complete.set()

    with sender, end:
        end.messages.subscribe(hear)
        ipc.run(sender.broadcast_all(numbered(1000)))
        for data in numbered(2000)[1000:]:
            ipc.run(sender.broadcast(data))
        assert complete.wait(PATIENCE)
    assert heard == numbered(2000)


def test_the_end_of_the_interpreter_lingers() -> None:
    """A script that ends with its last send is heard all the same, or warns where a busy machine took too long."""
    assert any(is_heard_to_its_end() for _ in range(20))


def is_heard_to_its_end() -> bool:
    """Whether a script that ends with its last send is heard; if not, it warns."""
    port = free_port()
    script = f"""
        import rx_multicast_ipc as ipc
        from rx_multicast_ipc.testing import FaultyNetwork
        channel = FaultyNetwork(loss=0.1, seed=7).open_channel({port}, reliable=True)
        channel.broadcast_all([b"%06d" % number for number in range(300)]).subscribe()
    """
    heard: list[bytes] = []
    complete = threading.Event()

    def hear(message: Message) -> None:
        heard.append(message.data)
        if len(heard) == 300:
            complete.set()

    with FaultyNetwork(loss=0.1, seed=8).open_channel(port, reliable=True) as end:
        end.messages.subscribe(hear)
        ended = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            check=True,
            timeout=PATIENCE,
            capture_output=True,
            text=True,
        )
        if "were not acknowledged" in ended.stderr:
            return False
        assert complete.wait(PATIENCE)
    assert heard == numbered(300)
    return True


def test_a_packet_that_cannot_be_sent_fails_no_send_and_is_repeated() -> None:
    clock = VirtualClock()
    network = VirtualNetwork(clock, latency=0.01)
    sender, end = [network.open_channel(host=f"10.0.0.{host}", reliable=True) for host in (1, 2)]
    heard = heard_by(end)
    clock.advance_by(1.0)
    network.take_down("10.0.0.1")
    errors: list[Exception] = []
    sender.broadcast("while it is down").subscribe(on_error=errors.append)
    clock.advance_by(1.0)
    network.bring_up("10.0.0.1")
    clock.advance_by(3.0)
    assert errors == []
    assert heard == [b"while it is down"]


FORK = """
import os, sys, threading
import rx_multicast_ipc as ipc
port = int(sys.argv[1])
sender, end = ipc.open_channel(port, reliable=True), ipc.open_channel(port, reliable=True)
heard, complete = [], threading.Event()
end.messages.subscribe(lambda m: (heard.append(m.text), complete.set() if m.text == "after" else None))
ipc.run(sender.broadcast("before", acknowledged=True, timeout=60))
child = os.fork()
if not child:
    closed = sender.closed and end.closed
    with ipc.open_channel(port, reliable=True) as own:
        ipc.run(own.broadcast("child", acknowledged=True, timeout=60))
    sys.exit(0 if closed else 3)
_, status = os.waitpid(child, 0)
ipc.run(sender.broadcast("after", acknowledged=True, timeout=60))
complete.wait(60)
print(os.waitstatus_to_exitcode(status), *heard)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_forked_child_has_no_part_in_it_and_speaks_for_itself() -> None:
    result = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, str(free_port())],
        capture_output=True,
        text=True,
        timeout=4 * PATIENCE,
        check=False,
    )
    assert result.stdout.split() == ["0", "before", "child", "after"], result.stderr


def test_a_port_that_is_shared_is_refused() -> None:
    with pytest.raises(ipc.InvalidOption, match="send_from"):
        ipc.open_channel(free_port(), reliable=True, send_from="group")


def test_shared_sends_do_not_use_a_reliable_channel() -> None:
    """The package's own broadcast() is raw, and is heard by raw peers."""
    network = VirtualNetwork(VirtualClock())
    raw = network.open_channel(port=50_000)
    heard = heard_by(raw)
    with network.this_process():
        subscription = ipc.messages(50_000, reliable=True).subscribe()
        ipc.broadcast("raw", 50_000).subscribe()
        network.scheduler.advance_by(1.0)
        subscription.dispose()
    assert b"raw" in heard


def three_ends(patience: float = 3.0) -> tuple[VirtualClock, VirtualNetwork, list[Channel]]:
    clock = VirtualClock()
    network = VirtualNetwork(clock, latency=0.01)
    options = Reliable(patience=patience)
    return clock, network, [network.open_channel(host=f"10.0.0.{host}", reliable=options) for host in (1, 2, 3)]


def outcome(channel: Channel, timeout: float | None = None) -> list[Any]:
    told: list[Any] = []
    sending = channel.broadcast("stop", acknowledged=True, timeout=timeout)
    sending.subscribe(told.append, told.append, lambda: told.append("completed"))
    return told


@pytest.mark.parametrize("known_for", [0.0, 5.0])
def test_an_acknowledged_broadcast_says_who_has_it(known_for: float) -> None:
    clock, _, (sender, *ends) = three_ends()
    clock.advance_by(known_for)
    told = outcome(sender)
    assert told == []
    clock.advance_by(1.0)
    assert told == [ipc.Acknowledged(tuple(end.sender_address for end in ends)), "completed"]


def test_an_acknowledgement_that_does_not_come_in_time_names_who_is_missing() -> None:
    clock, network, (sender, _, cut) = three_ends()
    clock.advance_by(1.0)
    network.partition(["10.0.0.3"])
    told = outcome(sender, timeout=2)
    clock.advance_by(1.9)
    assert told == []
    clock.advance_by(0.2)
    (error,) = told
    assert isinstance(error, ipc.MessageTimeout)
    address, port = cut.sender_address
    assert f"{address}:{port}" in str(error)
    assert "10.0.0.2" not in str(error)


def test_who_leaves_without_it_is_told_as_missing() -> None:
    clock, network, (sender, stays, leaves) = three_ends()
    clock.advance_by(1.0)
    network.set_link("10.0.0.1", "10.0.0.3", one_way=True, loss=1.0)
    told = outcome(sender)
    clock.advance_by(0.5)
    leaves.close()
    clock.advance_by(1.0)
    assert told == [ipc.Acknowledged((stays.sender_address,), (leaves.sender_address,)), "completed"]


def test_an_acknowledged_broadcast_to_nobody_completes() -> None:
    clock = VirtualClock()
    channel = VirtualNetwork(clock).open_channel(reliable=True)
    told = outcome(channel)
    clock.advance_by(1.0)
    assert told == [ipc.Acknowledged(()), "completed"]


def test_who_waits_for_an_acknowledgement_is_told_that_the_channel_closed() -> None:
    clock, network, (sender, *_) = three_ends()
    clock.advance_by(1.0)
    network.partition(["10.0.0.1"])
    told = outcome(sender)
    clock.advance_by(0.1)
    sender.close()
    assert [type(each) for each in told] == [ipc.ChannelClosed]


def test_a_disposed_wait_for_an_acknowledgement_tells_nothing() -> None:
    clock, _, (sender, *_) = three_ends()
    clock.advance_by(1.0)
    told: list[Any] = []
    sender.broadcast("stop", acknowledged=True).subscribe(told.append, told.append).dispose()
    clock.advance_by(1.0)
    assert told == []


def test_a_raw_channel_knows_no_acknowledgements() -> None:
    channel = VirtualNetwork(VirtualClock()).open_channel()
    with pytest.raises(ipc.Unsupported, match="reliable=True"):
        channel.broadcast("stop", acknowledged=True)
    with pytest.raises(ipc.InvalidOption, match="acknowledged=True"):
        channel.broadcast("stop", timeout=2)  # pyright: ignore


def test_a_live_acknowledged_broadcast_can_be_run() -> None:
    port = free_port()
    with ipc.open_channel(port, reliable=True) as sender, ipc.open_channel(port, reliable=True) as end:
        ipc.run(end.broadcast("here"))  # a busy machine may be slower than those who are asked who is there
        assert ipc.run(sender.wait_for_message(timeout=PATIENCE)).text == "here"
        acknowledged = ipc.run(sender.broadcast("stop", acknowledged=True, timeout=PATIENCE))
        assert acknowledged == ipc.Acknowledged((end.sender_address,))
