"""Who is heard on a sealed channel: everybody with the key who shows to be there now. Pure: time is passed in.

Each opening of a channel has a salt, and with it a *session*. A datagram that opens was sealed by somebody with the
key, some day. So the first ones of a session from an address are held, and that session gets a *challenge* there, a
random number sealed for it alone. The answer, sealed in that session, shows that the session lives: what is held is
delivered, and from then on each number is taken once. A recording cannot answer.

Somebody may pass on what an end says, and what is said to it. A bridge does, and it is how a sealed channel is heard
behind one; an outsider may, too, and would be where replies go. So a challenge says at which address the session is
seen, and the answer whether it is there itself. Who is passed on is believed only while it is not heard in a better
way: itself; or passed on by the one before. That is asked for once more first: a bridge that was replaced is gone.

Who comes late is not to hear what was said before: a challenge says for how long its sender has been there, and the
answer with which number that began. Numbers before it are refused. Who answers counts back from when the challenge
came, which may be late where an end is busy; so an answer that took long, and refuses something, is asked for anew.

What is answered itself needs no proof: a challenge of a stranger that opens is answered, with a challenge back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Final

from ...message import Address, Message
from ...option_values.key import Keys
from ...strangers.bounded_map import BoundedMap
from .challenge import NONCE_SIZE, Challenge, is_challenge, pack, parse
from .envelope import Opener, end_text
from .newcomers import Claim, Newcomer, Newcomers
from .own_seals import OwnSeal, OwnSeals
from .own_targets import OwnTargets
from .rejections import Rejections, Why
from .session import Session
from .wire_format import HEADER_SIZE, OVERHEAD, PREFIX_SIZE, hint_of, looks_sealed

_MOST_SESSIONS: Final = 1024
"""Sessions that are known; one that is forgotten has to answer again."""

_MOST_TARGETS: Final = 4096
"""Addresses of which it is known which session is there."""

_CHALLENGE_PAUSES: Final = (0.02, 0.04, 0.09, 0.15, 0.3, 0.4, 0.5)
"""Seconds until a challenge is repeated; the last one again and again."""

_PATIENCE: Final = 3.0
"""Seconds that an answer is waited for."""

_SILENCE: Final = 0.5
"""Seconds without an answer after which who was heard in a better way is gone."""

_PROBE_PAUSE: Final = 0.09
"""Seconds between two questions whether it is."""

_MOST_PROBED: Final = 4
"""Addresses of one session that are asked."""

_MOST_ANSWERS: Final = 16
"""Challenges that are answered to an end that has not answered."""

_GRACE: Final = 0.25
"""Seconds before its joining from which an end may hear something: as long as a challenge may be on its way."""

_EXACT: Final = 1.5
"""Seconds in which an answer that took longer than that is asked for anew: it would refuse what is to be heard."""


class Sessions:
    """What one end of a sealed channel knows of itself and of the others.

    After any call, ``outgoing`` holds what is to be sent; whoever takes that empties the list.

    Args:
        keys: the first one seals, all open.
        group: the group's end.
        own_addresses: gives the addresses of this end.
        random_bytes: gives so many, not to be guessed, and never the same again.
        now: since when the end is there, in seconds.
        several: whether each datagram may come over several interfaces, so that a second copy is nothing to tell of.

    Attributes:
        outgoing: sealed datagrams and where to.
        rejections: what was refused.
        newcomer_at: when somebody new was heard, and may have a challenge for this end, too.
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
        self.outgoing: list[tuple[bytes, Address]] = []
        self.rejections = Rejections()
        self.newcomer_at = -math.inf
        self._keys = keys
        self._group = group
        self._own_addresses = own_addresses
        self._random_bytes = random_bytes
        self._several = several
        self._known: BoundedMap[bytes, Session] = BoundedMap(_MOST_SESSIONS)
        self._at: BoundedMap[Address, Session] = BoundedMap(_MOST_TARGETS)
        self._newcomers = Newcomers(random_bytes)
        self._ready: list[Message] = []
        self._recent: Session | None = None
        self._listens_since = now
        self._forgotten = 0
        self._own = OwnSeals(keys[0], group, random_bytes)
        self._targets = OwnTargets(self._own, own_addresses)

    @property
    def keys(self) -> Keys:
        return self._keys

    def renew(self) -> None:
        """Seal with a new salt from now on."""
        self._own.renew(self._keys[0])
        self._targets.renew()

    def change_keys(self, keys: Keys) -> None:
        """Seal with the first of these from now on, and open what was sealed with any of them, and nothing else."""
        changed = keys[0] != self._keys[0]
        self._keys = keys
        for prefix in [prefix for prefix, session in self._known.items() if session.opener.key not in keys]:
            del self._known[prefix]
        for new in self._newcomers:
            if new.session.opener.key not in keys:
                self._give_up(new, Why.OTHER_KEY, self._hints(new.place[0][1:4].hex()))
        if changed:
            self.renew()

    def seal(self, packet: bytes, destination: Address | None, now: float) -> bytes:
        """The datagram of a packet to one end or, with None, to the group."""
        if destination is None:
            return self._own.seal(packet, b"", now)
        session = self._at.get(destination)
        return self._own.seal(packet, end_text(destination) if session is None else session.prefix, now)

    def open(self, batch: Iterable[Message], now: float) -> list[Message]:
        """The packets in these datagrams, and those that were held and are not any more, in order."""
        ready, self._ready = self._ready, []
        known, take = self._known, ready.append
        for datagram in batch:  # what comes most is dealt with here, and all else in `_open`
            data = datagram.data
            session = None if datagram.direct or len(data) < OVERHEAD else known.get(data[:PREFIX_SIZE])
            if session is None or (datagram.address, datagram.port) not in session.places:
                self._open(datagram, ready, now)
                continue
            packet = session.opener.open(data)
            if packet is None or is_challenge(packet):
                self._open(datagram, ready, now)
                continue
            if session is not self._recent:
                self._recent = session
                known.move_to_end(session.prefix)
            if session.take(int.from_bytes(data[PREFIX_SIZE:HEADER_SIZE], "big"), direct=False):
                take(_with_data(datagram, packet))
            else:
                self._note_replayed(datagram.sender)
        return ready

    @property
    def has_news(self) -> bool:
        """Whether there is something to send, to tell, or to wait for."""
        return bool(self.outgoing or len(self._newcomers) or self.rejections.waits)

    @property
    def has_ready(self) -> bool:
        """Whether :meth:`open` has something to return without new datagrams: a timer may have brought it."""
        return bool(self._ready)

    def timer(self) -> float:
        """When to call :meth:`tick`; infinity for never."""
        return self._newcomers.timer()

    def tick(self, now: float) -> None:
        """Repeat challenges, and give up on those who do not answer."""
        for new in self._newcomers:
            if now < new.due:
                continue
            if new.claim is not None:
                self._try_claim(new, new.claim, self._ready, now)
            elif now >= new.since + _PATIENCE:
                self._give_up(new, Why.UNANSWERED)
            else:
                self._ask(new, now)

    # What comes

    def _open(self, datagram: Message, ready: list[Message], now: float) -> None:
        data = datagram.data
        sender = datagram.sender
        if len(data) < OVERHEAD:
            self.rejections.add(Why.PLAIN, sender)
            return
        prefix = data[:PREFIX_SIZE]
        session = self._known.get(prefix)
        own = None if session is not None else self._own.get(prefix)
        if own is not None:
            self._open_own(own, datagram, ready, now)
            return
        if session is None:
            session = self._newcomers.session(prefix) or self._meet(datagram)
            if session is None:
                return
        packet, target = self._targets.open(session.opener, datagram)
        if packet is None:
            self.rejections.add(Why.FORGED, sender, self._hints(hint_of(data)))
            return
        number = int.from_bytes(data[PREFIX_SIZE:HEADER_SIZE], "big")
        if sender in session.places:
            self._known.use(prefix, lambda _: session)
            if not session.take(number, direct=datagram.direct):
                self._note_replayed(sender)
            elif is_challenge(packet):
                self._answer(session, packet, target, sender, now)
            else:
                ready.append(_with_data(datagram, packet))
        elif session.places and session.refuses(number, direct=datagram.direct):
            self._note_replayed(sender)  # from elsewhere
        else:
            new = self._newcomer((prefix, sender), session, now)
            if new is not None:
                self._hear_newcomer(new, packet, target, datagram, number, ready, now)

    def _open_own(self, own: OwnSeal, datagram: Message, ready: list[Message], now: float) -> None:
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
            ready.append(_with_data(datagram, packet))
        else:
            self._note_replayed(sender)

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

    # Challenges

    def _answer(self, session: Session, packet: bytes, target: bytes, sender: Address, now: float) -> None:
        """Somebody known asks whether this end is there."""
        challenge = parse(packet)
        if challenge is not None and challenge.asks:
            answer = self._answer_to(challenge, target, now)
            if answer is not None:
                self._send(answer, session, target, sender, now)

    def _answer_to(self, asked: Challenge, target: bytes, now: float) -> Challenge | None:
        """The answer to a challenge; None if it was not for a session of this end."""
        own = self._own.get(target)
        if own is None:
            return None
        return Challenge(
            answer=asked.challenge,
            first=own.first_since(now - asked.listens - _GRACE),
            in_place=self._targets.is_place(asked.place),
        )

    def _send(self, challenge: Challenge, to: Session, target: bytes, place: Address, now: float) -> None:
        """Send a challenge or an answer to a session; what is answered says with which seal."""
        own = self._own.get(target)
        packet = pack(challenge)
        if own is None:
            datagram = self._own.seal(packet, to.prefix, now)
        else:
            datagram = self._own.seal_as(own, packet, to.prefix, now)
        self.outgoing.append((datagram, place))

    def _ask(self, new: Newcomer, now: float, answer: Challenge | None = None, target: bytes = b"") -> None:
        """Send a challenge, with an answer to the one that came; plan the next one."""
        challenge = (answer or Challenge())._replace(
            challenge=new.challenge, listens=now - self._listens_since, place=end_text(new.place[1])
        )
        self._send(challenge, new.session, target, new.place[1], now)
        if not new.attempts:
            new.asked_at = now
        pause = _CHALLENGE_PAUSES[min(new.attempts, len(_CHALLENGE_PAUSES) - 1)]
        new.attempts += 1
        new.due = min(now + pause, new.since + _PATIENCE)

    # Newcomers

    def _newcomer(self, place: tuple[bytes, Address], session: Session, now: float) -> Newcomer | None:
        """The state of a session at an address that has yet to answer; None if there is no place for it."""
        new = self._newcomers.get(place)
        if new is None:
            if not self._newcomers.has_room(session):
                self.rejections.add(Why.TOO_MUCH, place[1])
                return None
            surplus = self._newcomers.surplus
            if surplus is not None:
                self._give_up(surplus, Why.UNANSWERED)
            new = self._newcomers.add(place, session, now)
            self.newcomer_at = now
        return new

    def _hear_newcomer(
        self,
        new: Newcomer,
        packet: bytes,
        target: bytes,
        datagram: Message,
        number: int,
        ready: list[Message],
        now: float,
    ) -> None:
        if not is_challenge(packet):
            self._hold(new, packet, datagram, number)
            if not new.attempts:
                self._ask(new, now)
            return
        challenge = parse(packet) if datagram.direct else None
        answer = self._answer_to(challenge, target, now) if challenge is not None and challenge.asks else None
        if challenge is not None and challenge.answer == new.challenge:
            if answer is not None:
                self._send(answer, new.session, target, datagram.sender, now)
            self._is_answered(new, challenge, number, ready, now)
            return
        new.heard += 1
        if answer is not None and new.answered < _MOST_ANSWERS:
            new.answered += 1
            self._ask(new, now, answer, target)
        elif not new.attempts:
            self._ask(new, now)

    def _hold(self, new: Newcomer, packet: bytes, datagram: Message, number: int) -> None:
        if (datagram.direct, number) in new.held:
            self.rejections.add(Why.REPLAYED, datagram.sender)
        elif not self._newcomers.hold(new, _with_data(datagram, packet), number):
            self.rejections.add(Why.TOO_MUCH, datagram.sender)

    def _is_answered(self, new: Newcomer, challenge: Challenge, number: int, ready: list[Message], now: float) -> None:
        """The session answered from that address."""
        if new.claim is not None:
            return
        if challenge.first > 1 and now - new.asked_at > _GRACE and now < new.since + _EXACT:
            new.challenge, new.attempts = self._random_bytes(NONCE_SIZE), 0
            self._ask(new, now)
            return
        session = new.session
        if challenge.in_place:
            self._admit(new, challenge.first, number, ready, now, passed_on=False)
            return
        there = self._at.get(new.place[1])
        rivals = [session] if there is None or there is session or there.is_passed_on else [session, there]
        new.claim = Claim(number, challenge.first, now, tuple((rival, rival.heard) for rival in rivals))
        if session.places or len(rivals) > 1 or self._newcomers.places_of(session) > 1:
            self._try_claim(new, new.claim, ready, now)
        else:
            self._admit(new, challenge.first, number, ready, now, passed_on=True)

    def _try_claim(self, new: Newcomer, claim: Claim, ready: list[Message], now: float) -> None:
        """Believe who is passed on if nothing better is heard for a while; until then, ask for that."""
        if now < claim.made_at + _SILENCE:
            for rival, _ in claim.rivals:
                for place in [*rival.places][:_MOST_PROBED]:
                    probe = Challenge(self._random_bytes(NONCE_SIZE), place=end_text(place))
                    self._send(probe, rival, b"", place, now)
            new.due = min(now + _PROBE_PAUSE, claim.made_at + _SILENCE)
        elif any(rival.heard != heard for rival, heard in claim.rivals):
            self._give_up(new, Why.PASSED_ON)
        else:
            self._admit(new, claim.first, claim.number, ready, now, passed_on=True)

    def _admit(
        self, new: Newcomer, first: int, number: int, ready: list[Message], now: float, *, passed_on: bool
    ) -> None:
        """The session is at that address: deliver what was held."""
        prefix, sender = new.place
        session = new.session
        self._newcomers.drop(new)
        session.first = max(1, min(first, number))
        session.is_at(sender, passed_on=passed_on)
        self._known.use(prefix, lambda _: session)
        if self._known.forgotten > self._forgotten:
            self._forgotten = self._known.forgotten
            self._listens_since = now  # what it heard before it must not hear again
        self._at.use(sender, lambda _: session)
        self._at[sender] = session
        session.take(number, direct=True)
        for (direct, held), message in new.held.items():
            if session.take(held, direct=direct):
                ready.append(message)
            else:
                self._note_replayed(sender)

    def _give_up(self, new: Newcomer, why: Why, detail: str = "") -> None:
        self._newcomers.drop(new)
        self.rejections.add(why, new.place[1], detail, new.count)

    def _note_replayed(self, sender: Address) -> None:
        if not self._several:
            self.rejections.add(Why.REPLAYED, sender)

    def _hints(self, hint: str) -> str:
        known = ", ".join(key.hint for key in self._keys)
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
