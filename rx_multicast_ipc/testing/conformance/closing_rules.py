"""How an end opens, closes, and breaks."""

from __future__ import annotations

import gc
import os
import threading
from contextlib import suppress
from unittest import SkipTest

from ...errors import CannotOpen, ChannelClosed, InvalidInterface
from ...message import Message
from ...transport import Hears
from .broken_promise import expect, raises
from .process_rules import send_until_accepted, send_until_heard
from .rule import rule
from .transport_rig import PATIENCE, End, Rig


@rule
def an_end_is_open_until_closed(rig: Rig) -> None:
    """``closed`` and ``ended`` are false until close, and true once it returned, started or not."""
    for transport in (rig.start().transport, rig.open(), rig.open(Hears.NOTHING)):
        expect("closed, ended of an open end", (transport.closed, transport.ended), (False, False))
        transport.close()
        expect("closed, ended of a closed end", (transport.closed, transport.ended), (True, True))


@rule
def close_ends_once(rig: Rig) -> None:
    """``close`` is idempotent, from any thread; ``ended`` is called once, with None."""
    end = rig.start()
    rig.in_threads([end.transport.close] * 4)
    end.transport.close()
    end.transport.close(wait=False)
    expect("what ended was called with", end.ends, [None])
    expect("closed, ended", (end.transport.closed, end.transport.ended), (True, True))


@rule
def nothing_is_delivered_once_close_returned(rig: Rig) -> None:
    """``deliver`` is not called after ``close`` returned, not even with what was on its way."""
    for sent in range(10):
        end, other = rig.start(), rig.start()
        for _ in range(sent):
            other.transport.send(b"x")
            other.transport.send(b"x", end.transport.sender_address)
        end.transport.close()
        delivered = len(end.log)
        other.transport.send(b"last")
        rig.until("another end hears on", lambda other=other: other.payloads[-1:] == [b"last"])
        expect("deliveries after close", len(end.log) - delivered, 0)
        other.transport.close()


@rule
def ended_is_the_last_call(rig: Rig) -> None:
    """``ended`` is called on the I/O thread, after the last ``deliver``."""
    for _ in range(5):
        end, other = rig.start(), rig.start()
        for number in range(20):
            other.transport.send(b"x")
            if number == 10:
                rig.hear(1, end)
                end.transport.close(wait=False)
        rig.until("it ends", lambda end=end: end.ends)
        rig.hear(20, other)
        expect("the last call", end.log.index("ended"), len(end.log) - 1)
        expect("how many threads called", len(end.threads), 1)
        other.transport.close()


@rule
def closing_during_a_delivery_ends_at_once(rig: Rig) -> None:
    """``close`` during a delivery ends the transport before it returns, and no other delivery follows."""

    def close(_: Message) -> None:
        if not ended_inside:
            end.transport.close()
            ended_inside.append(end.transport.closed and bool(end.ends))

    ended_inside: list[bool] = []
    end, other = rig.start(close), rig.start()
    for number in range(20):
        other.transport.send(b"%d" % number)
        other.transport.send(b"x", end.transport.sender_address)
    rig.until("the delivery that closes it is over", lambda: ended_inside)
    rig.hear(20, other)
    expect("ended inside the delivery", ended_inside, [True])
    expect("calls", [call for call in end.log if call != "changed"], ["deliver", "ended"])


@rule
def closing_in_an_action_or_a_timer_ends_at_once(rig: Rig) -> None:
    """``close`` on the I/O thread ends the transport before it returns, in an action and in a timer too."""
    ended_inside: list[bool] = []

    def close(end: End) -> None:
        end.transport.close()
        ended_inside.append(end.transport.ended and end.ends == [None])

    one, other = rig.start(), rig.start()
    one.transport.call(lambda: close(one))
    rig.until("the action runs", lambda: len(ended_inside) == 1)
    other.transport.scheduler.schedule_relative(0.01, lambda _scheduler, _state: close(other))
    rig.until("the timer runs", lambda: len(ended_inside) == 2)
    expect("ended inside", ended_inside, [True, True])


@rule
def close_without_waiting_ends_soon(rig: Rig) -> None:
    """``close(wait=False)`` refuses sends from then on, and the end follows by itself."""
    end = rig.start()
    end.transport.close(wait=False)
    expect("closed", end.transport.closed, True)
    raises(ChannelClosed, lambda: end.transport.send(b"late"))
    rig.until("it ends", lambda: end.transport.ended)
    expect("what ended was called with", end.ends, [None])


@rule
def close_waits_for_the_delivery_under_way(rig: Rig) -> None:
    """``close`` from another thread returns when the delivery under way has ended."""
    main = threading.get_ident()
    delivering, release = threading.Event(), threading.Event()
    order: list[str] = []

    def deliver_slowly(_: Message) -> None:
        delivering.set()
        if threading.get_ident() != main:
            release.wait(PATIENCE)
            order.append("delivered")

    def close() -> None:
        end.transport.close()
        order.append("closed")

    end = rig.start(deliver_slowly)
    end.transport.send(b"x")
    rig.until("it is delivered", delivering.is_set)
    if main in end.threads:
        raise SkipTest("its I/O thread is the one that lets time pass, so no delivery is under way elsewhere")
    closing = threading.Thread(target=close, daemon=True)
    closing.start()
    rig.until("it is closed", lambda: end.transport.closed)
    closing.join(0.05)  # time to return too early
    release.set()
    rig.until("close returns", lambda: len(order) == 2)
    expect("the order", order, ["delivered", "closed"])


@rule
def closing_one_end_leaves_the_others(rig: Rig) -> None:
    """The other ends of the group, and those that are opened later, go on when one closes."""
    closed, end = rig.start(), rig.start()
    closed.transport.close()
    later = rig.start()
    end.transport.send(b"x")
    later.transport.send(b"y", end.transport.sender_address)
    rig.hear(2, end)
    rig.hear(1, later)
    expect("the one heard", sorted(end.payloads), [b"x", b"y"])
    expect("the later one heard", later.payloads, [b"x"])


@rule
def a_closed_end_holds_nothing(rig: Rig) -> None:
    """Once closed, started or not, an end holds no thread and no file descriptor."""
    rig.start().transport.close()  # what is made once a process is made now
    gc.collect()  # what earlier ends left to it
    before = _held()
    for _ in range(3):
        end = rig.start()
        end.transport.send(b"x")
        rig.hear(1, end)
        for transport in (end.transport, rig.open(), rig.open(Hears.NOTHING)):
            transport.close()
    rig.until("threads and descriptors are let go of", lambda: _held() <= before)


@rule
def what_cannot_be_opened_leaves_nothing_open(rig: Rig) -> None:
    """Opening raises ``CannotOpen`` or ``InvalidInterface``, and leaves no thread and no file descriptor."""
    group = rig.cannot_open

    def fail_to_open() -> None:
        for hears in Hears:
            raises((CannotOpen, InvalidInterface), lambda hears=hears: rig.open(hears, group=group))

    fail_to_open()  # what a library of an engine's keeps, it begins to keep now
    gc.collect()  # what earlier ends left to it
    before = _held()
    fail_to_open()
    rig.until("threads and descriptors are let go of", lambda: _held() <= before)


@rule
def a_fault_ends_it_and_is_told(rig: Rig) -> None:
    """A fault that ends the transport is what ``ended`` is called with, once and last; sends are refused then."""
    end, other = rig.start(), rig.start()
    rig.break_down(end.transport)
    other.transport.send(b"x")
    rig.until("it ends", lambda: end.transport.ended)
    end.transport.close()
    expect("what ended was called with", [isinstance(fault, Exception) for fault in end.ends], [True])
    expect("the last call", end.log[-1], "ended")
    raises(ChannelClosed, lambda: end.transport.send(b"late"))
    other.transport.send(b"y")
    rig.hear(2, other)


@rule
def a_change_of_the_network_is_told_and_heals(rig: Rig) -> None:
    """``changed`` is called on the I/O thread for what happens to the network, not after close; the end outlives it."""
    end, other = rig.start(), rig.start()
    other.transport.send(b"before")
    rig.hear(1, end)
    rig.disturb(end.transport)
    rig.until("it is told", lambda: end.changes)
    expect("closed, ended", (end.transport.closed, bool(end.ends)), (False, False))
    send_until_heard(rig, end, b"back", other)
    send_until_heard(rig, other, b"after", end)
    expect("how many threads called", len(end.threads), 1)
    end.transport.close()
    told = len(end.log)
    rig.disturb(end.transport)
    send_until_accepted(rig, other.transport, b"last")
    rig.until("the other end hears on", lambda: b"last" in other.payloads)
    expect("calls after close", len(end.log) - told, 0)


def _held() -> set[object]:
    """The threads and file descriptors of this process, each told from those that come later.

    By identity and not by number: what others still let go of meanwhile makes up for nothing that is kept.
    """
    held: set[object] = set(threading.enumerate())
    with suppress(OSError):  # not told on this platform
        for name in os.listdir("/dev/fd"):
            with suppress(OSError):  # that of the listing itself
                status = os.fstat(int(name))
                held.add((int(name), status.st_dev, status.st_ino))
    return held
