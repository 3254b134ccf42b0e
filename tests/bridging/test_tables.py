"""What a bridge remembers: which end stands for whom, what nobody carried, and what control packets may say."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from rx_multicast_ipc.bridging.control_packets import (
    Ask,
    Ends,
    Hello,
    Identity,
    pack,
    pack_ends,
    parse_or_none,
)
from rx_multicast_ipc.bridging.end_table import EndTable
from rx_multicast_ipc.bridging.uncarried import MOST, Uncarried


class TestEnds:
    def test_a_sender_keeps_its_end(self) -> None:
        table: EndTable[str] = EndTable(2, 300.0)
        assert table.use(("a", 1), lambda: "first", 0.0) == ("first", None)
        assert table.use(("a", 1), lambda: "second", 1.0) == ("first", None)

    def test_the_one_unused_for_longest_goes_if_it_is_not_busy(self) -> None:
        table: EndTable[str] = EndTable(2, 300.0)
        for number, sender in enumerate(("a", "b")):
            table.use((sender, 1), lambda sender=sender: sender, float(number))
        assert table.use(("c", 1), lambda: "c", 5.0) == (None, None)
        table.touch(("a", 1), 6.0)
        assert table.use(("c", 1), lambda: "c", 15.0) == ("c", "b")
        assert list(table) == ["a", "c"]

    def test_unused_ends_go_after_their_time(self) -> None:
        table: EndTable[str] = EndTable(10, 300.0)
        table.use(("a", 1), lambda: "a", 0.0)
        table.use(("b", 1), lambda: "b", 100.0)
        assert table.expire(300.0) == []
        assert table.expire(301.0) == ["a"]
        assert table.expire(500.0) == ["b"]

    def test_an_end_that_could_not_be_made_is_tried_again(self) -> None:
        table: EndTable[str] = EndTable(10, 300.0)
        assert table.use(("a", 1), lambda: None, 0.0) == (None, None)
        assert table.use(("a", 1), lambda: "a", 0.0) == ("a", None)


def never(_side: int, _sender: tuple[str, int]) -> bool:
    return False


class TestUncarried:
    """Of two sides, where the sender ``copy`` is an end of the bridge that carries."""

    @staticmethod
    def count(heard: list[tuple[int, str, bytes]], *, at: float = 0.5) -> int:
        uncarried = Uncarried(1.0)
        for side, sender, payload in heard:
            uncarried.hear(side, (sender, 1), [payload], 0.0)
        return uncarried.count(lambda _, sender: sender[0] == "copy", at)

    @given(st.permutations([(side, who, data) for side, who in ((0, "a"), (1, "copy")) for data in (b"", b"x", b"x")]))
    def test_a_message_and_its_copy_come_to_nothing_in_any_order(self, heard: list[tuple[int, str, bytes]]) -> None:
        assert self.count(heard) == 0

    @given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from(["a", "copy"]), st.sampled_from([b"x", b"y"]))))
    def test_it_counts_what_has_no_copy_on_the_other_side(self, heard: list[tuple[int, str, bytes]]) -> None:
        messages = Counter((side, payload) for side, sender, payload in heard if sender == "a")
        copies = Counter((1 - side, payload) for side, sender, payload in heard if sender == "copy")
        assert self.count(heard) == (messages - copies).total()

    def test_what_is_old_does_not_count(self) -> None:
        uncarried = Uncarried(1.0)
        uncarried.hear(0, ("a", 1), [b"old"], 0.0)
        uncarried.hear(0, ("a", 1), [b"new"], 0.9)
        assert uncarried.count(never, 1.5) == 1
        assert uncarried.count(never, 2.5) == 0

    def test_it_is_bounded(self) -> None:
        uncarried = Uncarried(1.0)
        uncarried.hear(0, ("a", 1), [bytes(2)] * (MOST + 10), 0.0)
        assert uncarried.count(never, 0.5) == MOST


numbers = st.integers(0, (1 << 62) - 1)
identities = st.builds(Identity, numbers, numbers)
hellos = st.builds(Hello, st.just(7), identities, identities, st.integers(0, 65_535), st.floats(0, 3600), st.booleans())


class TestControlPackets:
    @given(hellos | st.builds(Ask, st.just(7)))
    def test_what_is_said_is_understood(self, packet: Hello | Ask) -> None:
        assert parse_or_none(pack(packet), 7) == packet

    @given(hellos)
    def test_what_concerns_another_group_does_not(self, packet: Hello) -> None:
        assert parse_or_none(pack(packet), 8) is None

    @given(st.binary(max_size=200), st.booleans())
    def test_whatever_strangers_send_is_a_packet_or_nothing(self, data: bytes, marked: bool) -> None:
        packet = parse_or_none(b"RXB1" + data if marked else data, 7)
        assert packet is None or packet.port == 7

    def test_an_age_that_is_no_number_is_nothing(self) -> None:
        me = Identity(1, 2)
        assert parse_or_none(pack(Hello(7, me, me, 0, float("nan"))), 7) is None

    @given(hellos, st.data())
    def test_a_damaged_packet_is_a_packet_or_nothing(self, packet: Hello, data: st.DataObject) -> None:
        whole = bytearray(pack(packet))
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        parse_or_none(bytes(whole), 7)

    def test_nesting_as_deep_as_a_datagram_allows_is_nothing(self) -> None:
        assert parse_or_none(b"RXB1" + b"\x91" * 60_000, 7) is None

    def test_many_ends_go_in_packets_that_fit_in_a_frame(self) -> None:
        ends = [([(f"192.0.2.{number}", 40_000)], (number + 1,)) for number in range(200)]
        packets = [*pack_ends(7, ends)]
        assert max(map(len, packets)) < 1400
        told = [parse_or_none(packet, 7) for packet in packets]
        assert [(end.addresses, end.path) for packet in told if isinstance(packet, Ends) for end in packet.ends] == ends
