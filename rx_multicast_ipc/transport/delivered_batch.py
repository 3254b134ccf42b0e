"""The batch of messages that is being delivered on a thread, and what its subscribers send meanwhile."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol, cast

from ..subscribing.subscriber_errors import report, tell_all

_QUICK: Final = 200e-6
"""Seconds between two sends of subscribers that are quick: a slow one's would wait for long."""


class Gathered(Protocol):
    """Whose sends wait for each other: who does not look at each one's end. Told on any thread."""

    def went(self, count: int) -> None:
        """So many more of its payloads are out; one call at a time, with the sender's lock held."""
        ...

    def was_refused(self, error: Exception) -> None:
        """One was not sent, nor will those be that waited behind it. May be told twice, and by two threads."""
        ...


class Gathers(Protocol):
    """What a transport has, beside its contract, that lets sends wait for each other."""

    def send_soon(self, payload: bytes, whose: Gathered = ...) -> bool:
        """Send to the group, at the end of the batch at the latest; whether it waits for that.

        Whatever is sent later, by any thread, leaves later. Raises what ``send`` does; what is refused after it
        returned is told to ``whose``.
        """
        ...

    def send_gathered(self) -> None:
        """Send what waits, or have it sent as soon as the send buffer has space."""
        ...

    def gathers_for(self, whose: Gathered) -> bool:
        """Whether something waits that is of ``whose``, or was refused and not told yet."""
        ...


class _NobodyLooks:
    """The one behind ``broadcast(x).subscribe()``: what fails is reported."""

    def went(self, count: int) -> None:
        pass

    def was_refused(self, error: Exception) -> None:
        report(error)


NOBODY_LOOKS: Final[Gathered] = _NobodyLooks()
"""Each of its payloads stands for itself."""


class DeliveredBatch:
    """Lets what quick subscribers send one after the other wait for each other, to the end of the batch at most.

    Who delivers it sets ``HERE.batch`` to it, and back, and calls :meth:`end` then.

    The first send, and each one that comes a while after the one before, leaves at once: so a subscriber that sends and
    then takes its time, or waits for what comes of it, holds back nothing. One that sends twice in quick succession and
    takes its time then holds back the second.
    """

    def __init__(self) -> None:
        self._last_send = float("-inf")
        self._at_end: dict[Callable[[], None], None] = {}

    def is_quick(self) -> bool:
        """Whether a send follows the last one closely."""
        return time.monotonic() - self._last_send < _QUICK

    def sends(self) -> None:
        """A send was made, or waits."""
        self._last_send = time.monotonic()

    def at_end(self, action: Callable[[], None]) -> None:
        """Run ``action`` when the batch is delivered: once, however often this is asked for.

        A second time where a signal handler raises at the end of the batch: then nothing is to be left to do.
        """
        self._at_end[action] = None

    def end(self) -> None:
        """Run what is to be run now; for who delivered the batch."""
        tell_all(self._at_end)

    def forget(self) -> None:
        """Run nothing at its end."""
        self._at_end.clear()


class _Here(threading.local):
    """What this thread delivers now, and sends.

    Attributes:
        batch: of several messages; else None.
        sent: whether anything was sent since somebody last looked.
    """

    batch: DeliveredBatch | None = None
    sent = False


HERE: Final = _Here()


def gathers(sender: object) -> Gathers | None:
    """``sender``, if it can let what this thread sends right now wait for more."""
    return cast("Gathers", sender) if HERE.batch is not None and hasattr(sender, "send_soon") else None


def _forget() -> None:
    """Leave the parent's batch to the parent, in a forked child: what is sent there waits for nothing."""
    batch, HERE.batch = HERE.batch, None
    if batch is not None:
        batch.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
