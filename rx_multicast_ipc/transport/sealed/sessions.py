"""Who is heard on a sealed channel: everybody with the key who proves to be there now. Pure: time is passed in.

Each opening of a channel has a salt, and with it a *session*. A datagram that opens was sealed by somebody with the
key, some day. So the first ones of a session from an address are held until it answers a challenge there
(:mod:`.admission`), which a recording cannot. From then on each number is taken once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...message import Address, Message
from ...option_values.key import Keys
from .admission import Admission
from .challenge_packet import is_challenge
from .known_sessions import KnownSessions
from .own_sessions import OwnSession, OwnSessions
from .own_targets import OwnTargets
from .packet_cipher import Opener, end_text
from .rejections import Rejections, Why
from .session import Session
from .wire_format import HEADER_SIZE, OVERHEAD, PREFIX_SIZE, hint_of, looks_sealed


class Sessions:
    """What one end of a sealed channel knows of itself and of the others.

    After any call, ``outgoing`` holds what is to be sent; whoever takes that empties the list.

    Args:
        keys: the first one seals, all open.
        group: the group's end.
        own_addresses: gives the addresses of this end.
        random_bytes: gives so many, not to be guessed, and never the same again.
        now: since when the end is there, in seconds.
        several: whether each datagram may come over several interfaces, so that a second copy is not reported.

    Attributes:
        rejections: what was refused.
    """

    def __init__(
        self,
        keys: Keys,
        group: Address,
        own_addresses: Callable[[], frozenset[Address]],
        random_bytes: Callable[[int], bytes],
        now: float,
        *,
        several: bool = False,
    ) -> None:
        self.rejections = Rejections(copies_are_expected=several)
        self._keys = keys
        self._group = group
        self._own_addresses = own_addresses
        self._own = OwnSessions(keys[0], group, random_bytes)
        self._targets = OwnTargets(self._own, own_addresses)
        self._known = KnownSessions(now)
        self._admission = Admission(self._own, self._targets, self._known, self.rejections, random_bytes)
        self._recent: Session | None = None

    @property
    def prefix(self) -> bytes:
        """Of all that is sealed from now on."""
        return self._own.current.sealer.prefix

    @property
    def outgoing(self) -> list[tuple[bytes, Address]]:
        """Sealed datagrams and where to."""
        return self._admission.outgoing

    @property
    def newcomer_at(self) -> float:
        """When somebody new was heard, and may have a challenge for this end, too."""
        return self._admission.newcomer_at

    def change_keys(self, keys: Keys) -> None:
        """Seal with the first of these from now on, and open what was sealed with any of them, and nothing else.

        If Ctrl-C comes amid it, it either has not happened (but for sessions that have to prove themselves again), or
        the next call goes on with it.
        """
        self._known.keep(keys)
        for new in self._admission.newcomers:
            if new.session.opener.key not in keys:
                self._admission.give_up(new, Why.OTHER_KEY, self._hints(new.session.prefix[1:4].hex(), keys))
        if keys[0] == self._own.current.sealer.key:
            self._keys = keys
        else:
            own = self._own.prepare(keys[0])
            # No call from here on.
            self._keys, self._own.current = keys, own

    def seal(self, packet: bytes, destination: Address | None, now: float) -> bytes:
        """The datagram of a packet to one end or, with None, to the group."""
        if destination is None:
            return self._own.seal(packet, b"", now)
        session = self._known.at(destination)
        return self._own.seal(packet, end_text(destination) if session is None else session.prefix, now)

    def open(self, batch: Iterable[Message], now: float) -> list[Message]:
        """The packets in these datagrams, and those that were held and are not any more, in order."""
        known, take = self._known.by_prefix, self._admission.ready.append
        for datagram in batch:  # what comes most is dealt with here, and all else in `_open`
            data = datagram.data
            session = None if datagram.direct or len(data) < OVERHEAD else known.get(data[:PREFIX_SIZE])
            if session is None or (datagram.address, datagram.port) not in session.addresses:
                self._open(datagram, now)
                continue
            packet = session.opener.open(data)
            if packet is None or is_challenge(packet):
                self._open(datagram, now)
                continue
            if session is not self._recent:
                self._recent = session
                known.move_to_end(session.prefix)
            if session.take(int.from_bytes(data[PREFIX_SIZE:HEADER_SIZE], "big"), direct=False):
                take(_with_data(datagram, packet))
            else:
                self.rejections.add_copy(datagram.sender)
        ready, self._admission.ready = self._admission.ready, []
        return ready

    @property
    def has_news(self) -> bool:
        """Whether there is something to send, to report, or to wait for."""
        return bool(self.outgoing or len(self._admission.newcomers) or self.rejections.waits)

    @property
    def has_ready(self) -> bool:
        """Whether :meth:`open` has something to return without new datagrams: a timer may have brought it."""
        return bool(self._admission.ready)

    def timer(self) -> float:
        """When to call :meth:`tick`; infinity for never."""
        return self._admission.newcomers.timer()

    def tick(self, now: float) -> None:
        """Repeat challenges, and give up on those who do not answer."""
        self._admission.tick(now)

    def _open(self, datagram: Message, now: float) -> None:
        data = datagram.data
        sender = datagram.sender
        if len(data) < OVERHEAD:
            self.rejections.add(Why.PLAIN, sender)
            return
        prefix = data[:PREFIX_SIZE]
        session = self._known.by_prefix.get(prefix)
        own = None if session is not None else self._own.get(prefix)
        if own is not None:
            self._open_own(own, datagram)
            return
        if session is None:
            session = self._admission.newcomers.session(prefix) or self._meet(datagram)
            if session is None:
                return
        packet, target = self._targets.open(session.opener, datagram)
        if packet is None:
            self.rejections.add(Why.FORGED, sender, self._hints(hint_of(data)))
            return
        number = int.from_bytes(data[PREFIX_SIZE:HEADER_SIZE], "big")
        if sender in session.addresses:
            self._known.use(session)
            if not session.take(number, direct=datagram.direct):
                self.rejections.add_copy(sender)
            elif is_challenge(packet):
                self._admission.answer(session, packet, target, sender, now)
            else:
                self._admission.ready.append(_with_data(datagram, packet))
        elif session.addresses and session.refuses(number, direct=datagram.direct):
            self.rejections.add_copy(sender)  # from elsewhere
        else:
            self._admission.hear(session, _with_data(datagram, packet), target, number, now)

    def _open_own(self, own: OwnSession, datagram: Message) -> None:
        """Take what this end sent to itself alone; own messages to the group come from memory."""
        sender, session = datagram.sender, own.session
        packet = self._targets.open(session.opener, datagram)[0]
        number = int.from_bytes(datagram.data[PREFIX_SIZE:HEADER_SIZE], "big")
        if packet is None:
            self.rejections.add(Why.FORGED, sender, self._hints(hint_of(datagram.data)))
        elif session.opener.key not in self._keys:
            self.rejections.add(Why.OTHER_KEY, sender, self._hints(hint_of(datagram.data)))
        elif not datagram.direct or sender not in self._own_addresses() or is_challenge(packet):
            self.rejections.add(Why.REPLAYED, sender)
        elif session.take(number, direct=True):
            self._admission.ready.append(_with_data(datagram, packet))
        else:
            self.rejections.add_copy(sender)

    def _meet(self, datagram: Message) -> Session | None:
        """The session of a datagram that is the first of it; None if it is nothing for this end."""
        data = datagram.data
        if not looks_sealed(data):
            self.rejections.add(Why.PLAIN, datagram.sender)
            return None
        hint = data[1:4]
        keys = [key for key in self._keys if key.hint_bytes == hint]
        if not keys:
            self.rejections.add(Why.OTHER_KEY, datagram.sender, self._hints(hint.hex()))
            return None
        prefix = data[:PREFIX_SIZE]
        openers = [Opener(key, self._group, prefix) for key in keys]
        if len(openers) > 1:  # one hint in 16 million is that of another key, too
            openers = [opener for opener in openers if self._targets.open(opener, datagram)[0] is not None] or openers
        return Session(prefix, openers[0])

    def _hints(self, hint: str, keys: Keys | None = None) -> str:
        known = ", ".join(key.hint for key in keys or self._keys)
        return f"its key is {hint}, this channel's {known}"


def _with_data(origin: Message, data: bytes) -> Message:
    return Message(
        data,
        origin.address,
        origin.port,
        origin.family,
        origin.received_at,
        origin.direct,
        origin.interface,
        origin.destination,
        origin.topic,
    )
