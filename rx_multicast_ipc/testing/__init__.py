"""Tests of protocols without sockets and without sleeping: a network in virtual time, marbles, and faults on demand."""

from ..transport.virtual.datagram_records import Datagram, Traffic
from .faulty_link import FaultCounts, FaultOptions
from .faulty_network import FaultyNetwork
from .faulty_transport import FaultyTransport
from .marbles import Marbles
from .recorded_events import Event, Recording
from .virtual_clock import VirtualClock
from .virtual_network import VirtualNetwork

__all__ = [
    "Datagram",
    "Event",
    "FaultCounts",
    "FaultOptions",
    "FaultyNetwork",
    "FaultyTransport",
    "Marbles",
    "Recording",
    "Traffic",
    "VirtualClock",
    "VirtualNetwork",
]
