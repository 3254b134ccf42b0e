"""What runs on the I/O thread: actions and timers, in which order, and never two at a time."""

from __future__ import annotations

import math
import threading
from datetime import timedelta
from secrets import token_bytes

from ...message import Message
from ...subscribing.subscriber_errors import set_unhandled_error_hook
from ...transport import Hears
from .broken_promise import expect
from .rule import rule
from .transport_rig import Rig


@rule
def actions_run_in_order_also_after_close(rig: Rig) -> None:
    """``call`` runs actions in the order they were called for, before and after close."""
    ran: list[int] = []
    end = rig.start()
    for number in range(5):
        end.transport.call(lambda number=number: ran.append(number))
    rig.until("all run", lambda: len(ran) == 5)
    end.transport.close()
    for number in range(5, 8):
        end.transport.call(lambda number=number: ran.append(number))
    rig.until("those after close run", lambda: len(ran) == 8)
    expect("the order", ran, list(range(8)))


@rule
def actions_run_before_the_start(rig: Rig) -> None:
    """``call`` and timers work on an end that was not started, or only sends."""
    ran: list[str] = []
    for transport in (rig.open(), rig.open(Hears.NOTHING)):
        transport.call(lambda: ran.append("action"))
        rig.until("the action runs", lambda: ran)
        transport.scheduler.schedule_relative(0.01, lambda _scheduler, _state: ran.append("timer"))
        rig.until("the timer runs", lambda: len(ran) == 2)
        ran.clear()


@rule
def an_action_called_for_on_the_io_thread_runs_at_once(rig: Rig) -> None:
    """``call`` on the I/O thread (in an action, a timer or a delivery) runs the action before it returns."""
    order: list[str] = []

    def nest(where: str) -> None:
        end.transport.call(lambda: order.append(f"inside the {where}"))
        order.append(f"end of the {where}")

    end = rig.start(lambda _: nest("delivery"))
    end.transport.call(lambda: nest("action"))
    rig.until("the action ran", lambda: len(order) == 2)
    end.transport.scheduler.schedule_relative(0.0, lambda _scheduler, _state: nest("timer"))
    rig.until("the timer ran", lambda: len(order) == 4)
    end.transport.send(b"x")
    rig.until("the delivery ran", lambda: len(order) == 6)
    inner = [f"{part} the {where}" for where in ("action", "timer", "delivery") for part in ("inside", "end of")]
    expect("the order", order, inner)


@rule
def an_action_called_for_before_a_send_runs_before_its_delivery(rig: Rig) -> None:
    """A message never overtakes an action that was called for before it was sent."""
    for _ in range(10):  # ends whose thread has yet to begin
        caller = _Caller(rig)
        caller.call_and_send()
        caller.end.transport.close()
    if not rig.concurrent:
        return
    caller, other = _Caller(rig), rig.open(Hears.NOTHING)
    for _ in range(20):  # one end, while it delivers
        caller.hold_delivery()
        other.send(b"hold")
        rig.until("a message of another end is delivered", lambda: caller.is_held)
        caller.call_and_send()


class _Caller:
    """An end, and in which order actions and its own messages come about there."""

    def __init__(self, rig: Rig) -> None:
        self.end = rig.start(self._hear)
        self.is_held = False
        self._rig = rig
        self._order: list[bytes] = []
        self._sent = b""
        self._go_on = threading.Event()
        self._go_on.set()

    def hold_delivery(self) -> None:
        """Let the delivery of the next ``b"hold"`` last until something is sent."""
        self.is_held = False
        self._go_on.clear()

    def call_and_send(self) -> None:
        self._order.clear()
        self._sent = token_bytes(8)  # others that are about to end may repeat what they said
        self.end.transport.call(lambda: self._order.append(b"action"))
        self.end.transport.send(self._sent)
        self._go_on.set()
        self._rig.until("both come about", lambda: len(self._order) == 2)
        expect("the order", self._order, [b"action", self._sent])

    def _hear(self, message: Message) -> None:
        if message.data == self._sent:
            self._order.append(message.data)
        elif message.data == b"hold":
            self.is_held = True
            self._go_on.wait(5.0)


@rule
def an_action_that_raises_stops_nothing(rig: Rig) -> None:
    """What an action raises is the caller's if it ran at once, else reported; what comes after it runs."""
    errors: list[BaseException] = []
    ran: list[str] = []

    def fail() -> None:
        raise ValueError("an action that raises, on purpose")

    previous = set_unhandled_error_hook(errors.append)
    try:
        end = rig.start(lambda _: ran.append("delivery"))
        try:
            end.transport.call(fail)
        except ValueError as error:
            errors.append(error)
        end.transport.call(lambda: ran.append("action"))
        rig.until("the next action runs", lambda: ran)
        end.transport.send(b"x")
        rig.until("a message is delivered", lambda: len(ran) == 2)
    finally:
        set_unhandled_error_hook(previous)
    expect("errors", len(errors), 1)


@rule
def timers_run_in_the_order_of_their_times(rig: Rig) -> None:
    """``scheduler`` runs timers when they are due, earlier ones first, in which order ever they were set."""
    ran: list[float] = []
    end = rig.start()

    def set_all() -> None:  # where none can run meanwhile, however long it takes
        scheduler = end.transport.scheduler
        now = scheduler.now
        for seconds in (0.03, 0.01, 0.02):
            due = now + timedelta(seconds=seconds)
            scheduler.schedule_absolute(due, lambda _scheduler, _state, s=seconds: ran.append(s))
        if ran:
            ran.append(math.inf)

    end.transport.call(set_all)
    rig.until("all run", lambda: len(ran) == 3)
    expect("the order", ran, [0.01, 0.02, 0.03])


@rule
def a_disposed_timer_does_not_run(rig: Rig) -> None:
    """A timer that was disposed of before it was due does not run."""
    ran: list[str] = []
    transport = rig.start().transport

    def set_both() -> None:  # where none can run meanwhile, however long it takes
        transport.scheduler.schedule_relative(0.02, lambda _scheduler, _state: ran.append("disposed")).dispose()
        transport.scheduler.schedule_relative(0.03, lambda _scheduler, _state: ran.append("later"))

    transport.call(set_both)
    rig.until("the later one runs", lambda: "later" in ran)
    expect("what ran", ran, ["later"])


@rule
def timers_run_on_after_close(rig: Rig) -> None:
    """``scheduler`` works after close: timers that were set before it, and those that are set then."""
    ran: list[str] = []
    end = rig.start()
    end.transport.scheduler.schedule_relative(0.02, lambda _scheduler, _state: ran.append("before"))
    end.transport.close()
    end.transport.scheduler.schedule_relative(0.03, lambda _scheduler, _state: ran.append("after"))
    rig.until("both run", lambda: len(ran) == 2)
    expect("the order", ran, ["before", "after"])


@rule
def the_io_thread_is_one(rig: Rig) -> None:
    """Deliveries, actions and timers run on one thread and never during one another, whoever asked for them."""
    visits: list[str] = []
    end = rig.start()

    def visit(name: str) -> None:
        end.visit()
        visits.append(name)

    def ask() -> None:
        for number in range(10):
            end.transport.send(b"%d" % number)
            end.transport.call(lambda: visit("action"))
            end.transport.scheduler.schedule_relative(0.001 * number, lambda _scheduler, _state: visit("timer"))

    rig.in_threads([ask, ask, ask]) if rig.concurrent else ask()
    asked = 30 if rig.concurrent else 10
    rig.until("all run", lambda: len(visits) == 2 * asked and len(end.messages) == asked)
    expect("calls during another one", end.overlaps, 0)
    expect("how many threads called", len(end.threads), 1)
