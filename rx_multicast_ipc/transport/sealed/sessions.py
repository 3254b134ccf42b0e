"""Who is heard on a sealed channel: everybody with the key who shows to be there now. Pure: time is passed in.

Each opening of a channel has a salt, and with it a *session*. A datagram that opens was sealed by somebody with the
key, some day. So the first ones of a session from an address are held, and the address gets a *challenge*, a random
number sealed for it alone. The answer, sealed in that session, shows that the session lives there: what is held is
delivered, and from then on each number is taken once. A recording cannot answer, and who only passes on what another
end seals can neither read the challenge nor pass it on, as it is sealed for one address.

Who comes late is not to hear what was said before: a challenge says for how long its sender has been there, and the
answer with which number that began. Numbers before it are refused.

What is answered itself needs no proof: a challenge of a stranger that opens is answered, with a challenge back.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import Final

from ...message import Address, Message
from ...option_values.key import Keys
from ...strangers.bounded_map import BoundedMap
from .challenge import NONCE_SIZE, Challenge, is_challenge, pack, parse
from .envelope import Opener, Seal, end_text
from .rejections import Rejections, Why
from .replay_table import ReplayTable
from .wire_format import HEADER_SIZE, OVERHEAD, PREFIX_SIZE, SALT_SIZE, hint_of, looks_sealed

_MOST_SESSIONS: Final = 1024
"""Sessions that are known; one that is forgotten has to answer again."""

_MOST_NEW: Final = 256
"""Sessions at an address that have yet to answer."""

_MOST_PLACES: Final = 8
"""Addresses at which one session has yet to answer: somebody may pass on its datagrams from elsewhere."""

_MOST_SOURCES: Final = 32
"""Addresses of one session."""

_MOST_HELD: Final = 1024
"""Datagrams of one of them that wait for the answer."""

_MOST_HELD_BYTES: Final = 2 << 20
_MOST_HELD_BYTES_OF_ALL: Final = 16 << 20

_CHALLENGE_PAUSES: Final = (0.02, 0.04, 0.09, 0.15, 0.3, 0.4, 0.5)
"""Seconds until a challenge is repeated; the last one again and again."""

_PATIENCE: Final = 3.0
"""Seconds that an answer is waited for."""

_MOST_ANSWERS: Final = 16
"""Challenges that are answered to an end that has not answered."""

_LATE: Final = 4096
"""Datagrams to the group by which one may be late."""

_LATE_DIRECT: Final = 1024
"""The same of those to this end alone, which come by another socket."""

_GRACE: Final = 0.25
"""Seconds before its joining from which an end may hear something: as long as a challenge may be on its way."""

_SAMPLE: Final = 0.01
"""Seconds between two sends of which the counter and the time are remembered."""

_SAMPLES: Final = 4096

_OWN_SEALS: Final = 4
"""Former salts of this end whose datagrams it still knows as its own."""


class _Session:
    __slots__ = ("direct", "first", "group", "is_own", "opener", "sources")

    def __init__(self, opener: Opener, *, is_own: bool = False) -> None:
        self.opener = opener
        self.is_own = is_own
        self.sources: set[Address] = set()
        self.first = 1
        self.group: ReplayTable | None = None
        self.direct: ReplayTable | None = None

    def take(self, number: int, *, direct: bool) -> bool:
        """Whether a number is taken for the first time, and may be."""
        return number >= self.first and self.table(direct=direct).take(number)

    def table(self, *, direct: bool) -> ReplayTable:
        table = self.direct if direct else self.group
        if table is None:
            if direct:
                table = self.direct = ReplayTable(_LATE_DIRECT)
            else:
                table = self.group = ReplayTable(_LATE)
        return table


class _Newcomer:
    """A session at an address that has yet to answer."""

    __slots__ = ("answered", "attempts", "challenge", "due", "heard", "held", "place", "session", "since", "size")

    def __init__(self, place: tuple[bytes, Address], session: _Session, challenge: bytes, now: float) -> None:
        self.place = place
        self.session = session
        self.challenge = challenge
        self.since = self.due = now
        self.attempts = self.answered = self.size = self.heard = 0
        self.held: dict[tuple[bool, int], Message] = {}


class Sessions:
    """What one end of a sealed channel knows of itself and of the others.

    After any call, ``outgoing`` holds what is to be sent, to be sealed yet; whoever takes that empties the list.

    Args:
        keys: the first one seals, all open.
        group: the group's end.
        own_addresses: gives the addresses of this end.
        random_bytes: gives so many, not to be guessed, and never the same again.
        now: since when the end is there, in seconds.
        several: whether each datagram may come over several interfaces, so that a second copy is nothing to tell of.

    Attributes:
        outgoing: packets and where to.
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
        self._known: BoundedMap[bytes, _Session] = BoundedMap(_MOST_SESSIONS)
        self._own: BoundedMap[bytes, _Session] = BoundedMap(_OWN_SEALS)
        self._newcomers: dict[tuple[bytes, Address], _Newcomer] = {}
        self._held_size = 0
        self._listens_since = now
        self._forgotten = 0
        self._samples: deque[tuple[float, int]] = deque(maxlen=_SAMPLES)
        self._ends: tuple[frozenset[Address], list[bytes]] = (frozenset(), [])
        self.renew()

    @property
    def keys(self) -> Keys:
        return self._keys

    def renew(self) -> None:
        """Seal with a new salt from now on."""
        self._seal = Seal(self._keys[0], self._group, self._random_bytes(SALT_SIZE))
        self._samples.clear()
        opener = Opener(self._seal.key, self._group, self._seal.prefix)
        self._own.use(self._seal.prefix, lambda _: _Session(opener, is_own=True))

    def change_keys(self, keys: Keys) -> None:
        """Seal with the first of these from now on, and open what was sealed with any of them, and nothing else."""
        changed = keys[0] != self._keys[0]
        self._keys = keys
        for known in (self._known, self._own):
            for prefix in [prefix for prefix, session in known.items() if session.opener.key not in keys]:
                del known[prefix]
        for place in [place for place, new in self._newcomers.items() if new.session.opener.key not in keys]:
            self._give_up(place, Why.OTHER_KEY, self._hints(place[0][1:4].hex()))
        if changed:
            self.renew()

    def seal(self, packet: bytes, destination: Address | None, now: float) -> bytes:
        """The datagram of a packet."""
        try:
            datagram = self._seal.seal(packet, destination)
        except OverflowError:
            self.renew()
            datagram = self._seal.seal(packet, destination)
        if not self._samples or now - self._samples[-1][0] >= _SAMPLE:
            self._samples.append((now, self._seal.last))
        return datagram

    def open(self, batch: Iterable[Message], now: float) -> list[Message]:
        """The packets in these datagrams, and those that were held and are not any more, in order."""
        ready: list[Message] = []
        for datagram in batch:
            self._open(datagram, ready, now)
        return ready

    @property
    def has_news(self) -> bool:
        """Whether there is something to send, to tell, or to wait for."""
        return bool(self.outgoing or self._newcomers or self.rejections.waits)

    def timer(self) -> float:
        """When to call :meth:`tick`; infinity for never."""
        return min([new.due for new in self._newcomers.values()], default=math.inf)

    def tick(self, now: float) -> None:
        """Repeat challenges, and give up on those who do not answer."""
        for place, new in list(self._newcomers.items()):
            if now >= new.since + _PATIENCE:
                self._give_up(place, Why.UNANSWERED)
            elif now >= new.due:
                self._ask(new, now)

    def _open(self, datagram: Message, ready: list[Message], now: float) -> None:
        data = datagram.data
        if len(data) < OVERHEAD:
            self.rejections.add(Why.PLAIN, datagram.sender)
            return
        prefix = data[:PREFIX_SIZE]
        session = self._known.get(prefix)
        if session is None:
            session = self._own.get(prefix)
        if session is None:
            new = self._newcomers.get((prefix, datagram.sender))
            session = self._meet(datagram) if new is None else new.session
            if session is None:
                return
        packet = self._opened(session, datagram)
        if packet is None:
            self.rejections.add(Why.FORGED, datagram.sender, self._hints(hint_of(data)))
            return
        number = int.from_bytes(data[PREFIX_SIZE:HEADER_SIZE], "big")
        sender = datagram.sender
        if session.is_own:
            if not datagram.direct or sender not in self._own_addresses() or is_challenge(packet):
                self.rejections.add(Why.REPLAYED, sender)  # own messages to the group come from memory
            else:
                self._take(session, packet, datagram, number, ready)
        elif sender in session.sources:
            self._known.move_to_end(prefix)
            if is_challenge(packet):
                self._answer(session, packet, datagram, number, now)
            else:
                self._take(session, packet, datagram, number, ready)
        elif session.sources and (number < session.first or session.table(direct=datagram.direct).was_taken(number)):
            self._note_replayed(sender)  # from elsewhere
        else:
            new = self._newcomer((prefix, sender), session, now)
            if new is not None:
                self._hear_newcomer(new, packet, datagram, number, ready, now)

    def _take(self, session: _Session, packet: bytes, datagram: Message, number: int, ready: list[Message]) -> None:
        if session.take(number, direct=datagram.direct):
            ready.append(_with_data(datagram, packet))
        else:
            self._note_replayed(datagram.sender)

    def _answer(self, session: _Session, packet: bytes, datagram: Message, number: int, now: float) -> None:
        """Somebody known asks whether this end is there."""
        if not session.take(number, direct=datagram.direct):
            self._note_replayed(datagram.sender)
            return
        challenge = parse(packet)
        if challenge is not None and challenge.asks and datagram.direct:
            self._send_answer(challenge, datagram.sender, now)

    def _send_answer(self, asked: Challenge, to: Address, now: float) -> None:
        answer = Challenge(answer=asked.challenge, first=self._first_since(now - asked.listens - _GRACE))
        self.outgoing.append((pack(answer), to))

    def _first_since(self, time: float) -> int:
        """The counter of the first datagram that was sent at or after a time, or a little before it."""
        samples = self._samples
        place = bisect_right(samples, time, key=itemgetter(0)) - 1
        if place < 0:
            return samples[0][1] if len(samples) == _SAMPLES else 1
        sampled_at, counter = samples[place]
        if time < sampled_at + _SAMPLE:
            return counter
        return samples[place + 1][1] if place + 1 < len(samples) else self._seal.last + 1

    def _newcomer(self, place: tuple[bytes, Address], session: _Session, now: float) -> _Newcomer | None:
        """The state of a session at an address that has yet to answer; None if there is no place for it."""
        new = self._newcomers.get(place)
        if new is None:
            if sum(prefix == place[0] for prefix, _ in self._newcomers) >= _MOST_PLACES:
                self.rejections.add(Why.TOO_MUCH, place[1])
                return None
            if len(self._newcomers) >= _MOST_NEW:
                self._give_up(next(iter(self._newcomers)), Why.UNANSWERED)
            new = self._newcomers[place] = _Newcomer(place, session, self._random_bytes(NONCE_SIZE), now)
            self.newcomer_at = now
        return new

    def _hear_newcomer(
        self, new: _Newcomer, packet: bytes, datagram: Message, number: int, ready: list[Message], now: float
    ) -> None:
        if not is_challenge(packet):
            self._hold(new, packet, datagram, number)
            if not new.attempts:
                self._ask(new, now)
            return
        challenge = parse(packet) if datagram.direct else None
        asked = challenge if challenge is not None and challenge.asks else None
        if challenge is not None and challenge.answer == new.challenge:
            if asked is not None:
                self._send_answer(asked, datagram.sender, now)
            self._admit(new, number, challenge.first, ready, now)
            return
        new.heard += 1
        if asked is not None and new.answered < _MOST_ANSWERS:
            new.answered += 1
            self._ask(new, now, asked)
        elif not new.attempts:
            self._ask(new, now)

    def _hold(self, new: _Newcomer, packet: bytes, datagram: Message, number: int) -> None:
        size = len(packet)
        if (datagram.direct, number) in new.held:
            self.rejections.add(Why.REPLAYED, datagram.sender)
        elif (
            len(new.held) >= _MOST_HELD
            or new.size + size > _MOST_HELD_BYTES
            or self._held_size + size > _MOST_HELD_BYTES_OF_ALL
        ):
            self.rejections.add(Why.TOO_MUCH, datagram.sender)
        else:
            new.held[datagram.direct, number] = _with_data(datagram, packet)
            new.size += size
            self._held_size += size

    def _admit(self, new: _Newcomer, number: int, first: int, ready: list[Message], now: float) -> None:
        """The session answered from that address: deliver what was held."""
        prefix, sender = new.place
        self._drop(new)
        new.session.first = max(1, min(first, number))
        session = self._known.use(prefix, lambda _: new.session)
        if self._known.forgotten > self._forgotten:
            self._forgotten = self._known.forgotten
            self._listens_since = now  # what it heard before it must not hear again
        if len(session.sources) >= _MOST_SOURCES:
            session.sources.clear()
        session.sources.add(sender)
        session.take(number, direct=True)
        for (direct, held), message in new.held.items():
            if session.take(held, direct=direct):
                ready.append(message)
            else:
                self._note_replayed(sender)

    def _drop(self, new: _Newcomer) -> None:
        del self._newcomers[new.place]
        self._held_size -= new.size

    def _give_up(self, place: tuple[bytes, Address], why: Why, detail: str = "") -> None:
        new = self._newcomers[place]
        self._drop(new)
        self.rejections.add(why, place[1], detail, max(1, len(new.held) + new.heard))

    def _ask(self, new: _Newcomer, now: float, asked: Challenge | None = None) -> None:
        """Send a challenge, with an answer to the one that was ``asked``; plan the next one."""
        challenge = Challenge(new.challenge, listens=now - self._listens_since)
        if asked is not None:
            first = self._first_since(now - asked.listens - _GRACE)
            challenge = challenge._replace(answer=asked.challenge, first=first)
        self.outgoing.append((pack(challenge), new.place[1]))
        pause = _CHALLENGE_PAUSES[min(new.attempts, len(_CHALLENGE_PAUSES) - 1)]
        new.attempts += 1
        new.due = min(now + pause, new.since + _PATIENCE)

    def _note_replayed(self, sender: Address) -> None:
        if not self._several:
            self.rejections.add(Why.REPLAYED, sender)

    def _meet(self, datagram: Message) -> _Session | None:
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
        openers = [Opener(key, self._group, data[:PREFIX_SIZE]) for key in keys]
        if len(openers) > 1:  # one hint in 16 million is that of another key, too
            openers = [each for each in openers if self._opened(_Session(each), datagram) is not None] or openers
        return _Session(openers[0])

    def _opened(self, session: _Session, datagram: Message) -> bytes | None:
        opener = session.opener
        if not datagram.direct:
            return opener.open(datagram.data)
        own = self._own_addresses()
        if own != self._ends[0]:
            self._ends = own, [end_text(end) for end in own]
        for end in self._ends[1]:
            packet = opener.open(datagram.data, end)
            if packet is not None:
                if end != self._ends[1][0]:  # the next ones come there, too
                    self._ends[1].remove(end)
                    self._ends[1].insert(0, end)
                return packet
        return None

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
