"""Errors go from process to process, and come out as they went in."""

from __future__ import annotations

import copy
import importlib
import pickle
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import rx_multicast_ipc as ipc
from rx_multicast_ipc import errors

MESSAGE = ipc.Message(b"x", "10.0.0.2", 7)

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "PayloadTooLarge": (70_000, 65_507),
    "UnknownOption": ("iface", ("interface", "ttl"), "interface"),
    "MessageTimeout": (2.5, "answer"),
    "MessagesMissing": (ipc.Gap(("192.0.2.1", 5), 3, "the sender left"),),
    "DecodeFailed": (MESSAGE, ValueError("bad")),
    "BufferOverflow": (10,),
    "MissingExtra": ("live()", "anywidget", "notebook"),
    "CaptureCorrupt": ("x.pcap", 24, "a packet is cut"),
}
"""What errors are made with that are not made with a text alone."""

WAYS: dict[str, Callable[[Any], Any]] = {
    **{f"pickle {n}": lambda e, n=n: pickle.loads(pickle.dumps(e, n)) for n in range(2, pickle.HIGHEST_PROTOCOL + 1)},
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


def tree(root: type[BaseException]) -> Iterator[type[BaseException]]:
    yield root
    for kind in root.__subclasses__():
        yield from tree(kind)


def load_everything() -> None:
    """Errors may be defined anywhere; what needs an extra that is not here is left out."""
    for module in pkgutil.walk_packages(ipc.__path__, "rx_multicast_ipc.", onerror=lambda _: None):
        if not module.name.endswith("__main__"):
            try:
                importlib.import_module(module.name)
            except ImportError:
                assert module.name.partition(".")[2].startswith(("notebook", "cli", "_pyinstaller")), module.name


load_everything()

OURS = {
    kind: None
    for root in (errors.MulticastError, errors.NeverSubscribedWarning)
    for kind in tree(root)
    if kind.__module__.startswith("rx_multicast_ipc")
}


def made(kind: type[BaseException]) -> BaseException:
    error = kind(*ARGUMENTS.get(kind.__name__, ("what happened, and what to do next",)))
    error.add_note("a note")
    if isinstance(error, ipc.SendFailed):
        error.sent = 7
    return error


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", OURS, ids=lambda kind: kind.__name__)
def test_an_error_survives_the_way_between_processes(kind: type[BaseException], way: str) -> None:
    error = made(kind)
    survivor = WAYS[way](error)
    assert type(survivor) is kind
    assert (str(survivor), repr(survivor)) == (str(error), repr(error))
    assert vars(survivor) == vars(error)


def test_what_a_decoder_raised_need_not_survive_itself() -> None:
    class Refused(Exception):
        def __init__(self, *, why: str) -> None:
            super().__init__(f"refused: {why}")

    error = ipc.DecodeFailed(MESSAGE, Refused(why="a local class, made with a keyword"))
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(error).endswith("from 10.0.0.2:7: refused: a local class, made with a keyword")


def test_a_missing_extra_says_what_to_install() -> None:
    assert str(ipc.MissingExtra("live()", "anywidget", "notebook")) == (
        "live() needs anywidget; install it: pip install 'rx-multicast-ipc[notebook]'"
    )
    assert str(ipc.MissingExtra("to_frame()", "pandas or polars")).endswith("pip install pandas")
