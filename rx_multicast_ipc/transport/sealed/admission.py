"""How a session proves to be at an address: challenges, answers, and what is held meanwhile. Pure: time is passed in.

A session that is heard at an address for the first time gets a *challenge* there, a random number sealed for it alone,
again and again until it answers. Meanwhile its messages are held (:mod:`.newcomers`).

What an end sends, and what is sent to it, may be relayed. A bridge does so, and a sealed channel behind one is heard
only through it; an outsider may, too, and would get the replies. So a challenge says at which address the session is
seen, and the answer whether the end has that address itself. If it has not, the answer is a *claim*. It is believed
only while there is no better path to the session: an address of its own, or another relay. Those are probed for half a
second first: a bridge that was replaced does not answer any more.

An end is not to hear what was sent before it was opened: a challenge says for how long its sender has listened, and
the answer with which number that began. Numbers before it are refused. The end that answers counts back from when the
challenge came, which may be late where it is busy; so an answer that took long, and refuses something, is asked for
anew.

Answering needs no proof: the challenge of a stranger is answered, with a challenge back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from ...message import Address, Message
from .challenge_packet import NONCE_SIZE, Challenge, is_challenge, pack, parse
from .known_sessions import KnownSessions
from .newcomers import Claim, Newcomer, Newcomers
from .own_sessions import OwnSessions
from .own_targets import OwnTargets
from .packet_cipher import end_text
from .rejections import Rejections, Why
from .session import Session

_CHALLENGE_PAUSES: Final = (0.02, 0.04, 0.09, 0.15, 0.3, 0.4, 0.5)
"""Seconds until a challenge is repeated; the last one again and again."""

_PATIENCE: Final = 3.0
"""Seconds that an answer is waited for."""

_SILENCE: Final = 0.5
"""Seconds without an answer after which there is no better path to a session any more."""

_PROBE_PAUSE: Final = 0.09
"""Seconds between two probes of a path."""

_MOST_PROBED: Final = 4
"""Addresses of one session that are probed."""

_MOST_ANSWERS: Final = 16
"""Challenges that are answered to an end that has not answered."""

_GRACE: Final = 0.25
"""Seconds before it was opened from which an end may hear something: as long as a challenge may be on its way."""


_EXACT: Final = 1.5
"""Seconds in which an answer that took longer than that is asked for anew: it would refuse what is to be heard."""


class Admission:
    """Asks those who are new, answers those who ask, and makes newcomers known.

    Args:
        own: the sessions of this end.
        targets: opens what is sealed for this end alone.
        known: the sessions that have proved to be there.
        rejections: counts what is refused.
        random_bytes: gives so many, not to be guessed, and never the same again.

    Attributes:
        newcomers: those that have yet to answer.
        outgoing: sealed challenges and answers, and where to.
        newcomer_at: when somebody new was heard, and may have a challenge for this end, too.
        ready: messages that were held and are not any more.
    """

    def __init__(
        self,
        own: OwnSessions,
        targets: OwnTargets,
        known: KnownSessions,
        rejections: Rejections,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.newcomers = Newcomers(random_bytes)
        self.outgoing: list[tuple[bytes, Address]] = []
        self.newcomer_at = -math.inf
        self.ready: list[Message] = []
        self._own = own
        self._targets = targets
        self._known = known
        self._rejections = rejections
        self._random_bytes = random_bytes

    def tick(self, now: float) -> None:
        """Repeat challenges, and give up on those who do not answer."""
        for new in self.newcomers:
            if now < new.due:
                continue
            if new.address in new.session.addresses:
                self._let_in(new)
            elif new.claim is not None:
                self._try_claim(new, new.claim, now)
            elif now >= new.since + _PATIENCE:
                self.give_up(new, Why.UNANSWERED)
            else:
                self._ask(new, now)

    def answer(self, session: Session, packet: bytes, target: bytes, sender: Address, now: float) -> None:
        """A known session asks whether this end is there.

        Args:
            session: which.
            packet: its challenge.
            target: what that was sealed for.
            sender: where it came from.
            now: seconds.
        """
        challenge = parse(packet)
        if challenge is not None and challenge.asks:
            answer = self._answer_to(challenge, target, now)
            if answer is not None:
                self._send(answer, session, target, sender, now)

    def hear(self, session: Session, message: Message, target: bytes, number: int, now: float) -> None:
        """Take what a session sent from an address where it has yet to prove to be.

        Args:
            session: which.
            message: a packet, opened.
            target: what it was sealed for.
            number: of its datagram.
            now: seconds.
        """
        new = self._newcomer(session, message.sender, now)
        if new is None:
            return
        if not is_challenge(message.data):
            self._hold(new, message, number)
            if not new.attempts:
                self._ask(new, now)
            return
        challenge = parse(message.data) if message.direct else None
        answer = self._answer_to(challenge, target, now) if challenge is not None and challenge.asks else None
        if challenge is not None and challenge.answer == new.challenge:
            if answer is not None:
                self._send(answer, session, target, message.sender, now)
            self._is_answered(new, challenge, number, now)
            return
        new.heard += 1
        if answer is not None and new.answered < _MOST_ANSWERS:
            new.answered += 1
            self._ask(new, now, answer, target)
        elif not new.attempts:
            self._ask(new, now)

    def give_up(self, new: Newcomer, why: Why, detail: str = "") -> None:
        """Drop a newcomer, and what it sent."""
        self.newcomers.drop(new)
        self._rejections.add(why, new.address, detail, new.count)

    def _answer_to(self, asked: Challenge, target: bytes, now: float) -> Challenge | None:
        """The answer to a challenge; None if it was not for a session of this end."""
        own = self._own.get(target)
        if own is None:
            return None
        return Challenge(
            answer=asked.challenge,
            first=own.first_since(now - asked.listens - _GRACE),
            is_there=self._targets.is_own_address(asked.seen_at),
        )

    def _send(self, challenge: Challenge, to: Session, target: bytes, address: Address, now: float) -> None:
        """Send a challenge or an answer to a session; what is answered says in which session of this end."""
        own = self._own.get(target)
        packet = pack(challenge)
        if own is None:
            datagram = self._own.seal(packet, to.prefix, now)
        else:
            datagram = self._own.seal_as(own, packet, to.prefix, now)
        self.outgoing.append((datagram, address))

    def _ask(self, new: Newcomer, now: float, answer: Challenge | None = None, target: bytes = b"") -> None:
        """Send a challenge, with an answer to the one that came; plan the next one."""
        challenge = (answer or Challenge())._replace(
            challenge=new.challenge, listens=now - self._known.listens_since, seen_at=end_text(new.address)
        )
        self._send(challenge, new.session, target, new.address, now)
        if not new.attempts:
            new.asked_at = now
        pause = _CHALLENGE_PAUSES[min(new.attempts, len(_CHALLENGE_PAUSES) - 1)]
        new.attempts += 1
        new.due = min(now + pause, new.since + _PATIENCE)

    def _newcomer(self, session: Session, address: Address, now: float) -> Newcomer | None:
        """The state of a session at an address that has yet to answer; None if there are too many addresses of it."""
        new = self.newcomers.get(session, address)
        if new is None:
            if not self.newcomers.has_room(session):
                self._rejections.add(Why.TOO_MUCH, address)
                return None
            surplus = self.newcomers.surplus
            if surplus is not None:
                self.give_up(surplus, Why.UNANSWERED)
            new = self.newcomers.add(session, address, now)
            self.newcomer_at = now
        return new

    def _hold(self, new: Newcomer, message: Message, number: int) -> None:
        if (message.direct, number) in new.held:
            self._rejections.add_copy(message.sender)
        elif not self.newcomers.hold(new, message, number):
            self._rejections.add(Why.TOO_MUCH, message.sender)

    def _is_answered(self, new: Newcomer, challenge: Challenge, number: int, now: float) -> None:
        """The session answered from that address."""
        if new.claim is not None:
            return
        if challenge.first > 1 and now - new.asked_at > _GRACE and now < new.since + _EXACT:
            new.challenge, new.attempts = self._random_bytes(NONCE_SIZE), 0
            self._ask(new, now)
            return
        session = new.session
        if challenge.is_there:
            self._admit(new, challenge.first, number, now, relayed=False)
            return
        there = self._known.at(new.address)
        rivals = [session] if there is None or there is session or there.is_relayed else [session, there]
        new.claim = Claim(number, challenge.first, now, tuple((rival, rival.heard) for rival in rivals))
        if session.addresses or len(rivals) > 1 or self.newcomers.addresses_of(session) > 1:
            self._try_claim(new, new.claim, now)
        else:
            self._admit(new, challenge.first, number, now, relayed=True)

    def _try_claim(self, new: Newcomer, claim: Claim, now: float) -> None:
        """Believe a claim if no better path answers for a while; until then, probe those."""
        if now < claim.made_at + _SILENCE:
            for rival, _ in claim.rivals:
                for address in [*rival.addresses][:_MOST_PROBED]:
                    probe = Challenge(self._random_bytes(NONCE_SIZE), seen_at=end_text(address))
                    self._send(probe, rival, b"", address, now)
            new.due = min(now + _PROBE_PAUSE, claim.made_at + _SILENCE)
        elif any(rival.heard != heard for rival, heard in claim.rivals):
            self.give_up(new, Why.RELAYED)
        else:
            self._admit(new, claim.first, claim.number, now, relayed=True)

    def _admit(self, new: Newcomer, first: int, number: int, now: float, *, relayed: bool) -> None:
        """The session is at that address: deliver what was held."""
        session = new.session
        session.first = max(1, min(first, number))
        self._known.add(session, new.address, now, relayed=relayed)
        session.take(number, direct=True)
        self._let_in(new)

    def _let_in(self, new: Newcomer) -> None:
        """Deliver what was held; where Ctrl-C comes amid it, :meth:`tick` goes on."""
        while new.held:
            place, message = next(iter(new.held.items()))
            direct, number = place
            if new.session.take(number, direct=direct):
                self.ready.append(message)
            else:
                self._rejections.add_copy(new.address)
            del new.held[place]
        self.newcomers.drop(new)
