"""What goes out, what is refused, and what is counted."""

from __future__ import annotations

from ...errors import ChannelClosed, InvalidAddress, SendFailed, Unsupported
from ...transport import Hears
from .awkward_payloads import runs
from .broken_promise import expect, raises
from .rule import rule
from .transport_rig import Rig


@rule
def any_thread_may_send(rig: Rig) -> None:
    """``send`` and ``send_many`` work from every thread, at the same time, and every datagram is counted."""
    end = rig.start()

    def send_some(name: bytes) -> None:
        for _ in range(10):
            end.transport.send(name)
            end.transport.send(name, end.transport.sender_address)
        end.transport.send_many([name] * 10)

    names = [b"a", b"b", b"c", b"d"]
    rig.in_threads(lambda name=name: send_some(name) for name in names)
    rig.hear(120, end)
    expect("how many of each", {name: end.payloads.count(name) for name in names}, dict.fromkeys(names, 30))
    expect("sent", end.transport.statistics.sent, 120)


@rule
def an_end_that_was_not_started_sends(rig: Rig) -> None:
    """An end sends as soon as it is open, before ``start``."""
    sender, end = rig.open(), rig.start()
    sender.send(b"x")
    sender.send_many([b"y", b"z"])
    rig.hear(3, end)
    expect("payloads", end.payloads, [b"x", b"y", b"z"])


@rule
def too_large_a_payload_is_refused(rig: Rig) -> None:
    """A datagram that the system refuses is a ``SendFailed`` and counted as refused; the end goes on."""
    end = rig.start()
    for destination in (None, end.transport.sender_address):
        raises(SendFailed, lambda to=destination: end.transport.send(bytes(end.transport.payload_limit + 1), to))
    end.transport.send(b"x")
    rig.hear(1, end)
    counted = end.transport.statistics
    expect("refused, sent", (counted.refused, counted.sent), (2, 1))
    expect("what arrived", end.payloads, [b"x"])


@rule
def many_arrive_whole_and_in_order(rig: Rig) -> None:
    """``send_many`` is as many sends to the group, in order, whatever the payloads' sizes; of none, it sends none."""
    end = rig.start()
    expected: list[bytes] = []
    for payloads in (*runs(end.transport.payload_limit), []):
        expected += payloads
        end.transport.send_many(payloads)
        rig.hear(len(expected), end)
    expect("payloads", end.payloads, expected)
    expect("direct ones", [message for message in end.messages if message.direct], [])
    end.transport.close()
    counted = end.transport.statistics
    expect("sent, received", (counted.sent, counted.received), (len(expected), len(expected)))
    expect("sent bytes, received bytes", {counted.sent_bytes, counted.received_bytes}, {sum(map(len, expected))})


@rule
def many_of_several_ends_keep_their_senders(rig: Rig) -> None:
    """What several ends send many at a time arrives under each one's own address, in its order."""
    listener, *senders = [rig.start() for _ in range(4)]
    for turn in range(10):
        for number, sender in enumerate(senders):
            sender.transport.send_many([bytes([number, turn])] * (number + 1))
    rig.hear(60, listener)
    for number, sender in enumerate(senders):
        own = [message.data for message in listener.messages if message.sender == sender.transport.sender_address]
        expect("of one sender", own, [bytes([number, turn]) for turn in range(10) for _ in range(number + 1)])


@rule
def a_refused_one_of_many_says_how_many_went_before(rig: Rig) -> None:
    """``send_many`` ends with the first datagram that is refused; ``SendFailed.sent`` says how many went before it."""
    end = rig.start()
    too_large = bytes(end.transport.payload_limit + 1)
    for before in ([], [b"a"], [b"same"] * 3, [b"1", b"22", b""]):
        heard, refused = len(end.messages), end.transport.statistics.refused
        error = raises(SendFailed, lambda before=before: end.transport.send_many([*before, too_large, b"after"]))
        expect("SendFailed.sent", error.sent, len(before))
        end.transport.send(b"marker")
        rig.hear(heard + len(before) + 1, end)
        expect("what arrived", end.payloads[heard:], [*before, b"marker"])
        expect("refused", end.transport.statistics.refused, refused + 1)


@rule
def nothing_is_sent_after_close(rig: Rig) -> None:
    """After close every send raises ``ChannelClosed``, and nothing goes out."""
    end, other = rig.start(), rig.start()
    unstarted, only_sends = rig.open(), rig.open(Hears.NOTHING)
    for transport in (end.transport, unstarted, only_sends):
        transport.close()
        raises(ChannelClosed, lambda transport=transport: transport.send(b"late"))
        raises(ChannelClosed, lambda transport=transport: transport.send(b"late", other.transport.sender_address))
        raises(ChannelClosed, lambda transport=transport: transport.send_many([b"late", b"later"]))
    other.transport.send(b"last")
    rig.until("another end's datagram arrives", lambda: other.payloads[-1:] == [b"last"])
    expect("payloads", other.payloads, [b"last"])


@rule
def what_goes_out_and_comes_in_is_counted(rig: Rig) -> None:
    """``statistics`` count datagrams and bytes: those sent, those received, to the group and direct ones alike."""
    end, other = rig.start(), rig.start()
    for payload in (b"", b"four", b"seven__"):
        end.transport.send(payload)
    end.transport.send(b"direct", other.transport.sender_address)
    end.transport.send_many([b"1", b"22"])
    rig.hear(5, end)
    rig.hear(6, other)
    expect("delivered here and there", (len(end.messages), len(other.messages)), (5, 6))
    counted, others = end.transport.statistics, other.transport.statistics
    expect("sent, its bytes, refused", (counted.sent, counted.sent_bytes, counted.refused), (6, 20, 0))
    expect("received, its bytes", (counted.received, counted.received_bytes), (5, 14))
    expect("received by the other, its bytes", (others.received, others.received_bytes), (6, 20))
    expect("sent by the other", (others.sent, others.sent_bytes), (0, 0))


@rule
def the_count_is_final_after_close(rig: Rig) -> None:
    """After close ``statistics`` say what was counted in the end, and change no more."""
    end, other = rig.start(), rig.start()
    end.transport.send(b"four")
    raises(SendFailed, lambda: end.transport.send(bytes(end.transport.payload_limit + 1)))
    rig.hear(1, end, other)
    before = end.transport.statistics
    end.transport.close()
    expect("right after close", end.transport.statistics, before)
    other.transport.send(b"more")
    rig.hear(2, other)
    raises(ChannelClosed, lambda: end.transport.send(b"late"))
    expect("later", end.transport.statistics, before)


@rule
def names_are_looked_up_or_refused(rig: Rig) -> None:
    """``look_up`` gives a numeric address, or raises ``InvalidAddress``; without names, it raises ``Unsupported``."""
    transport = rig.open()
    address, _ = transport.sender_address
    expect("a numeric address", transport.check_destination(address), address)
    try:
        named = transport.check_destination("host.invalid")  # RFC 6761: no resolver is asked
    except Unsupported:
        raises(Unsupported, lambda: transport.look_up("localhost"))
    else:
        expect("a name", named, None)
        expect("a numeric address, looked up", transport.look_up(address), address)
        raises(InvalidAddress, lambda: transport.look_up("no..host"))  # an empty label: no resolver is asked


@rule
def an_end_says_where_it_is(rig: Rig) -> None:
    """``group`` is what was asked for; ``sender_address``, one of ``own_addresses``, is each end's own, for good."""
    ends = [rig.open(), rig.open(Hears.NOTHING), rig.start().transport]
    addresses = [end.sender_address for end in ends]
    expect("groups", [end.group for end in ends], [rig.group] * 3)
    expect("different addresses", len(set(addresses)), 3)
    expect("whether each is its own", [end.sender_address in end.own_addresses for end in ends], [True] * 3)
    for end in ends:
        end.close()
    expect("addresses after close", [end.sender_address for end in ends], addresses)


@rule
def who_waits_for_room_is_told(rig: Rig) -> None:
    """``when_room`` runs its action at home when there may be room for a datagram, and after close in any case."""
    ran: list[str] = []
    end = rig.start()

    def note(name: str) -> None:
        end.visit()
        ran.append(name)

    end.transport.when_room(lambda: note("open"))
    rig.until("it runs, for there is room", lambda: ran)
    end.transport.send(b"x")
    rig.hear(1, end)
    end.transport.close()
    end.transport.when_room(lambda: ran.append("closed"))
    rig.until("it runs after close", lambda: len(ran) == 2)
    expect("what ran", ran, ["open", "closed"])
    expect("how many threads called", len(end.threads), 1)
