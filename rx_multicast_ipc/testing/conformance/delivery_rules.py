"""Who hears a datagram, and how it is delivered."""

from __future__ import annotations

import msgspec

from ...group import Group
from ...message import Message
from ...subscribing.subscriber_errors import set_unhandled_error_hook
from ...transport import Hears
from .awkward_payloads import awkward
from .broken_promise import expect
from .rule import rule
from .transport_rig import Rig, free_port

_CLOCK_SLACK = 0.1
"""Seconds by which the clocks of a sender, a kernel and a receiver on one machine may differ."""


@rule
def everyone_in_the_group_hears(rig: Rig) -> None:
    """A datagram to the group reaches every end of it once, the sender's own among them."""
    ends = [rig.start() for _ in range(3)]
    ends[0].transport.send(b"x")
    ends[0].transport.send(b"last")
    rig.until("all three ends hear both", lambda: all(b"last" in end.payloads for end in ends))
    for end in ends:
        expect("an end heard", end.payloads, [b"x", b"last"])


@rule
def a_direct_datagram_reaches_one_end(rig: Rig) -> None:
    """A datagram to an end's ``sender_address`` reaches that end alone, and is marked as direct."""
    asking, other, replying = rig.start(), rig.start(), rig.start()
    replying.transport.send(b"for you", asking.transport.sender_address)
    replying.transport.send(b"for all")
    rig.hear(2, asking)
    rig.hear(1, other)
    expect("what was direct", {m.data: m.direct for m in asking.messages}, {b"for you": True, b"for all": False})
    expect("the other end heard", other.payloads, [b"for all"])


@rule
def other_groups_and_ports_are_not_heard(rig: Rig) -> None:
    """An end hears its own group on its own port, and nothing of another group or port."""
    one, other = rig.start(), rig.start(group=_other_address(rig.group))
    third = rig.start(group=msgspec.structs.replace(rig.group, port=free_port(other_than=rig.group.port)))
    for end in (other, third, one):
        end.transport.send(b"%d" % end.transport.group.port)
    rig.hear(1, one, other, third)
    for end in (one, other, third):
        expect("an end heard senders", {m.sender for m in end.messages}, {end.transport.sender_address})


@rule
def only_named_sources_are_heard(rig: Rig) -> None:
    """An end whose group names ``sources`` hears what these send to the group, and what anybody sends to it alone."""
    sender = rig.start()
    address = sender.transport.sender_address[0].partition("%")[0]
    nobody = "192.0.2.1" if rig.group.family == "IPv4" else "2001:db8::1"  # RFC 5737, RFC 3849
    one = rig.start(group=msgspec.structs.replace(rig.group, sources=(address,)))
    other = rig.start(group=msgspec.structs.replace(rig.group, sources=(nobody,)))
    sender.transport.send(b"to all")
    for end in (one, other):
        sender.transport.send(b"to one", end.transport.sender_address)
    rig.hear(2, one)
    rig.hear(1, sender, other)
    expect("the one that names the sender heard", sorted(one.payloads), [b"to all", b"to one"])
    expect("the one that names another heard", other.payloads, [b"to one"])


@rule
def an_end_that_only_sends_is_heard(rig: Rig) -> None:
    """An end that was opened with ``listen=False`` sends, to the group and to one, and receives nothing."""
    sender, end = rig.open(Hears.NOTHING), rig.start()
    sender.send(b"to all")
    sender.send(b"to one", end.transport.sender_address)
    rig.hear(2, end)
    expect("their sender", {m.sender for m in end.messages}, {sender.sender_address})
    expect("received by the end that only sends", sender.statistics.received, 0)


@rule
def an_end_that_hears_direct_messages_hears_no_others(rig: Rig) -> None:
    """An end that was opened to hear direct messages hears those alone, and is heard."""
    asking, other = rig.start(hears=Hears.DIRECT), rig.start()
    asking.transport.send(b"ask")
    rig.hear(1, other)
    other.transport.send(b"to all")
    other.transport.send(b"answer", other.messages[0].sender)
    rig.hear(1, asking)
    rig.hear(2, other)
    expect("it heard", asking.payloads, [b"answer"])
    expect("received", asking.transport.statistics.received, 1)


@rule
def an_end_without_echo_hears_others_alone(rig: Rig) -> None:
    """An end that was opened with ``echo=False`` hears the group, but not itself, and counts nothing of its own."""
    end, other = rig.start(echo=False), rig.start()
    for _ in range(3):
        end.transport.send(b"own")
        end.transport.send_many([b"own", b"own"])
        end.transport.send(b"own, by address", (rig.group.address, rig.group.port))
    end.transport.send(b"own, direct", end.transport.sender_address)
    rig.hear(12, other)
    other.transport.send(b"other's")
    rig.hear(2, end)
    expect("it heard", sorted(end.payloads), [b"other's", b"own, direct"])
    expect("received", end.transport.statistics.received, 2)
    expect("dropped", end.transport.statistics.dropped or 0, 0)


@rule
def an_end_hears_its_own_messages_as_it_sent_them(rig: Rig) -> None:
    """An end's own messages come once each, in the order of its sends, whichever way they were sent to the group."""
    end = rig.start()
    for turn in range(20):
        end.transport.send(b"%d" % (4 * turn))
        end.transport.send_many([b"%d" % (4 * turn + number) for number in (1, 2)])
        end.transport.send(b"%d" % (4 * turn + 3), (rig.group.address, rig.group.port))
    rig.hear(80, end)
    end.transport.send(b"80")
    rig.hear(81, end)
    expect("the order", [int(payload) for payload in end.payloads], list(range(81)))
    expect("senders", {message.sender for message in end.messages}, {end.transport.sender_address})
    expect("direct ones", [message for message in end.messages if message.direct], [])


@rule
def an_end_hears_itself_before_the_answer(rig: Rig) -> None:
    """A message comes back to its sender before what others answered to it."""
    end = rig.start()
    answering = rig.start(lambda message: answering.transport.send(b"answer", message.sender))
    for trip in range(1, 31):
        end.transport.send(b"ask")
        rig.hear(2 * trip, end)
    expect("what was heard in turn", end.payloads, [b"ask", b"answer"] * 30)


@rule
def what_arrived_before_the_start_is_delivered(rig: Rig) -> None:
    """An end listens from the moment it is opened: what arrived before ``start`` is delivered after it."""
    opened, witness = rig.open(), rig.start()
    witness.transport.send(b"early")
    witness.transport.send(b"early, direct", opened.sender_address)
    witness.transport.send(b"marker", witness.transport.sender_address)
    rig.hear(2, witness)
    end = rig.adopt(opened)
    rig.hear(2, end)
    expect("it heard", set(end.payloads), {b"early", b"early, direct"})


@rule
def payloads_arrive_whole(rig: Rig) -> None:
    """A payload of any size, to the limit of the group's family, arrives as the very bytes that were sent."""
    end = rig.start()
    for number, payload in enumerate(awkward(end.transport.payload_limit), start=1):
        end.transport.send(payload)
        rig.hear(number, end)
        expect("the payload", end.messages[-1].data, payload)
        expect("its type", type(end.messages[-1].data), bytes)


@rule
def an_empty_payload_is_a_message(rig: Rig) -> None:
    """An empty payload is a message like any other, alone and among others, to the group and direct."""
    end = rig.start()
    end.transport.send(b"")
    rig.hear(1, end)
    end.transport.send(b"", end.transport.sender_address)
    rig.hear(2, end)
    end.transport.send_many([b"", b"x", b"", b""])
    rig.hear(6, end)
    expect("payloads", end.payloads, [b"", b"", b"", b"x", b"", b""])


@rule
def messages_keep_their_order(rig: Rig) -> None:
    """What one end sends to the group arrives in the order it was sent, and so does what it sends to one address."""
    end = rig.start()
    for number in range(90):
        end.transport.send(b"%d" % number)
        end.transport.send(b"%d" % number, end.transport.sender_address)
    rig.hear(180, end)
    for direct in (False, True):
        heard = [int(message.data) for message in end.messages if message.direct is direct]
        expect("the order of " + ("direct ones" if direct else "those to the group"), heard, list(range(90)))


@rule
def messages_say_who_sent_them_when_and_how(rig: Rig) -> None:
    """A message has its sender's address, where it was sent to, the group's family, and the end's time when it came."""
    times: list[float] = []

    def note_time(_: Message) -> None:
        times.append(now())

    def now() -> float:
        scheduler = end.transport.scheduler
        return scheduler.to_seconds(scheduler.now)

    end, sender = rig.start(note_time), rig.start()
    before = now()
    sender.transport.send(b"x")
    sender.transport.send(b"y", end.transport.sender_address)
    rig.hear(2, end)
    for message, after in zip(end.messages, times, strict=True):
        expect("its sender", message.sender, sender.transport.sender_address)
        expect("its family", message.family, rig.group.family)
        expect("whether it is direct", message.direct, message.data == b"y")
        to_group = rig.group.address, rig.group.port
        expect("its destination", message.destination, end.transport.sender_address if message.direct else to_group)
        in_time = before - _CLOCK_SLACK <= message.received_at <= after + _CLOCK_SLACK
        expect(f"{message.received_at} is between {before} and {after}", in_time, True)


@rule
def delivery_is_serial_and_on_one_thread(rig: Rig) -> None:
    """``deliver`` is never called during another call of it, and always on the same thread."""
    end = rig.start()
    senders = [rig.start().transport for _ in range(3)]

    def send_thirty(sender: int) -> None:
        for _ in range(15):
            senders[sender].send(b"to all")
            senders[sender].send(b"to one", end.transport.sender_address)

    rig.in_threads(lambda sender=sender: send_thirty(sender) for sender in range(3))
    rig.hear(90, end)
    end.transport.close()
    expect("calls during another one", end.overlaps, 0)
    expect("how many threads called", len(end.threads), 1)


@rule
def batches_are_never_empty(rig: Rig) -> None:
    """Each delivery brings one message at least."""
    end = rig.start()
    for _ in range(60):
        end.transport.send(b"x")
        end.transport.send(b"", end.transport.sender_address)
    rig.hear(120, end)
    expect("empty deliveries", end.batches.count(0), 0)


@rule
def sending_while_delivering_delivers_later(rig: Rig) -> None:
    """What is sent during a delivery is sent at once, and delivered after it, never inside it."""

    def echo(message: Message) -> None:
        if len(message.data) < 20:
            end.transport.send(message.data + b"x")

    end = rig.start(echo)
    end.transport.send(b"")
    rig.hear(21, end)
    expect("deliveries inside another one", end.overlaps, 0)
    expect("lengths", [len(payload) for payload in end.payloads], list(range(21)))


@rule
def a_delivery_that_raises_stops_nothing(rig: Rig) -> None:
    """What ``deliver`` raises is reported to the unhandled-error hook; the end and its I/O thread go on."""

    def refuse(message: Message) -> None:
        if message.data == b"bad":
            raise error

    error = ValueError("a delivery that raises, on purpose")
    reported: list[BaseException] = []
    previous = set_unhandled_error_hook(reported.append)
    try:
        end = rig.start(refuse)
        end.transport.send(b"bad")
        rig.hear(1, end)
        rig.until("the error is reported", lambda: reported)
        end.transport.send(b"good")
        rig.hear(2, end)
        end.transport.close()
    finally:
        set_unhandled_error_hook(previous)
    expect("reported", reported, [error])


def _other_address(group: Group) -> Group:
    """The group whose address is the next one."""
    head, separator, last = group.address.rpartition(":" if group.family == "IPv6" else ".")
    following = f"{int(last or '0', 16) ^ 1:x}" if group.family == "IPv6" else str(int(last) ^ 1)
    return msgspec.structs.replace(group, address=head + separator + following)
