"""Payloads that transports may stumble over: the same ones at every run."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Final

_SIZES: Final = (0, 1, 2, 7, 63, 64, 65, 511, 1000, 1471, 1472, 1473, 4096, 8192, 8193, 32_768, 40_000)
"""Bytes: around powers of two, and around what one Ethernet frame carries."""

_ON_THE_WAY: Final = 48_000, 40
"""Bytes and datagrams that the smallest of receive buffers holds."""


def awkward(limit: int) -> list[bytes]:
    """Payloads of awkward sizes to ``limit`` bytes, all different, some of them in a row of equal sizes."""
    random = Random(0)
    sizes = [*_SIZES, limit - 1, limit, 0, limit, 1, 1]
    return [random.randbytes(size) for size in sizes]


def runs(limit: int) -> Iterator[list[bytes]]:
    """Lists of payloads, each for one ``send_many``: runs of equal and of different sizes, large and small ones."""
    random = Random(1)
    yield [b"x"]
    yield [b""] * 5
    yield [random.randbytes(limit), b"", random.randbytes(limit)]
    for _ in range(40):
        payloads: list[bytes] = []
        room, most = _ON_THE_WAY
        while len(payloads) < most and room > 0:
            size = min(room, random.choice((random.choice(_SIZES), random.randrange(2000), 64)))
            times = min(random.randrange(1, 20), room // max(1, size), most - len(payloads))
            payloads += [random.randbytes(size) for _ in range(max(1, times))]
            room -= max(1, times) * (size + 500)
        yield payloads
