"""Transports that break one promise each."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from reactivex.disposable import Disposable
from reactivex.scheduler.periodicscheduler import PeriodicScheduler

from rx_multicast_ipc import ChannelClosed, Message, SendFailed, Statistics
from rx_multicast_ipc.message import Address
from rx_multicast_ipc.transport import Changed, Deliver, Ended, Transport, TransportWrapper


class Changes(TransportWrapper):
    """Delivers something else than what came."""

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        def deliver_changed(batch: list[Message]) -> None:
            if changed := self.change(batch):
                deliver(changed)

        self.inner.start(deliver_changed, ended, changed)

    def change(self, batch: list[Message]) -> list[Message]:
        return batch


class DeafToItself(Changes):
    def change(self, batch: list[Message]) -> list[Message]:
        return [message for message in batch if message.direct or message.sender != self.sender_address]


class CountsLossesByGuessing(TransportWrapper):
    @property
    def statistics(self) -> Statistics:
        return msgspec.structs.replace(self.inner.statistics, lost=7)


class HearsTwice(Changes):
    def change(self, batch: list[Message]) -> list[Message]:
        return [message for message in batch for _ in range(2)]


class CallsNothingDirect(Changes):
    def change(self, batch: list[Message]) -> list[Message]:
        return [msgspec.structs.replace(message, direct=False) for message in batch]


class Truncates(Changes):
    def change(self, batch: list[Message]) -> list[Message]:
        return [msgspec.structs.replace(message, data=message.data[:1472]) for message in batch]


class DeliversBuffers(Changes):
    def change(self, batch: list[Message]) -> list[Message]:
        wrong: Any = bytearray
        return [msgspec.structs.replace(message, data=wrong(message.data)) for message in batch]


class SkipsEmptyPayloads(Changes):
    def change(self, batch: list[Message]) -> list[Message]:
        return [message for message in batch if message.data]


class Reverses(Changes):
    def change(self, batch: list[Message]) -> list[Message]:
        return batch[::-1]


class StampsNothing(Changes):
    def change(self, batch: list[Message]) -> list[Message]:
        return [msgspec.structs.replace(message, received_at=-1.0) for message in batch]


class SaysNoDestination(Changes):
    def change(self, batch: list[Message]) -> list[Message]:
        return [msgspec.structs.replace(message, destination=None) for message in batch]


class TakesTheFirstForTheSender(Changes):
    first: Message | None = None

    def change(self, batch: list[Message]) -> list[Message]:
        self.first = first = self.first or batch[0]
        return [msgspec.structs.replace(message, address=first.address, port=first.port) for message in batch]


class DeafBeforeItsStart(Changes):
    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        self.started_at = self.scheduler.to_seconds(self.scheduler.now)
        super().start(deliver, ended, changed)

    def change(self, batch: list[Message]) -> list[Message]:
        return [message for message in batch if message.received_at > self.started_at]


class Delivers(TransportWrapper):
    """Delivers what came, but not as it should."""

    deliver: Deliver
    tell_ended: Ended

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        self.deliver = deliver
        self.tell_ended = ended
        self.inner.start(self.take, self.end, changed)

    def take(self, batch: list[Message]) -> None:
        self.deliver(batch)

    def end(self, fault: Exception | None) -> None:
        self.tell_ended(fault)


class DeliversOnManyThreads(Delivers):
    def take(self, batch: list[Message]) -> None:
        for message in batch:
            thread = threading.Thread(target=self.deliver, args=([message],))
            thread.start()
            thread.join()


class DeliversNothingAtTimes(Delivers):
    def take(self, batch: list[Message]) -> None:
        self.deliver([])
        self.deliver(batch)


class DeliversWhileSending(Delivers):
    def take(self, batch: list[Message]) -> None:
        self.deliver([message for message in batch if message.sender != self.sender_address])

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        self.inner.send(payload, destination)
        self.deliver([Message(payload, *self.sender_address)])


class DeafToDirectMessages(Changes):
    def change(self, batch: list[Message]) -> list[Message]:
        return [message for message in batch if not message.direct]


class HearsItselfLate(Changes):
    """Keeps its own messages until there are others."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self.own: list[Message] = []

    def change(self, batch: list[Message]) -> list[Message]:
        self.own += [message for message in batch if message.sender == self.sender_address]
        others = [message for message in batch if message.sender != self.sender_address]
        if others:
            others += self.own
            self.own.clear()
        return others


class HearsItselfAnyway(Delivers):
    def send(self, payload: bytes, destination: Address | None = None) -> None:
        self.inner.send(payload, destination)
        if destination is None:
            self.call(lambda: self.deliver([Message(payload, *self.sender_address)]))


class ClosesAtAnError(Delivers):
    def take(self, batch: list[Message]) -> None:
        try:
            self.deliver(batch)
        except ValueError:
            self.close()


class HearsOtherGroups(Delivers):
    """What one of them hears, all hear."""

    everyone: list[HearsOtherGroups] = []  # noqa: RUF012

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self.everyone[:] = [one for one in self.everyone if not one.closed]

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        super().start(deliver, ended, changed)
        self.everyone.append(self)

    def take(self, batch: list[Message]) -> None:
        for one in self.everyone:
            one.deliver(batch)


class DeliversAfterClose(Delivers):
    def take(self, batch: list[Message]) -> None:
        self.last = batch
        self.deliver(batch)

    def end(self, fault: Exception | None) -> None:
        super().end(fault)
        self.scheduler.schedule_relative(0.001, lambda _scheduler, _state: self.deliver([Message(b"late")]))


class TellsNoChange(TransportWrapper):
    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        self.inner.start(deliver, ended)


class EndsAtAChange(TransportWrapper):
    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        self.inner.start(deliver, ended, lambda event: self.close())


class DeafToNamedSources(Changes):
    def change(self, batch: list[Message]) -> list[Message]:
        return [message for message in batch if message.direct or not self.group.sources]


class EndsTwice(Delivers):
    def end(self, fault: Exception | None) -> None:
        super().end(fault)
        super().end(fault)


class EndsElsewhere(Delivers):
    def end(self, fault: Exception | None) -> None:
        thread = threading.Thread(target=self.tell_ended, args=(fault,))
        thread.start()
        thread.join()


class HidesItsFault(Delivers):
    def end(self, fault: Exception | None) -> None:
        super().end(None)


class Sends(TransportWrapper):
    """Sends each of many by itself."""

    def send_many(self, payloads: Sequence[bytes]) -> None:
        for number, payload in enumerate(payloads):
            try:
                self.send(payload)
            except SendFailed as error:
                error.sent = number
                raise


class MuteBeforeItsStart(Sends):
    started = False

    def start(self, deliver: Deliver, ended: Ended, changed: Changed | None = None) -> None:
        self.started = True
        super().start(deliver, ended, changed)

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        if self.started:
            self.inner.send(payload, destination)


class SendsOnItsOwnThreadOnly(Sends):
    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self.own = threading.get_ident()

    def send(self, payload: bytes, destination: Address | None = None) -> None:
        if threading.get_ident() == self.own:
            self.inner.send(payload, destination)


class SwallowsRefusals(Sends):
    def send(self, payload: bytes, destination: Address | None = None) -> None:
        with suppress(SendFailed):
            self.inner.send(payload, destination)


class SwallowsBeingClosed(Sends):
    def send(self, payload: bytes, destination: Address | None = None) -> None:
        with suppress(ChannelClosed):
            self.inner.send(payload, destination)


class SendsManyBackwards(Sends):
    def send_many(self, payloads: Sequence[bytes]) -> None:
        super().send_many(payloads[::-1])


class SendsAFewOfMany(Sends):
    def send_many(self, payloads: Sequence[bytes]) -> None:
        super().send_many(payloads[:16])


class ForgetsHowManyWent(Sends):
    def send_many(self, payloads: Sequence[bytes]) -> None:
        for payload in payloads:
            self.send(payload)


class SendsManyPastARefusal(Sends):
    def send_many(self, payloads: Sequence[bytes]) -> None:
        failed: SendFailed | None = None
        for number, payload in enumerate(payloads):
            try:
                self.send(payload)
            except SendFailed as error:
                error.sent, failed = number, error
        if failed is not None:
            raise failed


class CountsNoBytes(TransportWrapper):
    @property
    def statistics(self) -> Statistics:
        return msgspec.structs.replace(super().statistics, sent_bytes=0, received_bytes=0)


class CountsRefusedAsSent(TransportWrapper):
    @property
    def statistics(self) -> Statistics:
        counted = super().statistics
        return msgspec.structs.replace(counted, sent=counted.sent + counted.refused)


class ForgetsItsCount(TransportWrapper):
    @property
    def statistics(self) -> Statistics:
        return Statistics() if self.closed else super().statistics


class FindsEveryName(TransportWrapper):
    def look_up(self, name: str) -> str:
        return name


class LosesItsAddress(TransportWrapper):
    @property
    def sender_address(self) -> Address:
        return ("0.0.0.0", 0) if self.closed else super().sender_address


class KnowsNoAddressOfItsOwn(TransportWrapper):
    @property
    def own_addresses(self) -> frozenset[Address]:
        return frozenset()


class NeverIsWritable(TransportWrapper):
    def when_writable(self, action: Callable[[], None]) -> None:
        pass


class IsWritableElsewhere(TransportWrapper):
    def when_writable(self, action: Callable[[], None]) -> None:
        thread = threading.Thread(target=action)
        thread.start()
        thread.join()


class RunsActionsLater(TransportWrapper):
    def call(self, action: Callable[[], None]) -> None:
        self.scheduler.schedule_relative(0.02, lambda _scheduler, _state: action())


class RunsNothingAfterClose(TransportWrapper):
    def call(self, action: Callable[[], None]) -> None:
        if not self.closed:
            self.inner.call(action)


class RunsNothingBeforeItsStart(MuteBeforeItsStart):
    def call(self, action: Callable[[], None]) -> None:
        if self.started:
            self.inner.call(action)


class RunsNothingAfterAnError(TransportWrapper):
    failed = False

    def call(self, action: Callable[[], None]) -> None:
        try:
            if not self.failed:
                self.inner.call(action)
        except ValueError:
            self.failed = True
            raise


class Times(TransportWrapper):
    """Has a scheduler of its own way."""

    @property
    def scheduler(self) -> PeriodicScheduler:
        outer = self

        class Scheduler:
            def __getattr__(self, name: str) -> Any:
                return getattr(outer.inner.scheduler, name)

            def schedule_relative(self, duetime: float, action: Any, state: Any = None) -> Any:
                return outer.schedule(duetime, action)

            def schedule_absolute(self, duetime: Any, action: Any, state: Any = None) -> Any:
                return outer.schedule_at(duetime, action)

        own: Any = Scheduler()
        return own

    def schedule(self, seconds: float, action: Any) -> Any:
        return self.inner.scheduler.schedule_relative(seconds, action)

    def schedule_at(self, due: Any, action: Any) -> Any:
        return self.inner.scheduler.schedule_absolute(due, action)


class TimesAreAllTheSame(Times):
    def schedule(self, seconds: float, action: Any) -> Any:
        return super().schedule(0.01, action)

    def schedule_at(self, due: Any, action: Any) -> Any:
        return self.schedule(0.01, action)


class TimersCannotBeDisposed(Times):
    def schedule(self, seconds: float, action: Any) -> Any:
        super().schedule(seconds, action)
        return Disposable()


class TimersEndWithIt(Times):
    def schedule(self, seconds: float, action: Any) -> Any:
        def run(scheduler: Any, state: Any) -> None:
            if not self.closed:
                action(scheduler, state)

        return super().schedule(seconds, run)


class TimersHaveThreads(Times):
    def schedule(self, seconds: float, action: Any) -> Any:
        def run(scheduler: Any, state: Any) -> None:
            thread = threading.Thread(target=action, args=(scheduler, state))
            thread.start()
            thread.join()

        return super().schedule(seconds, run)


class NeverSaysItIsClosed(TransportWrapper):
    @property
    def closed(self) -> bool:
        return False


class NeverSaysItHasEnded(TransportWrapper):
    @property
    def ended(self) -> bool:
        return False


class ClosesLater(TransportWrapper):
    def close(self, *, wait: bool = True) -> None:
        self.scheduler.schedule_relative(0.001, lambda _scheduler, _state: self.inner.close())


class ClosesOnlyWhenWaitedFor(TransportWrapper):
    def close(self, *, wait: bool = True) -> None:
        if wait:
            self.inner.close()


class ClosesWithoutWaiting(TransportWrapper):
    def close(self, *, wait: bool = True) -> None:
        self.inner.close(wait=False)


class ClosesAllOfThem(TransportWrapper):
    everyone: list[Transport] = []  # noqa: RUF012

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self.everyone.append(transport)

    def close(self, *, wait: bool = True) -> None:
        while self.everyone:
            self.everyone.pop().close(wait=wait)


class KeepsADescriptor(TransportWrapper):
    def __init__(self, transport: Transport) -> None:
        super().__init__(transport)
        self.kept = open(os.devnull)  # noqa: SIM115

    def __del__(self) -> None:
        self.kept.close()
