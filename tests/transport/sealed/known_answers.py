"""Makes docs/sealed_vectors.json from the words of docs/security.md, without the package's code.

``python tests/transport/sealed/known_answers.py > docs/sealed_vectors.json``
"""

from __future__ import annotations

import base64
import hashlib
import json
from struct import pack
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY, SALT, OTHER_SALT = bytes(range(32)), bytes(range(0xA0, 0xAC)), bytes(range(0xB0, 0xBC))
GROUP = ("224.0.2.1", 61088)
PLACE, OWN_PLACE = ("192.0.2.7", 49152), ("192.0.2.8", 49153)
Address = tuple[str, int]


def blake(key: bytes, text: bytes) -> bytes:
    return hashlib.blake2b(text, key=key, digest_size=32).digest()


def place_text(address: Address) -> bytes:
    return f"{address[0]} {address[1]}".encode()


def prefix(key: bytes, salt: bytes) -> bytes:
    return b"\xf6" + blake(key, b"rx_multicast_ipc hint")[:3] + salt


def datagram(
    what: str,
    packet: bytes,
    counter: int,
    *,
    key: bytes = KEY,
    salt: bytes = SALT,
    group: Address = GROUP,
    destination: Address | None = None,
    session: bytes | None = None,
) -> dict[str, Any]:
    """A packet to the group, to an address of which nothing is known, or to a session."""
    header = prefix(key, salt) + pack("!Q", counter)
    session_key = blake(key, b"rx_multicast_ipc session\0" + salt + place_text(group))
    associated = header
    if session is not None:
        associated += session
    elif destination is not None:
        associated += place_text(destination)
    nonce = bytes(4) + pack("!Q", counter)
    return {
        "what": what,
        "key": key.hex(),
        "hint": header[1:4].hex(),
        "salt": salt.hex(),
        "group": group,
        "session_key": session_key.hex(),
        "counter": counter,
        "destination": destination,
        "session": None if session is None else session.hex(),
        "nonce": nonce.hex(),
        "associated": associated.hex(),
        "packet": packet.hex(),
        "datagram": (header + AESGCM(session_key).encrypt(nonce, packet, associated)).hex(),
    }


def challenge(asks: bytes, answers: bytes, microseconds: int, first: int, place: bytes, *, in_place: bool) -> bytes:
    return bytes([0xF5, 9 << 4 | in_place]) + bytes(14) + asks + answers + pack("!QQ", microseconds, first) + place


def known_answers() -> dict[str, Any]:
    message = pack("!BBHIQ", 0xF5, 5 << 4, 0, 0x01020304, 1) + b"hello"
    none = bytes(16)
    one, other = bytes(range(16)), bytes(range(16, 32))
    theirs, ours = prefix(KEY, OTHER_SALT), prefix(KEY, SALT)
    check = hashlib.blake2b(b"rx_multicast_ipc check" + KEY, digest_size=4).digest()
    passphrase, context = "correct horse battery", "arena"
    salt = b"rx_multicast_ipc passphrase\0" + context.encode()
    made = hashlib.scrypt(passphrase.encode(), salt=salt, n=2**17, r=8, p=1, maxmem=2**28, dklen=32)
    opened = challenge(none, none, 0, 0, b"", in_place=False)
    asked = challenge(one, none, 2_500_000, 0, place_text(PLACE), in_place=False)
    answered = challenge(other, one, 1_000_000, 3, place_text(OWN_PLACE), in_place=True)
    relayed = challenge(none, other, 0, 3, b"", in_place=False)
    return {
        "key_files": [
            {"key": KEY.hex(), "line": "rx-multicast-ipc-key-1:" + base64.urlsafe_b64encode(KEY + check).decode()}
        ],
        "passphrases": [{"passphrase": passphrase, "context": context, "key": made.hex()}],
        "datagrams": [
            datagram("a message to the group", message, 1),
            datagram("the same to an address where nobody was heard", message, 2, destination=PLACE),
            datagram("the same to a session", message, 3, destination=PLACE, session=theirs),
            datagram(
                "an empty message, and a large counter",
                message[:16],
                (1 << 48) - 1,
                key=bytes(31) + b"\1",
                salt=bytes(12),
                group=("239.1.2.3", 5353),
            ),
            datagram(
                "over IPv6, to an address where nobody was heard",
                message,
                7,
                key=b"\xff" * 32,
                salt=b"\xff" * 12,
                group=("ff02::114", 61088),
                destination=("fe80::1", 50000),
            ),
            datagram("an end was opened", opened, 4),
            datagram("a challenge", asked, 5, destination=PLACE, session=theirs),
            datagram(
                "its answer, from there, and a challenge",
                answered,
                1,
                salt=OTHER_SALT,
                destination=OWN_PLACE,
                session=ours,
            ),
            datagram("the answer to that, through a bridge", relayed, 6, destination=PLACE, session=theirs),
        ],
    }


if __name__ == "__main__":
    print(json.dumps(known_answers(), indent=1))
