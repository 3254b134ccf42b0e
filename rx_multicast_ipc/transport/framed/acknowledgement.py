"""Somebody who waits until a message is acknowledged."""

from __future__ import annotations

from collections.abc import Callable

from reactivex.disposable import Disposable

from ...reliable import Acknowledged
from .outgoing import Mark


class Acknowledgement(Disposable):
    """Somebody who waits until a message is acknowledged; disposing ends the wait.

    Attributes:
        mark: the message.
    """

    def __init__(
        self, mark: Mark, done: Callable[[Acknowledged], None], forget: Callable[[Acknowledgement], None]
    ) -> None:
        super().__init__(lambda: forget(self))
        self.mark = mark
        self._done = done

    def tell(self, acknowledged: Acknowledged, _scheduler: object, _state: object) -> None:
        if not self.is_disposed:
            self._done(acknowledged)
