"""One end's copy of a latest value: a state machine without clock or sockets.

An end that sets a value sends it to the group, and the later version wins, so that all copies become equal. A newcomer
asks the group for the value. The owner, which set it, waits 5 ms for others that ask, and answers to all at once. When
a few asks found no owner, the other holders of the value answer, each after a random time and not if another was
quicker (RFC 5401, section 3.2.1).

So that a value that was lost, or set on one side of a partition, arrives in the end, holders tell from time to time
which version they have: soon after it was set, then less and less often, and not where another has just told the same
(RFC 6206). An end that hears of a later version asks for it; one that hears of an earlier one answers.

A newcomer that sets a value at once may not know of the versions that exist. When a holder sends it one, it sets its
value again, once, with a later version.
"""

from __future__ import annotations

import math
from random import Random
from typing import Final, NamedTuple

from ...message import Address
from ...strangers.bounded_map import BoundedMap
from .packets import MOST_ATTEMPTS, Version

_MERGE: Final = 0.005
"""Seconds for which the owner waits for more questions."""

_ASK_AGAIN: Final = (0.009, 0.009, 0.009, 0.009, 0.009, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64)
"""Seconds between questions. After the last, it waits to hear that somebody has a value."""

_KNOWS_ALL: Final = 10
"""Questions after which every holder had time to answer."""

_HOLDERS_ANSWER: Final = MOST_ATTEMPTS
"""Questions that found no owner, after which other holders answer: a tenth of a second."""

_ASK_SPREAD: Final = 0.004
"""Seconds over which the questions of ends that hear of a later version together spread."""

_BACK_OFF: Final = 0.05
_BACK_OFF_FROM: Final = 0.01
"""Seconds: holders answer after the second and up to both together."""

_HOLDERS: Final = 100
"""Holders for which the back-off is made. With more, a few more answer."""

_FIRST_TOLD: Final = 0.1
_LAST_TOLD: Final = 12.8
"""Seconds: the first and the longest interval in which ends tell what they have."""

_SPEED: Final = 20e6
"""Bytes a second at which a large value is taken to go out; it is not sent again in that time."""

_MOST_ASKERS: Final = 1000

_LARGE: Final = 16_384
"""Bytes of a value from which on the owner tells those that ask that it is on its way."""

_ON_ITS_WAY: Final = 1.0
"""Seconds after which an end that was told so asks again."""

NONE: Final = Version()


class Ask(NamedTuple):
    """Ask the group, for the ``attempt``-th time from 0."""

    attempt: int


class Tell(NamedTuple):
    """Tell the group, or one address, which version is there."""

    destination: Address | None = None


class Give(NamedTuple):
    """Send the value, to the group or to one address."""

    destination: Address | None


Action = Ask | Tell | Give


class LatestMachine:
    """One end's copy. Times are seconds on any clock that only goes forward.

    Args:
        session: tells this end from others.
        random: draws what is random.
        now: when it begins.
        repairs: whether what is sent to one address arrives, or is repaired.

    Attributes:
        version, value: the latest that is known; version ``NONE``, and no value, if none is.
    """

    def __init__(self, session: int, random: Random, now: float, *, repairs: bool = False) -> None:
        self.version = NONE
        self.value: bytes | None = None
        self._session = session
        self._random = random
        self._repairs = repairs
        self._reserved = 0
        self._attempt = 0
        self._ask_at = now
        self._gives_at = math.inf
        self._not_before = -math.inf
        self._askers: list[Address | None] = []
        self._hints: list[Action] = []
        self._served: BoundedMap[Address, tuple[Version, float]] = BoundedMap(_MOST_ASKERS)
        self._told = _FIRST_TOLD
        self._tell_at = self._told_end = math.inf
        self._heard_same = False
        self._knows_all = self._set_early = False

    @property
    def is_owner(self) -> bool:
        """Whether this end set the value."""
        return self.version.setter == self._session

    def next_version(self) -> Version:
        """A version for a value that is to be set here; no two are alike."""
        self._reserved = max(self._reserved, self.version.number) + 1
        return Version(self._reserved, self._session)

    def set(self, version: Version, value: bytes, now: float) -> bool:
        """Take a value that was set here and sent; returns whether it is the latest."""
        if version <= self.version:
            return False
        self._adopt(version, value)
        self._set_early = not self._knows_all
        self._begin_to_tell(now, _FIRST_TOLD)
        return True

    def on_value(self, version: Version, value: bytes, now: float, *, held: bool = False) -> bool:
        """Take a value that was sent by another, or by this end and came back; returns whether it is another one.

        Args:
            version, value: of it.
            now: seconds.
            held: whether it was set before, and is an answer.
        """
        if version < self.version:
            self._answer(None, _HOLDERS_ANSWER, now)
            return False
        if version == self.version:
            self._heard_same = True
            self._stop_answering()
            return False
        if held and self._set_early and version.setter != self._session:
            self._set_early, self._knows_all = False, True
            self._reserved = max(self._reserved, version.number)
            self.version = self.next_version()
            self._gives_at = now
            return False
        self._adopt(version, value)
        self._knows_all = self._knows_all or version.setter != self._session
        self._ask_at = math.inf
        self._begin_to_tell(now, _LAST_TOLD)
        return True

    def on_ask(self, version: Version, attempt: int, source: Address, now: float) -> None:
        """Somebody has ``version`` and asks for a later one."""
        if version < self.version:
            self._answer(source, attempt, now)
        elif version > self.version:
            self._begin_to_ask(now)

    def on_tell(self, version: Version, now: float, *, direct: bool = False) -> None:
        """Somebody has ``version``, and tells so: the group, or this end alone as the answer to an ask."""
        if version < self.version:
            self._answer(None, _HOLDERS_ANSWER, now)
        elif version > self.version:
            self._begin_to_ask(now)
            if direct:  # it is on its way, and nobody else need send it
                self._attempt, self._ask_at = 0, now + _ON_ITS_WAY
        else:
            self._heard_same = True

    def due(self, now: float) -> list[Action]:
        """What is to be done now."""
        actions, self._hints = self._hints, []
        if now >= self._gives_at:
            actions.append(Give(self._answered(now)))
        if now >= self._ask_at:
            actions.append(Ask(self._attempt))
            if self._attempt < len(_ASK_AGAIN):
                self._ask_at = now + _ASK_AGAIN[self._attempt] * self._random.uniform(0.9, 1.0)
                self._attempt += 1
            else:
                self._ask_at = math.inf
            if self._attempt >= _KNOWS_ALL:
                self._knows_all, self._set_early = True, False
        if now >= self._tell_at:
            self._tell_at = math.inf
            if not self._heard_same:
                actions.append(Tell())
        if now >= self._told_end:
            self._begin_to_tell(now, min(2 * self._told, _LAST_TOLD))
        return actions

    def timer(self) -> float:
        """When :meth:`due` is to be called next if nothing arrives before; infinity for never."""
        if self._hints:
            return -math.inf
        return min(self._gives_at, self._ask_at, self._tell_at, self._told_end)

    def _adopt(self, version: Version, value: bytes) -> None:
        self.version, self.value = version, value
        self._stop_answering()

    def _begin_to_ask(self, now: float) -> None:
        if self._ask_at == math.inf:
            self._attempt = 0
            self._ask_at = now + self._random.random() * _ASK_SPREAD

    def _begin_to_tell(self, now: float, interval: float) -> None:
        self._told = interval
        self._told_end = now + interval
        self._tell_at = now + interval * self._random.uniform(0.5, 1.0)
        self._heard_same = False

    def _answer(self, source: Address | None, attempt: int, now: float) -> None:
        """Answer in a while, if that is for this end to do."""
        if self.value is None or (not self.is_owner and attempt < _HOLDERS_ANSWER):
            return
        if self._repairs and source is not None:
            version, until = self._served.get(source, (NONE, 0.0))
            if version == self.version and now < until:
                return
        if len(self._askers) < _MOST_ASKERS and source not in self._askers:
            self._askers.append(source)
            if self._repairs and self.is_owner and self._is_large and source is not None:
                self._hints.append(Tell(source))
        wait = _MERGE if self.is_owner else self._back_off()
        self._gives_at = min(self._gives_at, max(now + wait, self._not_before))

    def _answered(self, now: float) -> Address | None:
        """The answer goes out; returns to whom."""
        askers, took = self._askers, len(self.value or b"") / _SPEED
        self._stop_answering()
        self._not_before = now + took
        pause = _ON_ITS_WAY + 2 * took if self._is_large else _ASK_AGAIN[-5]
        if self._repairs:
            for asker in askers:
                if asker is not None:
                    self._served.pop(asker, None)
                    until = now + pause
                    self._served.use(asker, lambda _, until=until: (self.version, until))
        alone = self._repairs and self.is_owner and len(askers) == 1  # else other holders are to hear it, too
        return askers[0] if alone else None

    @property
    def _is_large(self) -> bool:
        return self.value is not None and len(self.value) > _LARGE

    def _stop_answering(self) -> None:
        self._gives_at = math.inf
        self._askers = []

    def _back_off(self) -> float:
        """Most wait for long, so that the few who do not are heard in time: truncated exponential."""
        rate = math.log(_HOLDERS) + 1
        drawn = self._random.random() * rate / _BACK_OFF + rate / (_BACK_OFF * (math.exp(rate) - 1))
        return _BACK_OFF_FROM + _BACK_OFF / rate * math.log(drawn * (math.exp(rate) - 1) * _BACK_OFF / rate)
