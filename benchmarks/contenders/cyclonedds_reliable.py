"""CycloneDDS: a reliable writer that keeps all to a reader, on loopback."""

import os
import threading
from dataclasses import dataclass

os.environ.setdefault(
    "CYCLONEDDS_URI",
    "<CycloneDDS><Domain><General><Interfaces><NetworkInterface name='lo' multicast='true'/></Interfaces>"
    "</General></Domain></CycloneDDS>",
)

from cyclonedds.core import Policy, Qos, ReadCondition, SampleState, WaitSet
from cyclonedds.domain import DomainParticipant
from cyclonedds.idl import IdlStruct
from cyclonedds.idl.types import sequence, uint8
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic
from cyclonedds.util import duration

from .base import paced

_QOS = Qos(Policy.Reliability.Reliable(duration(seconds=10)), Policy.History.KeepAll)


@dataclass
class Payload(IdlStruct):
    data: sequence[uint8]


class Sender:
    def __init__(self, port: int) -> None:
        participant = DomainParticipant(0)
        self._writer = DataWriter(participant, Topic(participant, f"bench{port}", Payload), qos=_QOS)

    def send(self, payload: bytes, count: int, rate: float | None) -> float:
        write, sample = self._writer.write, Payload(payload)  # pyright: ignore[reportArgumentType]

        def burst(number: int) -> None:
            for _ in range(number):
                write(sample)

        return paced(burst, count, rate)

    def close(self) -> None:
        pass


class Receiver:
    def __init__(self, port: int) -> None:
        self.count = 0
        participant = DomainParticipant(0)
        self._reader = DataReader(participant, Topic(participant, f"bench{port}", Payload), qos=_QOS)
        self._waiting = WaitSet(participant)
        self._waiting.attach(ReadCondition(self._reader, SampleState.NotRead))
        threading.Thread(target=self._receive, daemon=True).start()

    def _receive(self) -> None:
        while True:
            self._waiting.wait(duration(seconds=1))
            self.count += len(self._reader.take(256))

    def close(self) -> None:
        pass
