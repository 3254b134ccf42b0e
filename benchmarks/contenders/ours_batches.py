"""This package, with a subscriber to ``batches``: ``broadcast_all`` to one list a read."""

from __future__ import annotations

import rx_multicast_ipc as ipc

from . import ours

Sender = ours.Sender


class Receiver(ours.Receiver):
    def subscribe(self, channel: ipc.Channel) -> None:
        channel.batches.subscribe(self.on_batch)

    def on_batch(self, batch: list[ipc.Message]) -> None:
        self.count += len(batch)
