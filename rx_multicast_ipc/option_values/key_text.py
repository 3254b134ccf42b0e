"""The text of a key file: bytes of a key to a line of text, and back."""

from __future__ import annotations

from typing import Final

from ..errors import InvalidKey

KEY_SIZE: Final = 32
"""Bytes of a key."""

PREFIX: Final = "rx-multicast-ipc-key-1:"
"""What a key in a file begins with: so that people, and scanners for secrets, know what it is."""

LARGEST_FILE: Final = 4096
"""Bytes."""

_CHECK_SIZE: Final = 4
"""Bytes that tell a whole key from a mistyped one."""

_ENCODED_SIZE: Final = (KEY_SIZE + _CHECK_SIZE) * 4 // 3


def encode(secret: bytes) -> str:
    """The line that is a key."""
    from base64 import urlsafe_b64encode  # here, as the other imports below: programs without a key start sooner

    return f"{PREFIX}{urlsafe_b64encode(secret + _check_of(secret)).decode()}"


def decode(content: str | bytes, where: str) -> bytes:
    """The key in the text of a key file: 32 bytes.

    Args:
        content: the text.
        where: it stands, for people.

    Raises:
        InvalidKey: it holds no key, one that was cut short or changed, or several.
    """
    text = _text_of(content) if isinstance(content, bytes) else content
    lines = [line.strip() for line in text.splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if len(content) > LARGEST_FILE or not found or not all(line.startswith(PREFIX) for line in found):
        raise InvalidKey(f"{where} holds no key; make one with 'rx-multicast-ipc key FILE'")
    if len(found) > 1:
        raise InvalidKey(f"{where} holds {len(found)} keys; keep each in a file, and pass several as key=(new, old)")
    encoded = found[0].removeprefix(PREFIX)
    if len(encoded) < _ENCODED_SIZE:
        raise InvalidKey(
            f"{where} holds a key that is too short: {len(encoded)} characters after the colon instead of "
            f"{_ENCODED_SIZE}; copy it whole"
        )
    from base64 import b64decode
    from hmac import compare_digest

    try:
        decoded = b64decode(encoded.encode(errors="replace"), altchars=b"-_", validate=True)
    except ValueError:
        decoded = b""
    secret, check = decoded[:KEY_SIZE], decoded[KEY_SIZE:]
    if len(encoded) != _ENCODED_SIZE or not compare_digest(check, _check_of(secret)):
        raise InvalidKey(f"{where} holds a key that was changed; copy it anew")
    return secret


def _text_of(content: bytes) -> str:
    utf_16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")  # what PowerShell redirects into a file
    return content.decode("utf-16" if utf_16 else "utf-8-sig", errors="replace")


def _check_of(secret: bytes) -> bytes:
    """What tells a whole key from a mistyped one."""
    import hashlib

    return hashlib.blake2b(b"rx_multicast_ipc check" + secret, digest_size=_CHECK_SIZE).digest()
