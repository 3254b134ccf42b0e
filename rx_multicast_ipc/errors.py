"""What can go wrong, and what to do next.

    MulticastError                    everything this library raises
     ├─ InvalidArgument (ValueError)  a mistake in a call, raised by the call itself
     │   ├─ InvalidPort               no UDP port number
     │   ├─ InvalidGroup              no multicast address, or one this interface cannot carry
     │   ├─ InvalidInterface          no interface of this machine
     │   ├─ InvalidTTL                no TTL, or one that contradicts the interface
     │   ├─ InvalidAddress            no destination that this channel may send to
     │   ├─ InvalidTopic              no name of a topic, or no pattern of names
     │   ├─ InvalidPayload            neither str nor bytes-like
     │   ├─ PayloadTooLarge           more than one datagram carries
     │   └─ InvalidOption             another argument out of range or of the wrong type
     │       ├─ UnknownOption         no option has that name
     │       ├─ InvalidKey            no key, one that is too short, or one that was changed
     │       │   └─ KeyUnreadable     a key file cannot be read or written
     │       └─ NotIterable (TypeError)  a stream was looped over
     ├─ CannotOpen                    the operating system refused the sockets, or an engine is not there
     │   ├─ PortInUse                 another program holds the port alone
     │   ├─ NoRoute                   the interface is down, or nothing leads to the group
     │   └─ NotAuthorized             an engine does not let this program in, or forbids it to listen
     ├─ ChannelClosed                 the channel was closed, by you or by a fault
     ├─ SendFailed                    the operating system, or an engine, refused a datagram
     ├─ MessagesMissing               a reliable channel did not get something that will not come any more
     ├─ MessageTimeout (TimeoutError) nothing matched in time
     ├─ DecodeFailed                  a datagram is not what its reader expects
     ├─ BufferOverflow                a bounded queue with Overflow.ERROR is full
     ├─ MissingExtra (ImportError)    an optional dependency is not installed
     ├─ WouldDeadlock                 a blocking call on the thread it waits for
     ├─ CaptureFailed                 the operating system refused to read or write a capture file
     ├─ CaptureCorrupt                a capture file is cut, damaged or of another kind
     └─ Unsupported                   this transport or platform cannot do it

Where the operating system caused an error, its ``OSError`` is the ``__cause__``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .strangers.printable_text import printable, text_of

if TYPE_CHECKING:
    from .channel_events import Gap
    from .message import Message


_DATAGRAM = 65_527
"""Bytes that one UDP datagram carries at most."""


class MulticastError(Exception):
    """Base of every error that this library raises."""


class InvalidArgument(MulticastError, ValueError):
    """A mistake in a call. Nothing was opened and nothing was sent."""


class InvalidPort(InvalidArgument):
    """Not a UDP port number (RFC 768: 1 to 65 535)."""


class InvalidGroup(InvalidArgument):
    """Not a multicast address (RFC 5771, RFC 4291 section 2.7), or one that the interface cannot carry."""


class InvalidInterface(InvalidArgument):
    """Not an interface of this machine."""


class InvalidTTL(InvalidArgument):
    """Not a TTL (RFC 1112: 0 to 255), or one that contradicts the interface."""


class InvalidAddress(InvalidArgument):
    """Not a destination that this channel may send to."""


class InvalidTopic(InvalidArgument):
    """Not the name of a topic, or not a pattern of names."""


class InvalidPayload(InvalidArgument, TypeError):
    """Neither ``str`` nor bytes-like."""


class PayloadTooLarge(InvalidArgument):
    """More bytes than one UDP datagram carries. Nothing was sent.

    Attributes:
        size: bytes that were to be sent.
        limit: bytes that one datagram carries: 65 507 over IPv4, 65 527 over IPv6 (RFC 768); on a reliable channel,
            those of its ``largest`` message.
    """

    def __init__(self, size: int, limit: int) -> None:
        self.size = size
        self.limit = limit
        super().__init__(size, limit)

    def __str__(self) -> str:
        if self.limit > _DATAGRAM:
            return f"a message of {self.size} bytes is more than the {self.limit} that Reliable(largest=) allows"
        return (
            f"a payload of {self.size} bytes does not fit in one datagram, which carries {self.limit} at most; "
            "split it, send a reference to it, or open the channels with reliable=True, which carries more"
        )


class InvalidOption(InvalidArgument):
    """An argument out of its range or of the wrong type."""


class InvalidKey(InvalidOption):
    """Not a key: of another type, too short, or changed. It never tells what was given instead."""


class KeyUnreadable(InvalidKey):
    """A key file cannot be read, or written; ``__cause__`` is the ``OSError``."""


class NotIterable(InvalidOption, TypeError):
    """A stream was looped over like a list: it has no length, and its items are not there yet."""


class UnknownOption(InvalidOption, TypeError):
    """No option has that name.

    Attributes:
        name: as it was given.
        known: the options that there are.
    """

    def __init__(self, name: str, known: tuple[str, ...], close: str = "") -> None:
        self.name = name
        self.known = known
        self._close = close
        super().__init__(name, known, close)

    def __str__(self) -> str:
        meant = f"; did you mean {self._close!r}?" if self._close else "."
        return f"there is no option {self.name!r}{meant} A channel takes {', '.join(self.known)}"


class CannotOpen(MulticastError):
    """The operating system refused to set up the sockets; ``__cause__`` is its ``OSError``. Or no engine is there."""


class PortInUse(CannotOpen):
    """Another program holds the port and does not share it."""


class NoRoute(CannotOpen):
    """The interface is down, has no address, or no route leads to the group."""


class NotAuthorized(CannotOpen):
    """An engine does not let this program in, or forbids it to listen there. No secret is in the text."""


class ChannelClosed(MulticastError):
    """The channel is closed. Open another one; a closed channel stays closed."""

    def __init__(self, message: str = "this channel is closed; open another one with open_channel()") -> None:
        super().__init__(message)


class SendFailed(MulticastError):
    """The operating system refused a datagram (``__cause__`` is its ``OSError``), or an engine is away.

    Only the send that failed ends with it: the channel goes on, and ``ops.retry`` sends again.

    Attributes:
        sent: how many datagrams of the same ``broadcast_all`` went before it.
    """

    sent: int = 0


class MessagesMissing(MulticastError):
    """A reliable channel did not get something that will not come any more. See ``operators.fail_on_gap``.

    Attributes:
        gap: what is missing.
    """

    def __init__(self, gap: Gap) -> None:
        self.gap = gap
        super().__init__(gap)

    def __str__(self) -> str:
        gap = self.gap
        address, port = gap.sender
        return (
            f"{gap.count} packets of {address}:{port} are missing ({gap.reason}); ask the sender for its state anew, "
            "or go on with channel.messages, which passes over gaps"
        )


class MessageTimeout(MulticastError, TimeoutError):
    """Nothing matched within ``seconds``.

    Attributes:
        seconds: how long was waited.
    """

    def __init__(self, seconds: float, waited_for: str = "message") -> None:
        self.seconds = seconds
        self._waited_for = waited_for
        super().__init__(
            f"no {waited_for} within {seconds:g} s; wait longer, or try again so many times with ops.retry(3)"
        )

    def __reduce__(self) -> tuple[type[MessageTimeout], tuple[float, str], dict[str, Any]]:
        return type(self), (self.seconds, self._waited_for), self.__dict__  # two args would be an OSError's errno


class DecodeFailed(MulticastError):
    """A datagram is not what its reader expects; ``__cause__`` is the decoder's own error.

    Attributes:
        message: the record that could not be decoded.
    """

    def __init__(self, message: Message, reason: BaseException | str) -> None:
        self.message = message
        self._reason = text_of(reason)  # not the error itself: a stranger's may not survive pickling
        super().__init__(message, self._reason)

    def __str__(self) -> str:
        message = self.message
        reason = printable(self._reason, limit=_REASON)  # on one line, whatever a datagram put into it
        return f"cannot decode {len(message.data)} bytes from {printable(message.address)}:{message.port}: {reason}"


_REASON: Final = 200
"""Characters of a decoder's error that are told: it may hold as much of the datagram as its sender likes."""


class BufferOverflow(MulticastError):
    """A bounded queue with ``Overflow.ERROR`` is full: its reader is slower than its source.

    Attributes:
        capacity: what the queue holds, in ``unit``.
        unit: ``"items"`` or ``"bytes"``.
    """

    def __init__(self, capacity: int, unit: str = "items") -> None:
        self.capacity = capacity
        self.unit = unit
        super().__init__(capacity, unit)

    def __str__(self) -> str:
        return (
            f"a queue of {self.capacity} {self.unit} is full; read faster, raise the capacity, or choose what to lose "
            "with Overflow.DROP_OLDEST or Overflow.DROP_LATEST"
        )


class MissingExtra(MulticastError, ImportError):
    """An optional dependency is not installed. The message says how to.

    Attributes:
        what: what needs it.
        package: the dependency, or several to choose from.
        extra: the extra of this package that brings it, or None.
    """

    def __init__(self, what: str, package: str, extra: str | None = None) -> None:
        self.what = what
        self.package = package
        self.extra = extra
        super().__init__(what, package, extra)

    def __str__(self) -> str:
        wanted = f"'rx-multicast-ipc[{self.extra}]'" if self.extra else self.package.split()[0]
        return f"{self.what} needs {self.package}; install it: pip install {wanted}"


class WouldDeadlock(MulticastError, RuntimeError):
    """A blocking call was made on the very thread that would end its wait."""


class CaptureFailed(MulticastError):
    """The operating system refused to read or write a capture file; ``__cause__`` is its ``OSError``.

    What was written before it is in the file, whole.
    """

    def __str__(self) -> str:  # a file's name is anybody's
        return printable(super().__str__())


class CaptureCorrupt(MulticastError):
    """A capture file is cut, damaged or of another kind. What stands before ``offset`` was read.

    Attributes:
        path: the file.
        offset: bytes from its start to the record that cannot be read.
        reason: what is wrong there.
    """

    def __init__(self, path: str, offset: int, reason: str) -> None:
        self.path = path
        self.offset = offset
        self.reason = reason
        super().__init__(path, offset, reason)

    def __str__(self) -> str:
        before = "; all that stands before it was read" if self.offset else ""
        return f"{printable(self.path)}, byte {self.offset}: {self.reason}{before}"


class Unsupported(MulticastError, NotImplementedError):
    """This transport or platform cannot do what was asked for."""


class NeverSubscribedWarning(RuntimeWarning):
    """A send was built and thrown away without being subscribed, so nothing was sent."""
