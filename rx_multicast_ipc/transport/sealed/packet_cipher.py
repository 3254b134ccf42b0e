"""Seals and opens whole packets: AES-256-GCM with a key, and so nonces, of one opening of a channel. Pure.

The key of a salt is the keyed BLAKE2b of a label, the salt and the group's end; the nonce is the counter. Associated
data are the header, which is in the clear, and the *target*, so that nobody can redirect a packet to another end:
nothing for the group; for one end, the :attr:`Sealer.prefix` of its session, which is the same wherever it is heard,
also behind a bridge; or its address, if nothing else is known of it. See :mod:`.wire_format`.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address
from itertools import count
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ...message import Address
from ...option_values.key import Key
from .wire_format import COUNTER_LIMIT, HEADER_SIZE, MAGIC, PREFIX_SIZE, SALT_SIZE

_LABEL: Final = b"rx_multicast_ipc session\0"
_NONCE_START: Final = bytes(4)


class Sealer:
    """Seals packets, each with a nonce of its own.

    Args:
        key: of the channel.
        group: its end, such as ``("224.0.2.1", 61088)``.
        salt: 12 random bytes, never used before.

    Attributes:
        key: of the channel.
        prefix: what all its datagrams begin with.
        last: the counter of the last one; 0 if there is none.
    """

    __slots__ = ("_counter", "_encrypt", "key", "last", "prefix")

    def __init__(self, key: Key, group: Address, salt: bytes) -> None:
        if len(salt) != SALT_SIZE:
            raise ValueError(f"a salt is {SALT_SIZE} bytes")
        self.key = key
        self.prefix = MAGIC + key.hint_bytes + salt
        self._encrypt = AESGCM(session_key(key, salt, group)).encrypt
        self._counter = count(1)
        self.last = 0

    def seal(self, packet: bytes, target: bytes = b"") -> bytes:
        """The datagram of a packet. Each call takes the next counter.

        Args:
            packet: whole.
            target: nothing for the group; the prefix of a session, or the :func:`end_text` of an address, for one end.

        Raises:
            OverflowError: this salt is used up.
        """
        number = next(self._counter)  # atomic, also for a signal handler amid it
        if number >= COUNTER_LIMIT:
            raise OverflowError("no counter is left for this salt")
        self.last = number
        counter = number.to_bytes(8, "big")
        header = self.prefix + counter
        return header + self._encrypt(_NONCE_START + counter, packet, header + target if target else header)


class Opener:
    """Opens what was sealed with one key and salt.

    Args:
        key: of the channel.
        group: its end.
        prefix: what its datagrams begin with: 16 bytes.
    """

    __slots__ = ("_decrypt", "key")

    def __init__(self, key: Key, group: Address, prefix: bytes) -> None:
        self.key = key
        self._decrypt = AESGCM(session_key(key, prefix[PREFIX_SIZE - SALT_SIZE :], group)).decrypt

    def open(self, datagram: bytes, target: bytes = b"") -> bytes | None:
        """The packet in a datagram; None if it was not sealed with this key for this target.

        Args:
            datagram: whole.
            target: as for :meth:`Sealer.seal`.
        """
        header = datagram[:HEADER_SIZE]
        associated = header + target if target else header
        try:
            return self._decrypt(_NONCE_START + header[PREFIX_SIZE:], datagram[HEADER_SIZE:], associated)
        except InvalidTag:
            return None


def session_key(key: Key, salt: bytes, group: Address) -> bytes:
    """The AES key of a salt: 32 bytes."""
    return key.derive(_LABEL + salt + end_text(group))


@lru_cache(1024)
def end_text(end: Address) -> bytes:
    """An address and port as what is sealed depends on them: ``b"192.0.2.7 61088"``, ``b"fe80::1 61088"``.

    IP addresses as RFC 5952 writes them, without a zone, which differs from host to host.
    """
    address, port = end
    with suppress(ValueError):  # an engine's address
        address = str(ip_address(address.partition("%")[0]))
    return f"{address} {port}".encode(errors="surrogatepass")
