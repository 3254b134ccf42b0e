"""The Wireshark dissector reads every packet as this package does."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from rx_multicast_ipc.transport.framed.bundles_and_fragments import first_fragment, whole_body
from rx_multicast_ipc.transport.framed.packet_codec import pack, pack_control
from rx_multicast_ipc.transport.framed.packets import BEGIN, END, Beat, Bye, ControlPacket, Data, Status

from ...capture.packets import HELLO, ipv4, pcap, saved, udp
from ...helpers import PATIENCE, ROOT

DISSECTOR = ROOT / "docs" / "wireshark" / "rx_multicast_ipc.lua"

SESSION, NUMBER = 0xDEADBEEF, 1 << 40

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="needs tshark")


def dissected(folder: Path, *packets: bytes, fields: str) -> list[list[str]]:
    """What tshark reads in each packet: these fields, a packet a row; several values of one between commas."""
    capture = saved(folder, pcap(*(ipv4(udp(packet)) for packet in packets)))
    wanted = [argument for field in fields.split() for argument in ("-e", field)]
    command = ["tshark", "-X", f"lua_script:{DISSECTOR}", "-n", "-r", str(capture), "-T", "fields", *wanted]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE, check=True)
    assert "Lua" not in shown.stderr or "rror" not in shown.stderr, shown.stderr
    return [line.split("\t") for line in shown.stdout.splitlines()]


def data(*messages: bytes) -> bytes:
    return pack(Data(SESSION, NUMBER, *whole_body(messages)))


def test_the_header_of_every_kind_is_read(tmp_path: Path) -> None:
    kinds = [
        data(b"one"),
        pack(Beat(SESSION, NUMBER, 1)),
        pack(Status(SESSION, NUMBER)),
        pack(Bye(SESSION, NUMBER)),
        *(pack_control(ControlPacket(kind, 0, 0, SESSION, NUMBER, b"body")) for kind in range(5, 9)),
    ]
    rows = dissected(tmp_path, *kinds, fields="rxmipc.kind rxmipc.session rxmipc.number")
    assert rows == [[str(kind), f"0x{SESSION:08x}", str(NUMBER)] for kind in range(1, 9)]


@pytest.mark.parametrize(
    "messages", [(b"one",), (b"same", b"size"), (b"of", b"", b"several", b"sizes")], ids=["one", "equal", "unequal"]
)
def test_messages_are_taken_apart(messages: tuple[bytes, ...], tmp_path: Path) -> None:
    ((shown,),) = dissected(tmp_path, data(*messages), fields="rxmipc.message")
    shown = shown.replace("<MISSING>", "")  # what tshark says of no bytes
    assert [bytes.fromhex(message) for message in shown.split(",")] == list(messages)


def test_the_parts_of_a_large_message_are_read(tmp_path: Path) -> None:
    parts = [
        Data(SESSION, 1, BEGIN, 0, first_fragment(9, b"abc")),
        Data(SESSION, 2, 0, 0, b"def"),
        Data(SESSION, 3, END, 0, b"ghi"),
    ]
    rows = dissected(tmp_path, *map(pack, parts), fields="rxmipc.total rxmipc.part")
    assert rows == [["9", b"abc".hex()], ["", b"def".hex()], ["", b"ghi".hex()]]


def test_a_beat_is_read(tmp_path: Path) -> None:
    beat = Beat(SESSION, NUMBER, 77, 3, 0.001234, 5.678, 0xABCDEF, True)
    fields = "rxmipc.oldest rxmipc.count rxmipc.round_trip rxmipc.age rxmipc.answer rxmipc.ask"
    (row,) = dissected(tmp_path, pack(beat), fields=fields)
    assert row[:4] == ["77", "3", "1234", "5678"]
    assert int(row[4], 16) == 0xABCDEF
    assert row[5] in ("1", "True")


def test_a_status_names_what_is_missing(tmp_path: Path) -> None:
    missing = [0, 3, 8, 21]
    bits = sum(1 << place for place in missing)
    status = Status(SESSION, NUMBER, NUMBER + 30, 0.000042, 4096, 0x99, bits, end=0x1234)
    fields = "rxmipc.highest rxmipc.ago rxmipc.room rxmipc.challenge rxmipc.end rxmipc.missing"
    (row,) = dissected(tmp_path, pack(status), fields=fields)
    assert row[:3] == [str(NUMBER + 30), "42", "4096"]
    assert [int(value, 16) for value in row[3:5]] == [0x99, 0x1234]
    assert row[5].split(",") == [str(NUMBER + place) for place in missing]


def test_what_is_sealed_is_shown_as_sealed(tmp_path: Path) -> None:
    sealed = b"\xf6" + bytes.fromhex("a1b2c3") + bytes(range(12)) + (7).to_bytes(8) + bytes(40)
    fields = "rxmipc.sealed.key rxmipc.sealed.salt rxmipc.sealed.counter rxmipc.sealed.tag"
    (row,) = dissected(tmp_path, sealed, fields=fields)
    assert row == ["0xa1b2c3", bytes(range(12)).hex(), "7", bytes(16).hex()]


def test_malformed_packets_are_marked_and_others_left_alone(tmp_path: Path) -> None:
    wrong = [
        pack(Data(SESSION, NUMBER, 7, 3, b"\0\1a\0\1b")),  # three messages, it says, and holds two
        pack(Data(SESSION, NUMBER, 11, 4, b"abcdef")),
        pack(Beat(SESSION, NUMBER, 1))[:-1],
        pack(Status(SESSION, NUMBER)) + b"x",
    ]
    rows = dissected(tmp_path, *wrong, data(b"sound"), b"raw text", fields="rxmipc.kind rxmipc.malformed")
    assert [bool(row[1]) for row in rows] == [True] * 4 + [False] * 2
    assert rows[-1] == ["", ""]


def test_any_bytes_are_survived(tmp_path: Path) -> None:
    whole = [data(b"of", b"several", b"sizes"), pack(Status(SESSION, NUMBER, missing=0xFFFF)), pack(Beat(1, 1, 1))]
    cut = [packet[:size] for packet in whole for size in range(len(packet))]
    flipped = [bytes([packet[0], packet[1] ^ bits, *packet[2:]]) for packet in whole for bits in range(256)]
    rows = dissected(tmp_path, *cut, *flipped, fields="frame.number _ws.lua.error")
    assert [row[0] for row in rows] == [str(number) for number in range(1, len(cut) + len(flipped) + 1)]
    assert {row[1] for row in rows} == {""}


def test_the_example_capture_of_raw_traffic_is_untouched(tmp_path: Path) -> None:
    capture = saved(tmp_path, pcap(HELLO))
    command = ["tshark", "-X", f"lua_script:{DISSECTOR}", "-r", str(capture)]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=3 * PATIENCE, check=True).stdout
    assert "RXMIPC" not in shown
