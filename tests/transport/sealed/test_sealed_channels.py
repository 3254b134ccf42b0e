"""Channels with a key: what an outsider does to them, in virtual time and on live sockets."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc import Channel, Message
from rx_multicast_ipc.testing import FaultyNetwork, VirtualClock, VirtualNetwork
from rx_multicast_ipc.transport.framed.packet_codec import pack, pack_control
from rx_multicast_ipc.transport.framed.packets import Beat, Bye, ControlPacket, Data, Status

from ...helpers import Seen, needs_linux, raw_sender, wait_until

KEY, OTHER = ipc.Key(bytes(range(32))), ipc.Key(bytes(range(1, 33)))

Open = Callable[..., Channel]


@pytest.fixture
def network(clock: VirtualClock) -> VirtualNetwork:
    return VirtualNetwork(clock, latency=0.01)


@pytest.fixture(params=[False, True], ids=["unrepaired", "reliable"])
def reliable(request: pytest.FixtureRequest) -> bool:
    return request.param


def texts(channel: Channel) -> list[str]:
    heard: list[str] = []
    channel.messages.subscribe(lambda message: heard.append(message.text))
    return heard


def reasons(channel: Channel) -> list[str]:
    told: list[str] = []
    channel.events.subscribe(lambda event: told.append(event.reason) if isinstance(event, ipc.Rejected) else None)
    return told


def forged_packets(session: int) -> list[bytes]:
    """What could end, skip, stop or invent something, if it was believed."""
    packets = [
        *(Data(session, number, 3, 1, b"forged") for number in range(1, 5)),
        Beat(session, 1000, 1001, ask=True),
        Status(session, 1000, 1000, end=7),
        Status(0, hello=True, end=7),
        Status(0, leave=True, end=7),
        Bye(session, 3),
    ]
    return [pack(packet) for packet in packets] + [
        pack_control(ControlPacket(kind, flags, 0, session, 1, bytes(48)))
        for kind in (5, 6, 7, 8, 9)
        for flags in (0, 1)
    ]


class TestAnOutsider:
    """It is on the same network, and has everything but the key."""

    def test_reads_nothing(self, network: VirtualNetwork, clock: VirtualClock, reliable: bool) -> None:
        seen: list[bytes] = []
        network.datagrams.subscribe(lambda datagram: seen.append(datagram.payload))
        one, other = (network.open_channel(key=KEY, reliable=reliable) for _ in range(2))
        heard = texts(other)
        clock.advance_by(0.5)
        for number in range(20):
            one.broadcast(f"attack at dawn {number}").subscribe()
        clock.advance_by(2.0)
        assert heard == [f"attack at dawn {number}" for number in range(20)]
        assert len(seen) > 10
        assert not [data for data in seen if b"dawn" in data or data[:1] != b"\xf6"]

    def test_forges_nothing(self, network: VirtualNetwork, clock: VirtualClock, reliable: bool) -> None:
        one, other = (network.open_channel(key=KEY, reliable=reliable) for _ in range(2))
        outsider = network.open_channel(echo=False)
        heard, told = texts(other), reasons(other)
        clock.advance_by(0.5)
        sent = [f"{number}" for number in range(10)]
        for number, text in enumerate(sent):
            one.broadcast(text).subscribe()
            for packet in [*forged_packets(number + 1), b"plain", b"", b"\xf6" + bytes(60)]:
                outsider.broadcast(packet).subscribe()
                for end in (one, other):
                    outsider.send(packet, end.sender_address).subscribe()
            clock.advance_by(0.1)
        clock.advance_by(2.0)
        assert heard == sent
        assert other.statistics.rejected == 2 * 10 * (len(forged_packets(1)) + 3)
        assert {reason.partition(":")[0] for reason in told} == {"not sealed", "sealed with another key"}
        assert len(told) <= 10  # once a second at most, each of two kinds

    def test_replays_nothing(self, network: VirtualNetwork, clock: VirtualClock, reliable: bool) -> None:
        one, other = (network.open_channel(key=KEY, reliable=reliable) for _ in range(2))
        outsider = network.open_channel(echo=False)
        recorded: list[Any] = []
        recording = network.datagrams.subscribe(recorded.append)
        heard = texts(other)
        clock.advance_by(0.5)
        sent = [f"{number}" for number in range(10)]
        for text in sent:
            one.broadcast(text).subscribe()
            clock.advance_by(0.1)
        recording.dispose()
        for datagram in recorded:
            outsider.broadcast(datagram.payload).subscribe()
            outsider.send(datagram.payload, other.sender_address).subscribe()
            outsider.send(datagram.payload, one.sender_address).subscribe()
        clock.advance_by(5.0)
        one.broadcast("the end").subscribe()
        clock.advance_by(1.0)
        assert heard == [*sent, "the end"]
        assert other.statistics.rejected >= len(recorded)

    def test_plays_no_recorded_session_to_a_late_joiner(
        self, network: VirtualNetwork, clock: VirtualClock, reliable: bool
    ) -> None:
        one, other = (network.open_channel(key=KEY, reliable=reliable) for _ in range(2))
        recorded: list[Any] = []
        recording = network.datagrams.subscribe(recorded.append)
        clock.advance_by(0.5)
        for number in range(10):
            one.broadcast(f"{number}").subscribe()
            clock.advance_by(0.1)
        one.close()
        other.close()
        clock.advance_by(5.0)
        recording.dispose()
        outsider = network.open_channel(echo=False)
        late = network.open_channel(key=KEY, reliable=reliable)
        heard, told = texts(late), reasons(late)
        clock.advance_by(1.0)
        for datagram in recorded:
            outsider.broadcast(datagram.payload).subscribe()
            outsider.send(datagram.payload, late.sender_address).subscribe()
            clock.advance_by(0.01)
        clock.advance_by(10.0)
        assert heard == []
        assert late.statistics.rejected >= len(recorded)
        assert any("does not answer" in reason for reason in told)

    def test_says_nothing_as_a_member_or_for_a_value(self, network: VirtualNetwork, clock: VirtualClock) -> None:
        one, other = (network.open_channel(key=KEY, presence=name) for name in ("one", "other"))
        names: list[set[str]] = []
        one.members.subscribe(lambda members: names.append({member.name or "" for member in members}))
        outsider = network.open_channel(presence="outsider")
        price = one.latest("price")
        values: list[bytes] = []
        price.subscribe(values.append)
        other.latest("price").set(b"42").subscribe()
        outsider.latest("price").set(b"13").subscribe()
        clock.advance_by(5.0)
        outsider.close()
        clock.advance_by(20.0)
        assert values == [b"42"]
        assert names[-1] == {"one", "other"}
        assert not any("outsider" in each for each in names)


def test_a_late_joiner_hears_what_is_said_while_the_others_prove_to_be_there(
    network: VirtualNetwork, clock: VirtualClock, reliable: bool
) -> None:
    one = network.open_channel(key=KEY, reliable=reliable)
    clock.advance_by(1.0)
    late = network.open_channel(key=KEY, reliable=reliable)
    heard = texts(late)
    for number in range(20):
        one.broadcast(f"{number}").subscribe()
        clock.advance_by(0.001)
    clock.advance_by(2.0)
    assert heard == [f"{number}" for number in range(20)]
    assert late.statistics.rejected == 0


def test_who_sends_once_and_closes_is_heard(network: VirtualNetwork, clock: VirtualClock, reliable: bool) -> None:
    heard = texts(network.open_channel(key=KEY, reliable=reliable))
    clock.advance_by(1.0)
    with network.open_channel(key=KEY, reliable=reliable) as one:
        one.broadcast("only once").subscribe()
    clock.advance_by(2.0)
    assert heard == ["only once"]


def test_a_channel_without_a_key_says_once_that_it_hears_sealed_ones(
    network: VirtualNetwork, clock: VirtualClock, reliable: bool, caplog: pytest.LogCaptureFixture
) -> None:
    sealed, plain = network.open_channel(key=KEY), network.open_channel(reliable=reliable)
    told = reasons(plain)
    with caplog.at_level(logging.WARNING):
        for _ in range(20):
            sealed.broadcast("x").subscribe()
            clock.advance_by(1.0)
    assert len(told) == 1
    assert KEY.hint in told[0]
    assert len([record for record in caplog.records if "without key=" in record.getMessage()]) == 1


def test_another_key_is_told_at_once_and_then_once_a_second_with_both_hints(
    network: VirtualNetwork, clock: VirtualClock
) -> None:
    one, other = network.open_channel(key=OTHER), network.open_channel(key=KEY)
    told: list[ipc.Rejected] = []
    other.events.subscribe(lambda event: told.append(event) if isinstance(event, ipc.Rejected) else None)
    for _ in range(50):
        one.broadcast("x").subscribe()
        clock.advance_by(0.1)
    clock.advance_by(2.0)
    assert 5 <= len(told) <= 7
    assert sum(event.count for event in told) == other.statistics.rejected >= 50
    assert all(event.sender == one.sender_address for event in told)
    assert all(KEY.hint in event.reason and OTHER.hint in event.reason for event in told)


def test_the_key_of_a_group_is_changed_under_traffic_and_nothing_is_lost(clock: VirtualClock, reliable: bool) -> None:
    loss = 0.2 if reliable else 0.0
    network = VirtualNetwork(clock, latency=0.005, loss=loss, seed=3)
    channels = [network.open_channel(key=OTHER, reliable=reliable, echo=False) for _ in range(3)]
    heard = [texts(channel) for channel in channels]
    said: list[list[str]] = [[], [], []]
    clock.advance_by(1.0)
    for round_ in range(120):
        if round_ in (30, 60, 90):
            ring = {30: (OTHER, KEY), 60: (KEY, OTHER), 90: KEY}[round_]
            for channel in channels:
                channel.change_key(ring)
        for number, channel in enumerate(channels):
            said[number].append(f"{number}:{round_}")
            channel.broadcast(said[number][-1]).subscribe()
        clock.advance_by(0.02)
    clock.advance_by(5.0)
    for number, channel in enumerate(channels):
        for other in {0, 1, 2} - {number}:
            assert [text for text in heard[number] if text.startswith(f"{other}:")] == said[other]
        assert channel.statistics.gaps == 0
    stale = network.open_channel(key=OTHER, reliable=reliable)
    before = [channel.statistics.rejected for channel in channels]
    stale.broadcast("with the old key").subscribe()
    clock.advance_by(2.0)
    assert all("with the old key" not in each for each in heard)
    assert all(channel.statistics.rejected > count for channel, count in zip(channels, before, strict=True))


@pytest.mark.parametrize("sizes", [[100] * 500, [0] * 500, [*range(500)], [5000, 1, 1, 5000, 0, 1300, 1300, 1]])
def test_what_is_sent_together_goes_in_few_datagrams_and_arrives_as_it_was(
    network: VirtualNetwork, clock: VirtualClock, sizes: list[int]
) -> None:
    one, other = (network.open_channel(key=KEY) for _ in range(2))
    clock.advance_by(1.0)
    heard: list[Message] = []
    other.messages.subscribe(heard.append)
    seen: list[bytes] = []
    network.datagrams.subscribe(lambda datagram: seen.append(datagram.payload))
    payloads = [bytes([number % 251]) * size for number, size in enumerate(sizes)]
    one.broadcast_all(payloads).subscribe()
    clock.advance_by(1.0)
    assert [message.data for message in heard] == payloads
    assert {message.sender for message in heard} == {one.sender_address}
    assert one.statistics.sent == other.statistics.received == len(payloads)
    assert one.statistics.sent_bytes == other.statistics.received_bytes == sum(sizes)
    alone = [size for size in sizes if size > 1300]
    most = 2 * (sum(sizes) + 2 * len(sizes)) // 1300 + 1 + 2 * len(alone)
    assert len(seen) <= most
    assert all(len(data) <= 1400 for data in seen if len(data) < 5000)


@pytest.mark.parametrize("key", [False, "group.key", (), None])
def test_a_sealed_channel_stays_sealed(network: VirtualNetwork, key: Any) -> None:
    with pytest.raises(ipc.InvalidKey):
        network.open_channel(key=KEY).change_key(key)


def test_a_plain_channel_has_no_key_to_change(network: VirtualNetwork) -> None:
    chosen: list[ipc.ChannelOptions] = [{}, {"reliable": True}, {"presence": "me"}]
    for options in chosen:
        with pytest.raises(ipc.Unsupported, match="key="):
            network.open_channel(**options).change_key(KEY)


def test_a_channel_with_the_port_of_the_group_cannot_be_sealed(network: VirtualNetwork) -> None:
    with pytest.raises(ipc.InvalidOption, match="sealed"):
        network.open_channel(key=KEY, send_from="group")


def test_what_is_too_large_for_a_sealed_datagram_is_refused(network: VirtualNetwork) -> None:
    channel = network.open_channel(key=KEY)
    with pytest.raises(ipc.PayloadTooLarge, match="65451"):
        channel.broadcast(bytes(65_452))
    channel.broadcast(bytes(65_451)).subscribe()


def test_a_process_on_a_virtual_network_seals_what_it_sends_without_a_channel(
    network: VirtualNetwork, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    KEY.save(tmp_path / "group.key")
    sealed, plain = network.open_channel(key=KEY), network.open_channel()
    heard, overheard = texts(sealed), texts(plain)
    clock.advance_by(1.0)
    with network.this_process():
        ipc.broadcast("named", interface="default", key=KEY).subscribe()
        monkeypatch.setenv("RX_MULTICAST_IPC_KEY", str(tmp_path / "group.key"))
        ipc.broadcast("by the environment", interface="default").subscribe()
        clock.advance_by(1.0)
    assert heard == ["named", "by the environment"]
    assert not any("named" in text or "environment" in text for text in overheard)


class TestLive:
    pytestmark = needs_linux

    @pytest.fixture
    def opened(self, port: int) -> Any:
        channels: list[Channel] = []

        def open_one(**options: Any) -> Channel:
            chosen: Any = {"key": KEY, **options}
            channels.append(ipc.open_channel(port, **chosen))
            return channels[-1]

        yield open_one
        for channel in channels:
            channel.close()

    def test_an_outsider_who_sees_and_sends_everything_changes_nothing(
        self, opened: Open, port: int, reliable: bool
    ) -> None:
        one, other = opened(reliable=reliable, echo=False), opened(reliable=reliable)
        outsider = opened(key=False, echo=False)
        seen: list[Message] = []
        outsider.messages.subscribe(seen.append)
        heard = Seen(other.messages)
        told = Seen(other.events)
        for number in range(50):
            ipc.run(one.broadcast(f"secret {number}"))
            for message in seen[-3:]:
                ipc.run(outsider.broadcast(message.data))
                ipc.run(outsider.send(message.data, other.sender_address))
            ipc.run(outsider.broadcast("plain"))
            ipc.run(outsider.broadcast(forged_packets(number)[number % 9]))
        ipc.run(one.broadcast("the end"))
        heard.wait_for(lambda _: "the end" in [message.text for message in heard.values])
        assert [message.text for message in heard.values] == [*(f"secret {number}" for number in range(50)), "the end"]
        assert not [message for message in seen if b"secret" in message.data]
        wait_until(lambda: other.statistics.rejected >= 100)
        told.wait_for_count(1)

    def test_no_nonce_is_used_twice_by_forks_and_openings(self, opened: Open, port: int) -> None:
        outsider = opened(key=False)
        seen = Seen(outsider.messages)
        parent = opened()
        ipc.run(parent.broadcast("parent"))
        for _ in range(5):
            child = os.fork()
            if not child:
                status = 1
                try:
                    try:
                        ipc.run(parent.broadcast("from the child"))
                    except ipc.ChannelClosed:
                        status = 0
                    with ipc.open_channel(port, key=KEY) as own:
                        for number in range(20):
                            ipc.run(own.broadcast(b"%d" % number))
                finally:
                    os._exit(status)
            for _ in range(20):
                ipc.run(parent.broadcast("meanwhile"))
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        with raw_sender() as last:  # by the socket that all others come by
            last.sendto(b"the end", (ipc.DEFAULT_GROUP, port))
        seen.wait_for(lambda _: any(message.data == b"the end" for message in seen.values))
        headers = [message.data[:24] for message in seen.values if message.data != b"the end"]
        assert len({header[:16] for header in headers}) >= 6
        assert len(headers) >= 200
        assert len(set(headers)) == len(headers)

    def test_faults_in_between_are_repaired(self, port: int) -> None:
        network = FaultyNetwork(loss=0.2, reordering=0.2, seed=1)
        with (
            network.open_channel(port, key=KEY, reliable=True) as one,
            network.open_channel(port, key=KEY, reliable=True) as other,
        ):
            heard = Seen(other.messages)
            ipc.run(one.broadcast_all([b"%d" % number for number in range(500)]))
            heard.wait_for_count(500)
            assert [message.data for message in heard.values] == [b"%d" % number for number in range(500)]

    def test_messages_of_the_process_are_sealed_too(
        self, opened: Open, port: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
    ) -> None:
        KEY.save(tmp_path / "group.key")
        sealed, plain = Seen(opened().messages), Seen(opened(key=False).messages)
        monkeypatch.setenv("RX_MULTICAST_IPC_KEY", str(tmp_path / "group.key"))
        ipc.run(ipc.broadcast("without a channel", port))
        shared = Seen(ipc.messages(port))
        ipc.run(ipc.broadcast("with the shared one", port))
        sealed.wait_for_count(2)
        shared.wait_for_count(1)
        assert {message.text for message in sealed.values} == {"without a channel", "with the shared one"}
        assert not [message for message in plain.values if b"channel" in message.data or b"shared" in message.data]
