"""Tests of protocols without sockets and without sleeping: a network in virtual time, and marbles."""

from ..transport.wire import Datagram, Traffic
from .marbles import Event, Marbles, Recording
from .network import VirtualNetwork

__all__ = ["Datagram", "Event", "Marbles", "Recording", "Traffic", "VirtualNetwork"]
