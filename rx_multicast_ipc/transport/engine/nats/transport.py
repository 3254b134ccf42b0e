"""One end of a group on NATS."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec

from ....channel_options import ChannelOptions
from ....group import Group
from ....message import Address, Message
from ....option_values.engines import Nats
from ...base import Hears
from ..connections import open_end
from ..sent_topics import Run
from ..transport import EngineTransport
from . import subjects
from .connection import NatsConnection
from .stream_acknowledgements import Done, Identified, WaitingAcknowledgement

_MOST_REMEMBERED = 8192
"""Subjects whose senders are remembered."""

ANSWERABLE = 1
"""The port of a foreign message that can be answered; 0 of one that cannot."""


class NatsTransport(EngineTransport):
    """See :class:`EngineTransport`.

    Attributes:
        listens_to: the subscription that brings all that is sent to its group.
        filters: those that it has: that one, or some that bring the topics that it hears.
        speaks_to: the subject that it sends to its group on; empty where it only listens, to a subject with wildcards.
        spoke_to: other subjects that it sent on lately.
        numbering: what its running numbers stand behind.
    """

    def __init__(self, group: Group, options: ChannelOptions, hears: Hears, connection: NatsConnection) -> None:
        engine = group.engine
        self._foreign = engine.subject if isinstance(engine, Nats) else None
        self._senders: dict[bytes, Address] = {}
        self.spoke_to: deque[str] = deque(maxlen=8)
        self.listens_to = self._foreign or f"{subjects.of_group(group)}.>"
        self._has_topics = self._foreign is None
        topics = options["topics"]
        self.filters = (self.listens_to,)
        if self._foreign is None and topics is not None:
            self.filters = subjects.of_topics(group, topics)
        self.speaks_to = ""
        self.numbering = subjects.NUMBER
        self._nats = connection
        if self._foreign is not None and not set(self._foreign) & set("*>"):
            self.speaks_to = self._foreign
        super().__init__(group, options, hears, connection, self.speaks_to)

    def _prepare(self) -> None:
        if self._foreign is None:
            self.speaks_to = subjects.of_sender(self.group, self.sender_address)
        else:
            self.numbering = f"_rxn.{self.sender_address[0]}.{self.sender_address[1]}.".encode()

    def place_of(self, topic: str) -> str:
        return subjects.of_topic(self.group, self.sender_address, topic)

    def is_address(self, address: str) -> bool:
        return super().is_address(address) or self._foreign is not None

    def subject_of(self, destination: Address) -> str:
        """Where to send to one address."""
        address, _ = destination
        if len(address) == len(self._nats.session) and address.isalnum():
            subject = subjects.of_one(destination, self.sender_address)
        else:
            subject = address
        if subject not in self.spoke_to:
            self.spoke_to.append(subject)
        return subject

    def identified(self, payload: bytes) -> bytes:
        """``payload`` as one message, which a stream keeps once however often it is sent."""
        return Identified.of(payload)

    def send_acknowledged(self, payload: Identified, done: Done) -> WaitingAcknowledgement:
        """Send to the group, and call ``done`` on the I/O thread with what a stream says, or with what went wrong.

        A message that is sent again has the number that it had: who heard it passes over it.

        Raises:
            WouldBlock, SendFailed, ChannelClosed: as for :meth:`send`.
        """
        waiting = WaitingAcknowledgement(self, done)

        def publish(
            _: object, payloads: Sequence[bytes], number: int, _destination: object, runs: Sequence[Run]
        ) -> None:
            topics = [run for run in runs if run.topic is not None]
            numbers = "".join(["-." if run.others is None else f"{run.others}." for run in topics])
            reply = waiting.listen(f"ack.{self.number}.{payload.identity}.{numbers}{number}")
            self._nats.publish_identified(self, payloads, reply, number, payload.identity, runs)
            payload.number, payload.runs = number, runs

        try:
            if payload.number is None:
                self._outgoing.publish((payload,), None, publish)
            else:
                publish(self, (payload,), payload.number, None, payload.runs)
        except BaseException:
            waiting.dispose()
            raise
        return waiting

    def lacking(self, _: object) -> list[Address]:
        """Who has yet to acknowledge: a stream, whose name is not known before."""
        return []

    def message(self, subject: bytes, reply: bytes, payload: bytes, at: float) -> Message:
        """The message that came by ``subject``."""
        if self._foreign is not None:
            return self._foreign_message(subject.decode("utf-8", "replace"), reply, payload, at)
        sender = self._senders.get(subject)
        if sender is None:
            sender = subjects.sender_to_group(subject.decode("utf-8", "replace")) or ("", 0)
            if len(self._senders) >= _MOST_REMEMBERED:
                self._senders.clear()
            self._senders[subject] = sender
        return Message(payload, sender[0], sender[1], self.family, at, False, "", self.to_group)

    def _foreign_message(self, subject: str, reply: bytes, payload: bytes, at: float) -> Message:
        text = reply.decode("utf-8", "replace")
        sender = (text, ANSWERABLE) if text else ("", 0)
        if reply.startswith(subjects.NUMBER):  # of the library's: nobody listens there
            to_group = subjects.sender_to_group(subject) if subject.startswith("rx.") else None
            sender = to_group or subjects.sender_in(text.rpartition(".")[0]) or ("", 0)
        return Message(payload, *sender, self.group.family, at, topic=subject)


def open_nats(engine: Nats, group: Group, options: ChannelOptions, hears: Hears) -> NatsTransport:
    """See :class:`rx_multicast_ipc.transport.OpenTransport`."""
    shared = msgspec.structs.replace(engine, subject=None)
    return open_end(shared, lambda: NatsConnection(shared), NatsTransport, group, options, hears)
