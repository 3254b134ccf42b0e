"""What a channel counted."""

from __future__ import annotations

import msgspec


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel counted since it was opened.

    Attributes:
        received: messages delivered by the sockets, the channel's own among them, and the :meth:`Channel.latest` values
            that were set; without ``reliable``, ``key`` and ``presence`` also what others ask and answer about these.
        received_bytes: their payloads, in bytes.
        sent: datagrams that the operating system accepted.
        sent_bytes: their payloads, in bytes.
        refused: datagrams that the operating system refused (each was a ``SendFailed``; on several interfaces also
            those that it took for one and refused for another, which is logged).
        dropped: datagrams that the kernel dropped because a receive buffer of this channel was full
            (Linux: ``SO_MEMINFO``; ``None`` where the platform does not tell). Exact for datagrams that were sent
            one by one; those that ``broadcast_all`` sent together are dropped together and count once, so at least.
        lost: on an engine: messages of others that this channel should have heard and did not deliver, as their
            running numbers tell; those that its own queue ``dropped`` are among them. It counts with the next message
            of the same sender that arrives. ``None`` where nothing is numbered.
        discarded: messages that were read and then lost in a bounded queue, because a subscriber on an event loop,
            behind ``on_backpressure_buffer`` or in ``to_async_iterable`` did not keep up; and those that came between
            two waits, beyond what ``backlog`` keeps. (A queue behind merged channels counts for each of them.)
        receive_buffer: bytes of receive buffer that the kernel granted to each socket.
        repaired: packets that a reliable channel got because it asked for them again.
        asked: requests for repairs that it sent.
        repeated: packets that it sent again because others had asked.
        gaps: how many it reported. See :class:`Gap`.
        foreign: datagrams that were no packets of a reliable channel, or of more senders than it hears.
        rejected: datagrams that a sealed channel refused. See :class:`Rejected`.
        unacknowledged: packets that somebody had not acknowledged when it closed.
    """

    received: int = 0
    received_bytes: int = 0
    sent: int = 0
    sent_bytes: int = 0
    refused: int = 0
    dropped: int | None = None
    lost: int | None = None
    discarded: int = 0
    receive_buffer: int = 0
    repaired: int = 0
    asked: int = 0
    repeated: int = 0
    gaps: int = 0
    foreign: int = 0
    rejected: int = 0
    unacknowledged: int = 0
