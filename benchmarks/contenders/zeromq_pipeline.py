"""ZeroMQ, whose receiver brings what it hears into a Subject, to ``filter``, ``map`` and a subscriber."""

from __future__ import annotations

from typing import Any

from reactivex import operators as ops
from reactivex.subject import Subject

from . import zeromq

Sender = zeromq.Sender


class Receiver(zeromq.Receiver):
    def _receive(self) -> None:
        receive, heard = self._socket.recv, Subject[Any]()
        heard.pipe(ops.filter(lambda data: len(data) > 0), ops.map(lambda data: data)).subscribe(self._on_next)
        while True:
            heard.on_next(receive())

    def _on_next(self, _: bytes) -> None:
        self.count += 1
