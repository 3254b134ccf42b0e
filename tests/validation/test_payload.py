"""What can be sent is sent as it is meant, or refused with advice."""

# pyright: reportDeprecated=false

from __future__ import annotations

import array
import ctypes
import enum
import mmap
from collections.abc import Callable
from typing import Any

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc.validation.payload import as_payload, is_series

LIMIT = 65_507


class Text(str):
    """Encodes itself in a way of its own, which is nobody's business."""

    def encode(self, *_: object, **__: object) -> Any:
        return 5


class Long(bytes):
    def __len__(self) -> int:
        return 3


class Color(enum.StrEnum):
    RED = "red"


class Kind(str, enum.Enum):  # noqa: UP042
    JOIN = "join:"


class Point(ctypes.Structure):
    _fields_ = (("O", ctypes.c_uint8), ("P", ctypes.c_uint8), ("z", ctypes.c_char * 2))


class Linked(ctypes.Structure):
    _fields_ = (("next", ctypes.c_void_p),)


class Packed(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("kind", ctypes.c_char), ("name", ctypes.c_char_p))


class Either(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("pointer", ctypes.POINTER(ctypes.c_int)))


class Inherited(Linked):
    _fields_ = (("more", ctypes.c_int),)


class Nested(ctypes.Structure):
    _fields_ = (("either", Either * 2),)


RIGHT: dict[str, tuple[Any, bytes]] = {
    "text": ("hé", b"h\xc3\xa9"),
    "no text": ("", b""),
    "a str subclass that encodes in a way of its own": (Text("x"), b"x"),
    "StrEnum": (Color.RED, b"red"),
    "str and Enum": (Kind.JOIN, b"join:"),
    "bytes": (b"x", b"x"),
    "a bytes subclass that lies about its length": (Long(b"abcdef"), b"abcdef"),
    "bytearray": (bytearray(b"x"), b"x"),
    "memoryview": (memoryview(b"x"), b"x"),
    "a part": (memoryview(b"abcdef")[1:3], b"bc"),
    "with gaps": (memoryview(b"abcdef")[::2], b"ace"),
    "backwards": (memoryview(b"abcdef")[::-1], b"fedcba"),
    "two dimensions": (memoryview(b"abcdef").cast("B", (2, 3)), b"abcdef"),
    "other items": (memoryview(bytes(8)).cast("I"), bytes(8)),
    "array": (array.array("H", [1, 2]), array.array("H", [1, 2]).tobytes()),
    "array of bytes": (array.array("B", b"xy"), b"xy"),
    "ctypes array": ((ctypes.c_uint8 * 3)(1, 2, 3), b"\1\2\3"),
    "ctypes structure with names like formats": (Point(1, 2, b"ab"), b"\1\2ab"),
    "ctypes array of structures": ((Point * 2)(), bytes(8)),
    "a view of a ctypes structure": (memoryview(Point(1, 2, b"ab")), b"\1\2ab"),
}

WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "None": (lambda: None, "not NoneType; encode it first"),
    "a number": (lambda: 5, "not int; encode it first"),
    "a list": (lambda: [1], "not list; encode it first"),
    "a message": (lambda: ipc.Message(b"x"), r"not Message; send what it holds, message\.data"),
    "a function": (lambda: str.upper, "call it"),
    "lone surrogate": (lambda: "\ud800", "UTF-8 cannot encode.*send bytes instead"),
    "released": (lambda: released(memoryview(b"x")), "the buffer of this memoryview cannot be read.*a copy"),
    "a closed map": (lambda: closed(mmap.mmap(-1, 4096)), "the buffer of this mmap cannot be read"),
    "wide text": (lambda: array.array("u", "hé"), "wide characters; send it as str"),
    "ctypes wide text": (lambda: (ctypes.c_wchar * 3)(), "wide characters; send it as str"),
    "one ctypes number": (lambda: ctypes.c_int(5), "is a number; encode it"),
    **{
        f"pointers: {name}": (value, "are pointers, which mean nothing in another process; encode")
        for name, value in {
            "to objects": lambda: (ctypes.py_object * 2)(1, 2),
            "an object": lambda: ctypes.py_object(1),
            "void": lambda: ctypes.c_void_p(1),
            "text": lambda: (ctypes.c_char_p * 2)(),
            "wide text": lambda: ctypes.c_wchar_p("x"),
            "typed": lambda: (ctypes.POINTER(ctypes.c_int) * 2)(),
            "a function": lambda: ctypes.CFUNCTYPE(None)(lambda: None),
            "in a structure": Linked,
            "in a packed structure": Packed,
            "in a union": Either,
            "nested": lambda: (Nested * 2)(),
            "inherited": Inherited,
            "behind a view": lambda: memoryview(Packed()),
        }.items()
    },
}


def released(view: memoryview) -> memoryview:
    view.release()
    return view


def closed(opened: mmap.mmap) -> mmap.mmap:
    opened.close()
    return opened


@pytest.mark.parametrize(("data", "expected"), RIGHT.values(), ids=RIGHT)
def test_what_is_meant_is_sent(data: Any, expected: bytes) -> None:
    payload = as_payload(data, LIMIT)
    assert bytes(memoryview(payload)) == expected
    assert type(payload) is bytes


@pytest.mark.filterwarnings("ignore:The .u. type code is deprecated:DeprecationWarning")  # since 3.13
@pytest.mark.parametrize(("make", "reason"), WRONG.values(), ids=WRONG)
def test_what_means_nothing_elsewhere_is_refused_with_advice(make: Callable[[], Any], reason: str) -> None:
    with pytest.raises(ipc.InvalidPayload, match=reason):
        as_payload(make(), LIMIT)


def test_a_buffer_whose_type_has_no_format_is_refused() -> None:
    class Odd(bytearray):
        """Its buffer is refused, as that of numpy's datetime64 is."""

        def __buffer__(self, flags: int) -> memoryview:
            raise ValueError("cannot include dtype 'M' in a buffer")

    try:
        memoryview(Odd())
    except ValueError:
        with pytest.raises(ipc.InvalidPayload, match=r"cannot include dtype 'M'.*encode its values"):
            as_payload(Odd(), LIMIT)
    else:
        pytest.skip("this Python does not ask __buffer__ (PEP 688)")


@pytest.mark.parametrize("data", ["x" * 11, b"x" * 11, bytearray(11), memoryview(bytes(22))[::2], "é" * 6])
def test_too_much_is_refused_and_counted(data: Any) -> None:
    with pytest.raises(ipc.PayloadTooLarge) as raised:
        as_payload(data, 10)
    assert raised.value.size in (11, 12)
    assert raised.value.limit == 10


def test_a_map_that_is_far_too_large_is_not_copied_first() -> None:
    import tracemalloc

    with mmap.mmap(-1, 64 << 20) as huge:
        tracemalloc.start()
        try:
            with pytest.raises(ipc.PayloadTooLarge):
                as_payload(huge, LIMIT)  # pyright: ignore[reportArgumentType]
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()


def test_a_payload_is_a_copy_and_its_buffer_free() -> None:
    buffer = bytearray(b"abc")
    payload = as_payload(buffer, LIMIT)
    buffer[:] = b"xyz!"
    assert payload == b"abc"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["a"], True),
        (("a",), True),
        (iter(["a"]), True),
        ({"a"}, True),
        ([], True),
        ("a", False),
        (b"a", False),
        (Text("a"), False),
        (bytearray(b"a"), False),
        (memoryview(b"a"), False),
        (array.array("B", b"a"), False),
        ({"a": 1}, False),
        (5, False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_one_payload_or_a_mapping_is_no_series_of_payloads(value: Any, expected: bool) -> None:
    assert is_series(value) is expected


def test_a_map_of_memory_is_no_series_of_payloads() -> None:
    with mmap.mmap(-1, 4096) as mapped:
        assert not is_series(mapped)


NUMPY: dict[str, Callable[[Any], Any]] = {
    "objects": lambda numpy: numpy.array([None, {}], dtype=object),
    "a field of objects": lambda numpy: numpy.zeros(2, dtype=[("a", "i4"), ("b", object)]),
    "times": lambda numpy: numpy.array(["2020-01-01"], dtype="datetime64[D]"),
    "a time": lambda numpy: numpy.datetime64("2020-01-01"),
    "a span": lambda numpy: numpy.timedelta64(1),
    "text": lambda numpy: numpy.array(["a"]),
    "a number": lambda numpy: numpy.float64(1.5),
}


@pytest.mark.parametrize("make", NUMPY.values(), ids=NUMPY)
def test_arrays_of_numpy_whose_bytes_mean_nothing_elsewhere_are_refused(make: Callable[[Any], Any]) -> None:
    numpy = pytest.importorskip("numpy", reason="needs numpy")
    with pytest.raises(ipc.InvalidPayload):
        as_payload(make(numpy), LIMIT)


def test_arrays_of_numpy_are_sent_row_by_row() -> None:
    numpy = pytest.importorskip("numpy", reason="needs numpy")
    rows = numpy.arange(6, dtype="u1").reshape(2, 3)
    for array_, expected in (
        (rows, range(6)),
        (numpy.asfortranarray(rows), range(6)),
        (rows[:, ::-1], (2, 1, 0, 5, 4, 3)),
        (rows.T, (0, 3, 1, 4, 2, 5)),
    ):
        assert as_payload(array_, LIMIT) == bytes(expected)
    assert as_payload(numpy.str_("hé"), LIMIT) == "hé".encode()
    assert as_payload(numpy.ones(2, dtype="c16"), LIMIT) == numpy.ones(2, dtype="c16").tobytes()
    assert as_payload(numpy.zeros(2, dtype=[("O", "u1"), ("P", "u1")]), LIMIT) == bytes(4)
