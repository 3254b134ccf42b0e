"""The keys of sealed channels: made, kept in files, and never shown by accident."""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from typing import Any, Final, Literal, NoReturn, TypeAlias, cast

from ..errors import InvalidKey, InvalidOption, KeyUnreadable, Unsupported
from ..strangers.bounded_map import BoundedMap
from ..strangers.printable_text import printable
from ..validation import environment
from ..validation.arguments import is_path, shown
from . import key_text
from .key_text import KEY_SIZE

_MOST_KEYS: Final = 16
"""Keys of one channel."""

_LEAST_PASSPHRASE: Final = 12
"""Characters."""

_SCRYPT: Final[dict[str, int]] = {"n": 1 << 17, "r": 8, "p": 1, "maxmem": 192 << 20, "dklen": KEY_SIZE}
"""RFC 7914, with what OWASP recommends: 128 MiB, and half a second, for each guess."""

_SCRYPT_SALT: Final = b"rx_multicast_ipc passphrase\0"
_HINT: Final = b"rx_multicast_ipc hint"
_HINT_SIZE: Final = 3

_log = logging.getLogger("rx_multicast_ipc")
_warned: BoundedMap[str, None] = BoundedMap(64)


class Key:
    """What the members of a sealed group share: 32 bytes. Who has them hears everything, and can say anything.

    A key is never shown: not by ``print`` or a log, and it cannot be pickled. To hand it on, pass its file.

    Args:
        secret: 32 bytes that nobody can guess. To make some, there is :meth:`new`.

    Raises:
        InvalidKey: not 32 bytes.
    """

    __slots__ = ("_hint", "_secret")

    def __init__(self, secret: bytes) -> None:
        if not isinstance(secret, bytes | bytearray | memoryview):
            kind = type(secret).__name__  # not the value, which may be a secret
            raise InvalidKey(f"a key is {KEY_SIZE} bytes, not of type {kind}; for text there is Key.from_passphrase()")
        secret = bytes(secret)
        if len(secret) != KEY_SIZE:
            raise InvalidKey(
                f"a key is {KEY_SIZE} bytes, not {len(secret)}; make one with Key.new(), or from text with "
                "Key.from_passphrase()"
            )
        self._secret = secret
        self._hint = self.derive(_HINT)[:_HINT_SIZE]

    @classmethod
    def new(cls) -> Key:
        """A new random key."""
        return cls(os.urandom(KEY_SIZE))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Key:
        """The key in a file that ``rx-multicast-ipc key``, or :meth:`save`, wrote.

        Raises:
            KeyUnreadable: the file cannot be read; ``__cause__`` is the ``OSError``.
            InvalidKey: it holds no key, one that was cut short or changed, or several; or ``path`` is none.
        """
        path = _check_path("from_file", path)
        try:
            with open(path, "rb") as file:
                content = file.read(key_text.LARGEST_FILE + 1)
                mode = os.fstat(file.fileno()).st_mode
        except OSError as error:
            raise KeyUnreadable(
                f"the key file {_named(path)} cannot be read: {error.strerror}; make one with "
                "'rx-multicast-ipc key FILE', or let the user of this program read it"
            ) from error
        key = cls.parse(content, f"the file {_named(path)}")
        _warn_of_readers(os.fspath(path), mode)
        return key

    @classmethod
    def from_environment(cls, variable: str = environment.KEY) -> Key:
        """The key that an environment variable holds, or that is in the file it names.

        Args:
            variable: its name. ``RX_MULTICAST_IPC_KEY`` is also what calls without ``key=`` go by.

        Raises:
            InvalidKey: it is not set, or as for :meth:`from_file`.
            KeyUnreadable: as for :meth:`from_file`.
        """
        if not isinstance(variable, str) or not variable or "=" in variable or not is_path(variable):
            raise InvalidKey(f"Key.from_environment takes the name of a variable, not {shown(variable)}")
        keys = _keys_of(variable)
        if len(keys) > 1:
            raise InvalidKey(f"the environment variable {variable} names {len(keys)} keys; leave key= out to use all")
        for key in keys:
            return key
        raise InvalidKey(
            f"the environment variable {printable(variable)} names no key; set it to the name of a key file"
        )

    @classmethod
    def from_passphrase(cls, passphrase: str, context: str = "") -> Key:
        """The key that scrypt (RFC 7914) makes of a text. It takes about half a second and 128 MiB.

        Whoever records a packet can try passphrases for as long as they like: let it be long, and random.

        Args:
            passphrase: 12 characters or more.
            context: what sets this key apart from others of the same passphrase, such as the program's name.

        Raises:
            InvalidKey: it is too short.
        """
        if not isinstance(passphrase, str) or not isinstance(context, str):
            raise InvalidKey("a passphrase and its context are text; for 32 random bytes there is Key(...)")
        if len(passphrase) < _LEAST_PASSPHRASE:
            raise InvalidKey(
                f"a passphrase of {len(passphrase)} characters is guessed too quickly: take {_LEAST_PASSPHRASE} or "
                "more, better five random words; or make a random key with Key.new()"
            )
        import hashlib
        import unicodedata

        password = unicodedata.normalize("NFC", passphrase).encode(errors="surrogatepass")
        salt = _SCRYPT_SALT + unicodedata.normalize("NFC", context).encode(errors="surrogatepass")
        return cls(hashlib.scrypt(password, salt=salt, **_SCRYPT))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the key to a new file that only this user can read (mode 0600).

        Raises:
            KeyUnreadable: the file cannot be written, or is there already; ``__cause__`` is the ``OSError``.
        """
        path = _check_path("save", path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        try:
            descriptor = os.open(path, flags, 0o600)
            try:
                with os.fdopen(descriptor, "w", encoding="ascii") as file:
                    file.write(self.reveal())
            except BaseException:  # the disk is full: half a key would only be in the way
                with suppress(OSError):
                    os.unlink(path)
                raise
        except FileExistsError as error:
            raise KeyUnreadable(
                f"the file {_named(path)} is there already, and a key that is lost cannot be made again; choose "
                "another name"
            ) from error
        except OSError as error:
            raise KeyUnreadable(
                f"the key cannot be written to {_named(path)}: {error.strerror}; choose another place"
            ) from error

    def reveal(self) -> str:
        """What a key file holds: a line that tells the hint, and a line that is the key. Keep it to yourself."""
        comment = f"# key {self.hint} of rx-multicast-ipc: who has it reads and forges all that is sealed with it"
        return f"{comment}\n{key_text.encode(self._secret)}\n"

    @property
    def hint(self) -> str:
        """Six hexadecimal digits that tell keys apart. They stand in every packet, and say nothing of the key."""
        return self._hint.hex()

    @property
    def hint_bytes(self) -> bytes:
        """The hint as packets have it: 3 bytes."""
        return self._hint

    def derive(self, context: bytes) -> bytes:
        """32 bytes that depend on the key and on ``context``: its keyed BLAKE2b (RFC 7693)."""
        import hashlib  # here, as all that is loaded here, so that programs without a key start quickly

        return hashlib.blake2b(context, key=self._secret, digest_size=KEY_SIZE).digest()

    @classmethod
    def parse(cls, content: str | bytes, where: str = "the text") -> Key:
        """The key in the text of a key file.

        Args:
            content: the text.
            where: it stands, for people.

        Raises:
            InvalidKey: as for :meth:`from_file`.
        """
        if not isinstance(content, str | bytes):
            raise InvalidKey(f"Key.parse takes the text of a key file, not a {type(content).__name__}")
        return cls(key_text.decode(content, where))

    def __eq__(self, other: object) -> bool:
        from hmac import compare_digest

        return isinstance(other, Key) and compare_digest(self._secret, other._secret)

    def __hash__(self) -> int:
        return hash(self._hint)

    def __repr__(self) -> str:
        return f"<Key {self.hint}>"

    def __copy__(self) -> Key:
        return self

    def __deepcopy__(self, memo: object) -> Key:
        return self

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise Unsupported(
            "a key is not pickled, for nobody knows where that ends up; pass the name of its file, and call "
            "Key.from_file() there"
        )

    def __reduce__(self) -> NoReturn:
        self.__reduce_ex__(0)


Keys: TypeAlias = tuple[Key, ...]
"""The keys of a channel: the first seals, all open."""


def check_keys(name: str, value: Any) -> Keys | Literal[False]:
    """The keys that an option stands for, or False for none. Raises ``InvalidOption``."""
    if value is False:
        return False
    keys: tuple[Any, ...] = tuple(value) if isinstance(value, tuple | list) else (value,)  # pyright: ignore
    wrong = [key for key in keys if not isinstance(key, Key)]
    if wrong or not keys:
        given = f"a value of type {type(wrong[0]).__name__}" if wrong else "none"  # it may be a secret
        raise InvalidKey(
            f'{name} is a Key, or several in a tuple of which the first seals, not {given}; Key.from_file("group.key") '
            "reads one"
        )
    if len(keys) > _MOST_KEYS:
        raise InvalidOption(f"{name} takes {_MOST_KEYS} keys at most, not {len(keys)}; leave out those that are over")
    return tuple(dict.fromkeys(keys))


def keys_of_environment() -> Keys | Literal[False]:
    """The keys of calls that name none: those of ``RX_MULTICAST_IPC_KEY``, several between commas. False for none.

    Raises:
        KeyUnreadable, InvalidKey: as for :meth:`Key.from_file`.
    """
    return _keys_of(environment.KEY) or False


def _keys_of(variable: str) -> Keys:
    text = os.environ.get(variable)
    if not text:
        return ()
    parts = [part.strip() for part in text.split(",") if part.strip()]
    try:
        return tuple(dict.fromkeys(map(_key_of, parts)))
    except InvalidKey as error:  # without the variable's text, which may be a secret
        raise type(error)(f"{error} (it is what the environment variable {variable} says)") from error.__cause__


def _key_of(text: str) -> Key:
    return Key.parse(text, "the text") if text.startswith(key_text.PREFIX) else Key.from_file(text)


def _check_path(use: str, path: Any) -> str:
    """``path`` as text; raises ``InvalidKey``, without what it is, which may be a secret."""
    if not isinstance(path, str | bytes | os.PathLike):
        raise InvalidKey(f"Key.{use} takes the path of a file that holds a key, not a {type(path).__name__}")
    found = os.fsdecode(cast("str", path))
    if not is_path(found):
        raise InvalidKey(
            f"Key.{use} takes the path of a file that holds a key, and no path has a NUL or a lone surrogate in it"
        )
    return found


def _named(path: str | bytes | os.PathLike[Any]) -> str:
    """A path for people; not where it rather is a key that was taken for one."""
    text = os.fsdecode(path)
    if len(text) >= KEY_SIZE and not any(sign in text for sign in "/\\."):
        return f"with a name of {len(text)} characters"
    return repr(text)


def _warn_of_readers(path: str, mode: int) -> None:
    if os.name == "posix" and stat.S_ISREG(mode) and mode & 0o007 and path not in _warned:
        _warned.use(path, lambda _: None)
        _log.warning(
            "every user of this machine may read or change the key file %r (mode %o): chmod 600 it",
            path,
            stat.S_IMODE(mode),
        )
