# pyright: basic, reportMissingImports=false
"""Who takes part: each opens a sender on one host and receivers on others, and says what it lacks to do so.

Settings are what each one's guide recommends for delivery without loss: no high-water mark, blocking congestion
control, reliable and keep-all quality of service.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, Protocol

SENDER_ADDRESS = "10.77.0.1"
"""Of the host that sends."""

Hear = Callable[[bytes], None]


class Sender(Protocol):
    """What a contender's sender does."""

    def send(self, data: bytes) -> None: ...
    def send_all(self, messages: Sequence[bytes]) -> None: ...
    def close(self) -> None: ...


class Contender(Protocol):
    """One of those that are compared."""

    name: str

    def missing(self) -> str:
        """What it lacks on this machine; empty if nothing."""
        ...

    def sender(self, receivers: int) -> Sender:
        """Open the end that sends, and wait until its receivers are there."""
        ...

    def hear(self, hear: Hear) -> Callable[[], None]:
        """Open an end that hears; returns what closes it."""
        ...


def _lacks(module: str, package: str) -> str:
    return "" if find_spec(module) else f"pip install {package}"


class Ours:
    """Reliable channels of this package."""

    name = "rx_multicast_ipc, reliable"
    options: dict[str, Any] = {"reliable": True}  # noqa: RUF012

    def missing(self) -> str:
        return ""

    def sender(self, receivers: int) -> Sender:
        import rx_multicast_ipc as ipc

        channel = ipc.open_channel(interface="eth0", backlog=1, echo=False, **self.options)
        time.sleep(1.0)
        return _OurSender(channel)

    def hear(self, hear: Hear) -> Callable[[], None]:
        import rx_multicast_ipc as ipc

        channel = ipc.open_channel(interface="eth0", backlog=1, **self.options)

        def take(batch: list[ipc.Message]) -> None:
            for message in batch:
                hear(message.data)

        channel.batches.subscribe(take)
        return channel.close


class Raw(Ours):
    """Raw channels of this package, which repair nothing."""

    name = "rx_multicast_ipc, raw"
    options: dict[str, Any] = {}  # noqa: RUF012


class _OurSender:
    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def send(self, data: bytes) -> None:
        self._channel.broadcast(data).subscribe(on_error=_raise)

    def send_all(self, messages: Sequence[bytes]) -> None:
        import rx_multicast_ipc as ipc

        ipc.run(self._channel.broadcast_all(messages))

    def close(self) -> None:
        self._channel.close()


class ZeroMq:
    """ZeroMQ publish and subscribe over TCP, without a high-water mark."""

    name = "ZeroMQ, TCP"
    port = 5599

    def missing(self) -> str:
        return _lacks("zmq", "pyzmq")

    def endpoint(self, host: str) -> str:
        return f"tcp://{host}:{self.port}"

    def sender(self, receivers: int) -> Sender:
        import zmq

        socket = zmq.Context.instance().socket(zmq.XPUB)
        socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        socket.set_hwm(0)
        socket.bind(self.endpoint("*"))
        for _ in range(receivers):
            socket.recv()
        return _ZeroMqSender(socket)

    def hear(self, hear: Hear) -> Callable[[], None]:
        import zmq

        socket = zmq.Context.instance().socket(zmq.SUB)
        socket.set_hwm(0)
        socket.connect(self.endpoint(SENDER_ADDRESS))
        socket.subscribe(b"")

        def read() -> None:
            while True:
                hear(socket.recv())

        threading.Thread(target=read, daemon=True).start()
        return lambda: None


class _ZeroMqSender:
    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self.send = socket.send

    def send_all(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            self._socket.send(message)

    def close(self) -> None:
        self._socket.close(linger=10_000)


class Norm(ZeroMq):
    """NORM (RFC 5740) below ZeroMQ."""

    name = "NORM, through ZeroMQ"

    def missing(self) -> str:
        if lacks := super().missing():
            return lacks
        import zmq

        return "" if zmq.has("norm") else "a libzmq with NORM: pip install pyzmq --no-binary pyzmq, with libnorm-dev"

    def endpoint(self, host: str) -> str:
        return "norm://eth0;239.77.0.1:5599"

    def sender(self, receivers: int) -> Sender:
        import zmq

        socket = zmq.Context.instance().socket(zmq.PUB)
        socket.set_hwm(0)
        socket.connect(self.endpoint(""))
        time.sleep(2.0)
        return _ZeroMqSender(socket)


class Zenoh:
    """Zenoh publish and subscribe over TCP, reliable, blocking where it is congested."""

    name = "Zenoh, TCP"

    def missing(self) -> str:
        return _lacks("zenoh", "eclipse-zenoh")

    def _open(self, key: str, host: str) -> Any:
        import zenoh

        config = zenoh.Config()
        config.insert_json5("mode", '"peer"')
        config.insert_json5("scouting/multicast/enabled", "false")
        config.insert_json5(f"{key}/endpoints", f'["tcp/{host}:7447"]')
        return zenoh.open(config)

    def sender(self, receivers: int) -> Sender:
        import zenoh

        session = self._open("listen", "0.0.0.0")
        publisher = session.declare_publisher(
            "benchmark", congestion_control=zenoh.CongestionControl.BLOCK, reliability=zenoh.Reliability.RELIABLE
        )
        deadline = time.monotonic() + 15
        while len(list(session.info.peers_zid())) < receivers and time.monotonic() < deadline:
            time.sleep(0.05)
        while not publisher.matching_status.matching and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1.0)
        return _ZenohSender(session, publisher)

    def hear(self, hear: Hear) -> Callable[[], None]:
        session = self._open("connect", SENDER_ADDRESS)
        session.declare_subscriber("benchmark", lambda sample: hear(sample.payload.to_bytes()))
        return session.close


class _ZenohSender:
    def __init__(self, session: Any, publisher: Any) -> None:
        self._session = session
        self.send = publisher.put

    def send_all(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            self.send(message)

    def close(self) -> None:
        self._session.close()


class CycloneDds:
    """Eclipse Cyclone DDS over multicast, reliable, keeping all."""

    name = "CycloneDDS"

    def missing(self) -> str:
        return _lacks("cyclonedds", "cyclonedds")

    def _topic(self) -> tuple[Any, Any, Any, Any]:
        import os

        os.environ["CYCLONEDDS_URI"] = (
            "<CycloneDDS><Domain><General><Interfaces><NetworkInterface name='eth0'/></Interfaces>"
            "<AllowMulticast>true</AllowMulticast></General></Domain></CycloneDDS>"
        )
        from cyclonedds.core import Policy, Qos
        from cyclonedds.domain import DomainParticipant
        from cyclonedds.topic import Topic
        from cyclonedds.util import duration

        participant = DomainParticipant(0)
        qos = Qos(Policy.Reliability.Reliable(duration(seconds=10)), Policy.History.KeepAll)
        from .dds_type import Sample

        return participant, Topic(participant, "benchmark", Sample, qos=qos), qos, Sample

    def sender(self, receivers: int) -> Sender:
        from cyclonedds.pub import DataWriter

        participant, topic, qos, sample = self._topic()
        writer = DataWriter(participant, topic, qos=qos)
        deadline = time.monotonic() + 15
        while len(writer.get_matched_subscriptions()) < receivers and time.monotonic() < deadline:
            time.sleep(0.05)
        return _DdsSender(writer, sample)

    def hear(self, hear: Hear) -> Callable[[], None]:
        from cyclonedds.sub import DataReader

        participant, topic, qos, _ = self._topic()
        reader = DataReader(participant, topic, qos=qos)

        def read() -> None:
            while True:
                for sample in reader.take_iter(timeout=1_000_000_000):
                    hear(bytes(sample.data))

        threading.Thread(target=read, daemon=True).start()
        return lambda: None


class _DdsSender:
    def __init__(self, writer: Any, sample: Any) -> None:
        self._writer = writer
        self._sample = sample

    def send(self, data: bytes) -> None:
        self._writer.write(self._sample(data=data))

    def send_all(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            self.send(message)

    def close(self) -> None:
        pass


class Lcm:
    """LCM over multicast, which repairs nothing: what is lost of a large message loses it whole."""

    name = "LCM"

    def missing(self) -> str:
        return _lacks("lcm", "lcm")

    def _open(self) -> Any:
        import lcm

        return lcm.LCM("udpm://239.255.76.67:7667?ttl=1&recv_buf_size=33554432")

    def sender(self, receivers: int) -> Sender:
        time.sleep(1.0)
        return _LcmSender(self._open())

    def hear(self, hear: Hear) -> Callable[[], None]:
        end = self._open()
        end.subscribe("benchmark", lambda _channel, data: hear(data)).set_queue_capacity(0)

        def read() -> None:
            while True:
                end.handle()

        threading.Thread(target=read, daemon=True).start()
        return lambda: None


class _LcmSender:
    def __init__(self, end: Any) -> None:
        self._end = end

    def send(self, data: bytes) -> None:
        self._end.publish("benchmark", data)

    def send_all(self, messages: Sequence[bytes]) -> None:
        for message in messages:
            self.send(message)

    def close(self) -> None:
        pass


def _raise(error: Exception) -> None:
    raise error


CONTENDERS: dict[str, Contender] = {
    "ours": Ours(),
    "raw": Raw(),
    "zeromq": ZeroMq(),
    "zenoh": Zenoh(),
    "cyclonedds": CycloneDds(),
    "norm": Norm(),
    "lcm": Lcm(),
}
