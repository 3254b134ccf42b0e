"""What the library logs, on the spy's screen."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from rich.markup import escape
from textual.app import App


class Notices(logging.Handler):
    """Shows what the library logs on the screen, instead of writing over it."""

    def __init__(self, app: App[Any]) -> None:
        super().__init__(logging.WARNING)
        self._app = app
        self._logger = logging.getLogger("rx_multicast_ipc")
        self._replaced: list[logging.Handler] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def take_over(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._replaced, self._logger.handlers = self._logger.handlers, [self]

    def give_back(self) -> None:
        if self._loop is not None:
            self._logger.handlers = self._replaced
            self._loop = None

    def emit(self, record: logging.LogRecord) -> None:
        if self._loop is not None:
            text = escape(record.getMessage())
            self._loop.call_soon_threadsafe(lambda: self._app.notify(text, severity="warning"))
