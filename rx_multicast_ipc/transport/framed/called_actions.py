"""Actions that were called for, until they run on the I/O thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count

from ...subscribing.subscriber_errors import is_for_the_caller, report
from ..base import Transport


class CalledActions:
    """Actions on their way to the I/O thread of a transport, which an end around it may run earlier.

    A message that an end delivers from memory has not passed the transport inside, so it would overtake what was called
    for there: before it is delivered, :meth:`run` brings that about.

    Args:
        transport: the one inside.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._waiting: dict[int, Callable[[], None]] = {}
        self._numbers = count()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def call(self, action: Callable[[], None]) -> None:
        """Run it on the I/O thread: at once when there, else as soon as it is free; from any thread."""
        number = next(self._numbers)
        self._waiting[number] = action  # before anything that is sent after this call
        try:
            self._transport.call(partial(self._run_one, number))
        except BaseException:
            self._waiting.pop(number, None)
            raise

    def run(self) -> None:
        """Run those that were called for by now, in order; on the I/O thread."""
        for number in list(self._waiting):
            try:
                self._run_one(number)
            except BaseException as error:
                if is_for_the_caller(error):
                    raise  # the others run when the transport comes to them
                report(error)

    def clear(self) -> None:
        """Run none of them any more."""
        self._waiting.clear()

    def _run_one(self, number: int) -> None:
        action = self._waiting.get(number)
        if action is None:
            return
        try:
            del self._waiting[number]  # no call between this and the action's
        except KeyError:  # who called for it was interrupted, and took it back
            return
        action()
