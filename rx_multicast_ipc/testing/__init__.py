"""Tests of protocols without sockets and without sleeping: a network in virtual time, and marbles."""

from .clock import VirtualClock
from .marbles import Event, Marbles, Recording
from .network import VirtualNetwork

__all__ = ["Event", "Marbles", "Recording", "VirtualClock", "VirtualNetwork"]
