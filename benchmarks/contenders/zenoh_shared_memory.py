"""Zenoh as it comes: over TCP on loopback, with shared memory from 3072 bytes up."""

from __future__ import annotations

from . import zenoh_tcp


class Sender(zenoh_tcp.Sender):
    shared_memory = True


class Receiver(zenoh_tcp.Receiver):
    shared_memory = True
