"""Keys: made, kept in files, derived; and never shown by accident."""

from __future__ import annotations

import contextlib
import copy
import logging
import multiprocessing
import os
import pickle
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import rx_multicast_ipc as ipc
from rx_multicast_ipc.channel_options import complete

SECRET = bytes(range(32))
KEY = ipc.Key(SECRET)
LINE = "rx-multicast-ipc-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh_DY0QP"


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RX_MULTICAST_IPC_KEY", raising=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "group.key"
    KEY.save(path)
    return path


def test_each_new_key_is_another() -> None:
    assert len({ipc.Key.new().derive(b"") for _ in range(100)}) == 100


def test_a_saved_key_comes_back_and_only_its_user_reads_the_file(file: Path) -> None:
    assert ipc.Key.from_file(file) == KEY
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_saving_replaces_no_file(file: Path) -> None:
    with pytest.raises(ipc.KeyUnreadable, match="there already"):
        ipc.Key.new().save(file)
    assert ipc.Key.from_file(file) == KEY


def test_the_text_of_a_key_file_is_as_documented(file: Path) -> None:
    comment, line = file.read_text().splitlines()
    assert comment.startswith("# key abc058 ")
    assert line == LINE


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\n\n"])
def test_editors_and_shells_may_write_key_files_their_way(tmp_path: Path, encoding: str, newline: str) -> None:
    path = tmp_path / "k"
    path.write_bytes(KEY.reveal().replace("\n", newline).encode(encoding))
    assert ipc.Key.from_file(path) == KEY


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "holds no key"),
        (b"# a comment\n", "holds no key"),
        (SECRET, "holds no key"),
        (b"\x00\xff\xfe" * 50, "holds no key"),
        (b"\xff\xfe\xff", "holds no key"),
        (b"correct horse battery staple", "holds no key"),
        (KEY.reveal().encode()[:-9], "too short"),
        (b"rx-multicast-ipc-key-1:", "too short"),
        (KEY.reveal().encode().replace(b"AAEC", b"AAED"), "changed"),
        (KEY.reveal().strip().encode() + b"A", "changed"),
        (KEY.reveal().encode().replace(b"AAEC", b"A*EC"), "changed"),
        (KEY.reveal().encode().replace(b"AAEC", "AA\u00e9C".encode()), "changed"),
        (2 * KEY.reveal().encode(), "2 keys"),
        (KEY.reveal().encode() + b"#" * 5000, "holds no key"),
    ],
)
def test_a_bad_key_file_says_what_is_wrong_and_shows_nothing_of_it(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "bad.key"
    path.write_bytes(content)
    with pytest.raises(ipc.InvalidKey, match=told) as caught:
        ipc.Key.from_file(path)
    assert "bad.key" in str(caught.value)
    assert "AAEC" not in str(caught.value)
    assert "horse" not in str(caught.value)


@given(st.binary(max_size=300))
@example(b"\xff\xfe")
def test_whatever_is_in_a_key_file_is_a_key_or_an_error_of_ours(content: bytes) -> None:
    with contextlib.suppress(ipc.InvalidKey):
        ipc.Key.parse(content)


@given(st.integers(0, 1000), st.integers(1, 255))
def test_no_changed_character_goes_unnoticed(place: int, change: int) -> None:
    line = bytearray(KEY.reveal().splitlines()[1].encode())
    line[place % len(line)] ^= change
    try:
        changed = ipc.Key.parse(bytes(line))
    except ipc.InvalidKey:
        return
    assert changed == KEY  # some changes are none: a line's end, or what stands after it


def test_a_file_that_cannot_be_read_is_told_with_its_cause(tmp_path: Path) -> None:
    with pytest.raises(ipc.KeyUnreadable, match="rx-multicast-ipc key") as caught:
        ipc.Key.from_file(tmp_path / "none.key")
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    with pytest.raises(ipc.KeyUnreadable, match="cannot be read"):
        ipc.Key.from_file(tmp_path)
    with pytest.raises(ipc.KeyUnreadable, match="cannot be written"):
        KEY.save(tmp_path / "no" / "such" / "folder")


def test_a_key_that_is_taken_for_the_name_of_a_file_is_not_shown() -> None:
    pasted = SECRET.hex()
    with pytest.raises(ipc.KeyUnreadable) as caught:
        ipc.Key.from_file(pasted)
    assert pasted not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="modes of files are POSIX")
def test_a_file_that_everybody_can_read_is_warned_of_once(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert ipc.Key.from_file(file) == KEY
    (record,) = caplog.records
    assert "chmod 600" in record.getMessage()


@pytest.mark.parametrize("secret", [b"", b"x" * 31, b"x" * 33, "x" * 32, None, 32])
def test_what_is_no_key_is_refused_without_being_shown(secret: Any) -> None:
    with pytest.raises(ipc.InvalidKey, match="32 bytes") as caught:
        ipc.Key(secret)
    assert "xxx" not in str(caught.value)


Use = Callable[[Any], Any]

SHOWN: list[Use] = [
    *(repr, str, ascii, format, lambda key: f"{key} {key!r}", lambda key: repr([key]), lambda key: repr({1: key})),
    lambda key: repr(complete({"key": key})),
    lambda key: repr(ipc.InvalidOption(key)),
]


@pytest.mark.parametrize("show", SHOWN)
def test_a_key_is_shown_by_its_hint_alone(show: Use) -> None:
    text = show(KEY)
    assert KEY.hint in text
    for secret in (SECRET.hex(), "AAECAwQF", repr(SECRET)[2:-1]):
        assert secret not in text


LEAKS: list[Use] = [
    *(lambda key, n=n: pickle.dumps(key, n) for n in range(pickle.HIGHEST_PROTOCOL + 1)),
    lambda key: pickle.dumps({"options": {"key": (key,)}}),
    lambda key: multiprocessing.get_context("spawn").Process(target=print, args=(key,)).start(),
    msgspec.json.encode,
    msgspec.msgpack.encode,
    vars,
    bytes,
    list,
]


@pytest.mark.parametrize("leak", LEAKS)
def test_a_key_goes_nowhere_by_accident(leak: Use) -> None:
    with pytest.raises((ipc.Unsupported, TypeError)) as caught:
        leak(KEY)
    assert SECRET.hex() not in str(caught.value)


def test_a_copy_of_a_key_is_the_key() -> None:
    assert copy.copy(KEY) is KEY
    assert copy.deepcopy({"key": KEY})["key"] is KEY


def test_keys_are_equal_where_their_bytes_are() -> None:
    assert ipc.Key(bytes(bytearray(SECRET))) == KEY
    assert len({KEY, ipc.Key(SECRET), ipc.Key.new()}) == 2
    assert KEY != SECRET


def test_passphrases_make_one_key_everywhere() -> None:
    composed, decomposed = "caf\u00e9 au lait for two", "cafe\u0301 au lait for two"
    one = ipc.Key.from_passphrase(composed)
    assert one == ipc.Key.from_passphrase(decomposed)
    assert one != ipc.Key.from_passphrase(composed, "another program")


def test_the_key_of_a_passphrase_is_as_documented() -> None:
    known = "ab19a6a0683b51c177e96a6d99103708b2e3f0cf46c2d033d12e0d07b0889e8f"
    assert ipc.Key.from_passphrase("correct horse battery").derive(b"x").hex() == known


@pytest.mark.parametrize("passphrase", ["", "short", "x" * 11])
def test_a_short_passphrase_is_refused(passphrase: str) -> None:
    with pytest.raises(ipc.InvalidKey, match="12 or more"):
        ipc.Key.from_passphrase(passphrase)


class TestTheEnvironment:
    def test_names_a_file(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RX_MULTICAST_IPC_KEY", str(file))
        assert ipc.Key.from_environment() == KEY
        assert complete({})["key"] == (KEY,)

    def test_may_hold_the_key_itself(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ARENA_KEY", KEY.reveal().splitlines()[1])
        assert ipc.Key.from_environment("ARENA_KEY") == KEY

    def test_may_name_a_ring(self, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        new = ipc.Key.new()
        new.save(tmp_path / "new.key")
        monkeypatch.setenv("RX_MULTICAST_IPC_KEY", f"{tmp_path / 'new.key'}, {file}")
        assert complete({})["key"] == (new, KEY)
        with pytest.raises(ipc.InvalidKey, match="2 keys"):
            ipc.Key.from_environment()

    def test_is_not_asked_by_calls_that_name_a_key_or_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RX_MULTICAST_IPC_KEY", "/no/such.key")
        assert complete({"key": KEY})["key"] == (KEY,)
        assert complete({"key": False})["key"] is False
        with pytest.raises(ipc.KeyUnreadable, match="RX_MULTICAST_IPC_KEY"):
            complete({})

    def test_that_names_no_key_is_an_error_for_who_asks(self) -> None:
        assert complete({})["key"] is False
        with pytest.raises(ipc.InvalidKey, match="RX_MULTICAST_IPC_KEY"):
            ipc.Key.from_environment()

    def test_is_not_shown_where_it_is_wrong(self, monkeypatch: pytest.MonkeyPatch) -> None:
        secret = KEY.reveal().splitlines()[1]
        for wrong in (secret[:-1], secret + "A", SECRET.hex()):
            monkeypatch.setenv("RX_MULTICAST_IPC_KEY", wrong)
            with pytest.raises(ipc.InvalidKey) as caught:
                complete({})
            assert wrong not in str(caught.value)


@pytest.mark.parametrize("key", [(), [], "group.key", b"x" * 32, (KEY, "old"), True, 5, [None], (KEY, None)])
def test_what_is_no_key_of_a_channel_is_refused(key: Any) -> None:
    with pytest.raises(ipc.InvalidKey, match=r"Key\.from_file") as caught:
        complete({"key": key})
    assert "xxx" not in str(caught.value)


def test_a_ring_holds_each_key_once_and_a_bounded_number() -> None:
    other = ipc.Key.new()
    assert complete({"key": [KEY, other, KEY]})["key"] == (KEY, other)
    with pytest.raises(ipc.InvalidOption, match="16 keys"):
        complete({"key": [ipc.Key.new() for _ in range(17)]})


def test_without_cryptography_a_sealed_channel_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("rx_multicast_ipc.transport.sealed.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)
    with pytest.raises(ipc.MissingExtra, match=r"rx-multicast-ipc\[sealed\]"):
        ipc.open_channel(key=KEY)
