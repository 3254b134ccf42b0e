"""Where an end's random numbers come from."""

from __future__ import annotations

from random import Random, SystemRandom

from .base import Transport


def random_of(transport: Transport) -> Random:
    """What draws sessions, challenges, salts and waits of an end: nobody can guess it.

    An end in virtual time has a ``random`` of its own, of its network's seed, so that the same program sends the same
    packets. There is nobody from whom to hide them.
    """
    return getattr(transport, "random", None) or SystemRandom()
