"""iceoryx2: a publisher to a subscriber through shared memory, which one machine alone has; its queue is polled."""

from __future__ import annotations

import ctypes
import threading
import time

import iceoryx2

from .base import paced

_LARGEST = 65_536
_QUEUE = 65_536


def _service(port: int) -> iceoryx2.PortFactoryPublishSubscribe:
    node = iceoryx2.NodeBuilder.new().create(iceoryx2.ServiceType.Ipc)
    return (
        node.service_builder(iceoryx2.ServiceName.new(f"bench/{port}"))
        .publish_subscribe(iceoryx2.Slice[ctypes.c_uint8])
        .subscriber_max_buffer_size(_QUEUE)
        .enable_safe_overflow(False)
        .open_or_create()
    )


class Sender:
    def __init__(self, port: int) -> None:
        self._service = _service(port)
        self._publisher = self._service.publisher_builder().initial_max_slice_len(_LARGEST).create()

    def send(self, payload: bytes, count: int, rate: float | None) -> float:
        loan, size = self._publisher.loan_slice_uninit, len(payload)

        def burst(number: int) -> None:
            for _ in range(number):
                sample = loan(size)
                ctypes.memmove(sample.payload().as_ptr(), payload, size)
                sample.assume_init().send()

        return paced(burst, count, rate)

    def close(self) -> None:
        pass


class Receiver:
    def __init__(self, port: int) -> None:
        self.count = 0
        self._service = _service(port)
        self._subscriber = self._service.subscriber_builder().buffer_size(_QUEUE).create()
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        while True:
            sample = self._subscriber.receive()
            if sample is None:
                time.sleep(0.0005)
            else:
                self.count += 1

    def close(self) -> None:
        pass
