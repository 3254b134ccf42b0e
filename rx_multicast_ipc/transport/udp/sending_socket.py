"""The socket that sends to a group, by one interface or several; and what it sent."""

from __future__ import annotations

import errno
import logging
import os
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

from ...group import Group
from ...message import Address
from ..own_messages import OwnMessages
from . import batch_sending, host_addresses, socket_options, socket_plans
from .batch_sending import SentMany
from .error_advice import send_failed
from .group_socket import OwnSends
from .interfaces import Nic

_log = logging.getLogger("rx_multicast_ipc")


class SendingSocket:
    """Sends datagrams, and counts them; one call at a time. Raises ``CannotOpen`` and leaves nothing open.

    A datagram is put where the end hears itself, and counted, right before the call that sends it, and taken back where
    that fails: so a signal handler that raises meanwhile leaves all three or none.

    Args:
        group: where to.
        nics: by which interfaces, until :meth:`turn_to` says otherwise; by their index.
        receive_buffer: bytes to ask for, for the replies that come to this socket.
        own: takes what is sent to the group, before anybody can answer it.
        from_group: whether to send from the group's port.

    Attributes:
        socket: also hears the replies.
        sent, sent_bytes, refused: datagrams and bytes, so far.
        addresses: where its datagrams come from: one an interface, and IPv6 link-local ones as each of them hears it.
        address: the first of them.
        one_nic: whether it sends by one interface.
        name: that one, where there could be several; else ``""``.
    """

    def __init__(
        self, group: Group, nics: Mapping[int, Nic], receive_buffer: int, own: OwnMessages | None, *, from_group: bool
    ) -> None:
        self._group = group
        self._destination: Address = group.address, group.port
        self._is_ipv6 = group.family == "IPv6"
        self._failing: set[str] = set()
        self.sent = self.sent_bytes = 0
        self.refused: int = 0
        self._echo = own is not None
        self._own = own or OwnMessages(self._destination, 0)
        self._more_to_group = 0  # than ``sent``, which also counts what goes to one address
        self._merged = 0  # into GSO batches
        self.socket = socket_options.open_socket(
            group,
            socket_plans.send_plan(group, next(iter(nics.values()), None), receive_buffer, from_group=from_group),
        )
        self._port: int = self.socket.getsockname()[1]
        self._nics: tuple[Nic, ...] = ()
        self.turn_to(nics)

    def turn_to(self, nics: Mapping[int, Nic]) -> None:
        """Send by these interfaces from now on."""
        by_name = {nic.name: host_addresses.source_address(self._group, nic) for nic in nics.values()}
        found = list(filter(None, by_name.values()))
        addresses = [(address, self._port) for address in found]
        # On two interfaces of one segment, each also hears the other.
        crossed = [
            (f"{address.partition('%')[0]}%{nic.name}", self._port)
            for address in found
            if "%" in address
            for nic in nics.values()
        ]
        self._nics = tuple(nics.values())
        self.one_nic = len(nics) == 1
        self.name = self._nics[0].name if self.one_nic and self._group.has_several_interfaces else ""
        self.address: Address = addresses[0] if addresses else ("::" if self._is_ipv6 else "0.0.0.0", self._port)
        self._echoed_by = self._senders_echoed(by_name)
        self._echoed = self._echoed_by.get(self.name)
        self.addresses = frozenset((*addresses, *crossed))
        if self.one_nic:
            with suppress(OSError):  # an interface that just went away: the notice of it is on its way
                socket_options.apply(self.socket, socket_plans.outgoing(self._group, self._nics[0]))

    @property
    def sent_to_group(self) -> OwnSends:
        """Datagrams sent to the group, so far, and as how many packets."""
        datagrams = self.sent + self._more_to_group
        return OwnSends(datagrams, datagrams - self._merged)

    @property
    def copies(self) -> Copies:
        """One of a datagram for each interface, to be sent by :meth:`to_each`."""
        return Copies(self._nics)

    # Each of these raises ``BlockingIOError`` where the send buffer is full, and ``SendFailed``, counted.

    def to_group(self, payload: bytes) -> None:
        """Send a datagram to the group, by the one interface."""
        # The way of an answer: few calls, few counts.
        size, sender, payloads, is_out = len(payload), self._echoed, (payload,), False
        try:
            if sender is not None:
                self._own.put(payloads, size, sender, self.name)
            is_out = True
            self.sent += 1
            self.sent_bytes += size
            self.socket.sendto(payload, self._destination)
        except OSError as error:
            self.sent -= 1
            self.sent_bytes -= size
            if sender is not None:
                self._own.put_back(payloads)
            if isinstance(error, BlockingIOError):
                raise
            self.refused += 1
            raise send_failed(self._group, None, error) from error
        except BaseException:  # of a signal handler
            if sender is not None and not is_out:
                self._own.put_back(payloads, was_put=False)
            raise

    def to_one(self, payload: bytes, destination: Address) -> None:
        """Send a datagram to one address."""
        size, to = len(payload), host_addresses.ipv6_destination(destination) if self._is_ipv6 else destination
        try:
            self.sent += 1
            self._more_to_group -= 1
            self.sent_bytes += size
            self.socket.sendto(payload, to)
        except OSError as error:
            self.sent -= 1
            self._more_to_group += 1
            self.sent_bytes -= size
            if isinstance(error, BlockingIOError):
                raise
            self.refused += 1
            raise send_failed(self._group, destination, error) from error

    def to_each(self, payload: bytes, copies: Copies) -> None:
        """Send a datagram to the group by every interface that is left, and go on from there when called again.

        It fails where none takes it; else what fails is counted, and logged once.
        """
        while copies.left:
            nic = copies.left[0]
            try:
                socket_options.apply(self.socket, socket_plans.outgoing(self._group, nic))
                self._copy(payload, nic.name)
            except BlockingIOError:
                raise
            except OSError as error:
                copies.failures.append(error)
                if nic.name not in self._failing:
                    self._failing.add(nic.name)
                    _log.warning("%s: nothing can be sent on %s: %s", self._group, nic.name, error)
            else:
                copies.taken += 1
                self._failing.discard(nic.name)
            copies.left.popleft()
        if not copies.taken:
            self.refused += 1
            error = copies.failures[-1] if copies.failures else OSError(errno.ENODEV, os.strerror(errno.ENODEV))
            raise send_failed(self._group, None, error) from error
        self.refused += len(copies.failures)
        self.count_copies(payload, copies)

    def many_to_group(self, payloads: Sequence[bytes], sent: SentMany | None = None) -> int:
        """Send datagrams to the group, by the one interface, in as few system calls as possible.

        Returns how many went: all, or those before one that did not, which is then to be sent alone. Raises neither.
        ``sent``, a new one, says it as well, also where a signal handler raises meanwhile.
        """
        own, sender, size, count = self._own, self._echoed, sum(map(len, payloads)), len(payloads)
        sent, is_put = sent or SentMany(), False
        try:
            if sender is not None:
                own.put(payloads, size, sender, self.name)
            is_put = True
            batch_sending.send_many(self.socket, payloads, self._destination, sent)
        finally:
            done = sent.payloads
            self._merged += done - sent.packets
            self.sent += done
            self.sent_bytes += size
            if done < count:
                unsent = sum(map(len, payloads[done:]))
                self.sent_bytes -= unsent
                if sender is not None:
                    own.put_back(payloads, was_put=is_put)
                    if done:
                        own.put(payloads[:done], size - unsent, sender, self.name)
        return done

    def count_copies(self, payload: bytes, copies: Copies) -> None:
        """Count a datagram as sent: when one of its copies is out and the others follow, or when all are."""
        if not copies.counted:
            copies.counted = True
            self.sent += 1
            self._more_to_group -= 1
            self.sent_bytes += len(payload)

    def is_group(self, destination: Address) -> bool:
        """Whether an address is the group's."""
        return destination[1] == self._group.port and destination[0].partition("%")[0] == self._group.address

    def _copy(self, payload: bytes, interface: str) -> None:
        sender, payloads, is_out = self._echoed_by.get(interface), (payload,), False
        try:
            if sender is not None:
                self._own.put(payloads, len(payload), sender, interface)
            is_out = True
            self._more_to_group += 1
            self.socket.sendto(payload, self._destination)
        except OSError:
            self._more_to_group -= 1
            if sender is not None:
                self._own.put_back(payloads)
            raise
        except BaseException:  # of a signal handler
            if sender is not None and not is_out:
                self._own.put_back(payloads, was_put=False)
            raise

    def _senders_echoed(self, by_name: Mapping[str, str]) -> dict[str, Address]:
        """By interface, or ``""`` where there is but one: the address that its own messages come from, if heard.

        A member that names its sources hears itself only if it is among them.
        """
        if not self._echo:
            return {}
        senders: dict[str, Address] = {name: (address, self._port) for name, address in by_name.items() if address}
        senders[self.name] = senders.get(self.name, self.address)
        sources = self._group.sources
        return {name: sender for name, sender in senders.items() if not sources or sender[0] in sources}


class Copies:
    """A datagram on its way out by several interfaces: by which it has yet to go, and how it fared on the others."""

    def __init__(self, nics: Iterable[Nic]) -> None:
        self.left = deque(nics)
        self.taken = 0
        self.counted = False
        self.failures: list[OSError] = []
