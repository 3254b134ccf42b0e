"""The seal: as documented, and nothing that was changed opens."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from rx_multicast_ipc import Key
from rx_multicast_ipc.transport.sealed import challenge_packet, packet_cipher
from rx_multicast_ipc.transport.sealed.packet_cipher import Opener, Sealer, end_text, session_key
from rx_multicast_ipc.transport.sealed.replay_table import ReplayTable
from rx_multicast_ipc.transport.sealed.wire_format import COUNTER_LIMIT, PREFIX_SIZE, hint_of, looks_sealed

from ...helpers import ROOT
from .known_answers import known_answers

VECTORS: Any = msgspec.json.decode((ROOT / "docs" / "sealed_vectors.json").read_bytes())
GROUP = ("224.0.2.1", 61088)


def from_hex(text: str) -> bytes:
    return bytes.fromhex(text)


def target_of(vector: Any) -> bytes:
    if vector["session"] is not None:
        return from_hex(vector["session"])
    return b"" if vector["destination"] is None else end_text(tuple(vector["destination"]))


def counting(numbers: Iterable[int]) -> Callable[[int], Iterator[int]]:
    """In place of itertools.count: these numbers."""
    return lambda _: iter(numbers)


@pytest.mark.parametrize("vector", VECTORS["datagrams"], ids=lambda vector: vector["what"])
class TestKnownAnswers:
    def test_sealing(self, vector: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        key, group = Key(from_hex(vector["key"])), tuple(vector["group"])
        monkeypatch.setattr(packet_cipher, "count", counting([vector["counter"]]))
        seal = Sealer(key, group, from_hex(vector["salt"]))
        assert key.hint == vector["hint"]
        assert session_key(key, from_hex(vector["salt"]), group).hex() == vector["session_key"]
        assert seal.seal(from_hex(vector["packet"]), target_of(vector)).hex() == vector["datagram"]

    def test_opening(self, vector: Any) -> None:
        key, group, datagram = Key(from_hex(vector["key"])), tuple(vector["group"]), from_hex(vector["datagram"])
        target = target_of(vector)
        opener = Opener(key, group, datagram[:PREFIX_SIZE])
        assert looks_sealed(datagram)
        assert hint_of(datagram) == vector["hint"]
        packet = opener.open(datagram, target)
        assert packet is not None
        assert packet.hex() == vector["packet"]
        assert opener.open(datagram, target + b"0") is None


def test_the_known_answers_are_what_the_guide_says() -> None:
    """As far as a script that follows it, and shares no code with the package, understands it."""
    assert msgspec.json.decode(msgspec.json.encode(known_answers())) == VECTORS


@pytest.mark.parametrize("vector", VECTORS["datagrams"], ids=lambda vector: vector["what"])
def test_challenges_are_read_as_they_were_written(vector: Any) -> None:
    packet = from_hex(vector["packet"])
    found = challenge_packet.parse(packet)
    assert (found is not None) == challenge_packet.is_challenge(packet)
    if found is not None:
        assert challenge_packet.pack(found) == packet


def test_known_answers_of_key_files_and_passphrases() -> None:
    for file in VECTORS["key_files"]:
        assert Key.parse(file["line"]) == Key(from_hex(file["key"]))
    for made in VECTORS["passphrases"]:
        assert Key.from_passphrase(made["passphrase"], made["context"]) == Key(from_hex(made["key"]))


def test_what_an_end_is_called_does_not_depend_on_how_its_address_is_written() -> None:
    assert end_text(("FE80:0::1%eth0", 5)) == end_text(("fe80::1%3", 5)) == b"fe80::1 5"
    assert end_text(("NATS session 7", 5)) == b"NATS session 7 5"


@pytest.mark.parametrize(
    "other",
    [
        (Key(bytes(32)), GROUP),
        (Key(bytes(31) + b"\1"), ("224.0.2.2", 61088)),
        (Key(bytes(31) + b"\1"), ("224.0.2.1", 61089)),
    ],
    ids=["key", "group", "port"],
)
def test_what_is_sealed_for_one_group_and_key_opens_with_no_other(other: Any) -> None:
    key, group = other
    datagram = Sealer(Key(bytes(31) + b"\1"), GROUP, os.urandom(12)).seal(b"packet")
    assert Opener(Key(bytes(31) + b"\1"), GROUP, datagram[:PREFIX_SIZE]).open(datagram) == b"packet"
    assert Opener(key, group, datagram[:PREFIX_SIZE]).open(datagram) is None


def test_a_packet_to_one_end_opens_as_no_other() -> None:
    seal = Sealer(Key.new(), GROUP, os.urandom(12))
    opener = Opener(seal.key, GROUP, seal.prefix)
    direct = seal.seal(b"for you", end_text(("192.0.2.7", 5)))
    for wrong in (b"", end_text(("192.0.2.7", 6)), end_text(("192.0.2.8", 5)), seal.prefix):
        assert opener.open(direct, wrong) is None
    to_session = seal.seal(b"for you", seal.prefix)
    assert opener.open(to_session, seal.prefix) == b"for you"
    assert opener.open(to_session, seal.prefix[:-1] + b"0") is opener.open(to_session) is None
    assert opener.open(seal.seal(b"for all"), end_text(("192.0.2.7", 5))) is None


def test_every_changed_bit_is_noticed() -> None:
    seal = Sealer(Key.new(), GROUP, os.urandom(12))
    opener = Opener(seal.key, GROUP, seal.prefix)
    datagram = seal.seal(b"0123456789")
    for place in range(8 * len(datagram)):
        changed = bytearray(datagram)
        changed[place // 8] ^= 1 << place % 8
        assert Opener(seal.key, GROUP, bytes(changed[:PREFIX_SIZE])).open(bytes(changed)) is None
        assert opener.open(bytes(changed)) is None or bytes(changed[:PREFIX_SIZE]) != seal.prefix


def test_a_counter_that_is_used_up_ends_the_salt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packet_cipher, "count", counting(range(COUNTER_LIMIT - 1, COUNTER_LIMIT + 5)))
    seal = Sealer(Key.new(), GROUP, os.urandom(12))
    seal.seal(b"the last one")
    with pytest.raises(OverflowError):
        seal.seal(b"one more")


def test_the_aead_is_the_standard_one() -> None:
    """The first vector, by AES-GCM and its header alone."""
    vector = VECTORS["datagrams"][0]
    datagram = from_hex(vector["datagram"])
    aead = AESGCM(from_hex(vector["session_key"]))
    opened = aead.decrypt(bytes(4) + datagram[16:24], datagram[24:], datagram[:24])
    assert opened.hex() == vector["packet"]


class TestReplayTable:
    def test_takes_each_number_once_however_late(self) -> None:
        chance = random.Random(1)
        table, size = ReplayTable(64), 64
        numbers = sorted(range(1, 2000), key=lambda number: number + chance.random() * size / 2)
        assert [number for number in numbers if not table.take(number)] == []
        assert [number for number in numbers if table.take(number)] == []

    def test_takes_nothing_twice_whatever_comes(self) -> None:
        chance = random.Random(2)
        table = ReplayTable(16)
        taken: set[int] = set()
        for _ in range(20_000):
            number = chance.randrange(1, 500)
            known = table.was_taken(number)
            if table.take(number):
                assert number not in taken
                assert not known
                taken.add(number)
            else:
                assert known

    def test_number_zero_is_none(self) -> None:
        assert not ReplayTable(16).take(0)

    def test_takes_what_was_skipped_while_nothing_newer_is_at_its_place(self) -> None:
        table = ReplayTable(16)
        assert table.take(100)
        assert table.take(1)
        assert not table.take(84)  # the place of 100


def test_challenges_come_back_as_they_went() -> None:
    one = challenge_packet.Challenge(bytes(range(16)), bytes(range(16, 32)), 1.5, 7, b"192.0.2.7 5", is_there=True)
    assert challenge_packet.parse(challenge_packet.pack(one)) == one
    assert challenge_packet.is_challenge(challenge_packet.pack(one))
    packed = challenge_packet.pack(one)
    for damaged in (packed[:63], packed + bytes(255), b"\xf5\x92" + packed[2:], packed[:2] + b"x" + packed[3:], b""):
        assert challenge_packet.parse(damaged) is None
