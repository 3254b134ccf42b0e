"""Which group a channel talks to, and over what. All validation of it is here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

import msgspec

from .errors import InvalidAddress, InvalidGroup, InvalidInterface, InvalidOption, InvalidPort, InvalidTTL
from .message import Family
from .option_values.engines import Engine, engine_of
from .validation import environment
from .validation.arguments import shown
from .validation.numeric_address import Ip

DEFAULT_PORT: Final = 61088
DEFAULT_GROUP: Final = "224.0.2.1"
BROADCAST: Final = "255.255.255.255"
"""Every host of the network that an interface is on (RFC 919)."""

LOOPBACK: Final = "loopback"
DEFAULT_INTERFACE: Final = "default"
ALL_INTERFACES: Final = "all"
_LINK_LOCAL_SCOPE: Final = 2
_MOST_SOURCES: Final = 10
_CHOICE: Final = (
    f'it may be "{LOOPBACK}", "{DEFAULT_INTERFACE}", "{ALL_INTERFACES}", a name such as "eth0" or one of this '
    "machine's addresses"
)

Interfaces = str | Engine | Iterable[str]
"""One interface or several; or an engine, or its URL."""


class Group(msgspec.Struct, frozen=True):
    """A multicast group on a port, over an interface or an engine. Make one with :meth:`of`, which validates.

    Attributes:
        port: UDP port, 1 to 65 535.
        address: the group's numeric address; or a broadcast address, which is as good as a group of all of a network.
        interfaces: ``"loopback"`` or ``"all"`` alone; else ``"default"``, names and addresses of interfaces. Or the URL
            of an engine.
        ttl: how many networks a datagram may enter: 0 stays on this machine, 1 on this network (RFC 1112).
        sources: the only senders to be heard, by their numeric addresses; none for everybody (RFC 4607).
        engine: what carries it in the place of an interface, or None.
    """

    port: int
    address: str
    interfaces: tuple[str, ...]
    ttl: int
    sources: tuple[str, ...] = ()
    engine: Engine | None = None

    @classmethod
    def of(
        cls,
        port: int | None = None,
        address: str | None = None,
        interface: Interfaces | None = None,
        ttl: int | None = None,
        sources: Iterable[str] = (),
    ) -> Group:
        """A validated group. What is None is as the environment says (see :mod:`.environment`), or the default.

        Raises:
            InvalidPort, InvalidGroup, InvalidInterface, InvalidTTL, InvalidAddress: saying what would be right.
        """
        port = default_port() if port is None else check_port(port)
        ip = _default_group() if address is None else _check_group(address)
        engine = _engine_of(interface)
        if engine is not None:
            return _on_engine(engine, port, ip, ttl, sources)
        interfaces = _check_interfaces(interface, ip)
        if not ip.is_multicast:
            _check_broadcast(ip, interfaces, ttl)
        return cls(port, str(ip), interfaces, _check_ttl(ttl, interfaces), _check_sources(sources, ip))

    @property
    def family(self) -> Family:
        """``"IPv4"`` or ``"IPv6"``, by its address."""
        return "IPv6" if ":" in self.address else "IPv4"

    @property
    def is_loopback(self) -> bool:
        """Whether no packet may leave this machine."""
        return self.interfaces == (LOOPBACK,)

    @property
    def is_broadcast(self) -> bool:
        """Whether it is not multicast, but goes to every host of a network (RFC 919)."""
        ip = Ip.parse(self.address)
        return ip is not None and not ip.is_multicast

    @property
    def interface(self) -> str:
        """Its interfaces as text."""
        return ", ".join(self.interfaces)

    @property
    def has_several_interfaces(self) -> bool:
        """Whether a message must say which interface it came by."""
        return self.interfaces == (ALL_INTERFACES,) or len(self.interfaces) > 1

    def __str__(self) -> str:
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{address}:{self.port} on {self.interface}"


def default_port() -> int:
    """The port of calls that name none; raises ``InvalidPort`` for a bad environment variable."""
    return environment.read(environment.PORT, _parse_port, DEFAULT_PORT)


def default_group() -> str:
    """The group's address for calls that name none; raises ``InvalidGroup`` for a bad environment variable."""
    return str(_default_group())


def check_port(port: int, what: str = "port") -> int:
    """``port``, if it is a UDP port number; raises ``InvalidPort``."""
    if not isinstance(port, int) or isinstance(port, bool):
        hint = ""
        if callable(port):
            hint = "; there are no callbacks: give what the call returns to run(), await or subscribe"
        elif isinstance(port, str):
            hint = "; int() makes a number of it" if port.isdigit() else "; the port comes first, then the address"
        raise InvalidPort(f"{what} must be a whole number from 1 to 65535, not {shown(port)}{hint}")
    if not 1 <= port <= 65_535:
        hint = "; this sender gave no port, so it cannot be answered" if what == "reply port" else ""
        raise InvalidPort(f"{what} must be from 1 to 65535, not {shown(port)}{hint}")
    return port


_DEFAULT_IP: Final = Ip(b"\xe0\0\2\1")


def _parse_port(text: str) -> int:
    return check_port(
        int(text) if text.isdecimal() and len(text) < 10 else cast("int", text)
    )  # who refuses it says what is right


def _default_group() -> Ip:
    return environment.read(environment.GROUP, _check_group, _DEFAULT_IP)


def _check_group(address: str) -> Ip:
    advice = (
        f'a group is a multicast address such as "{DEFAULT_GROUP}" (224.0.0.0/4) or "ff02::1:7" (ff00::/8), or a '
        f'broadcast address: "{BROADCAST}", or that of a network'
    )
    ip = Ip.parse(address) if isinstance(address, str) else None
    if ip is None:
        raise InvalidGroup(f"{shown(address)} is no IP address; {advice}")
    if not ip.is_multicast and not ip.may_be_broadcast:
        raise InvalidGroup(f"{address} is not a multicast address; {advice}")
    if ip.scope:
        raise InvalidGroup(f'{address} names a scope; write the group without it and pass interface="{ip.scope}"')
    return ip


def _check_broadcast(group: Ip, interfaces: tuple[str, ...], ttl: int | None) -> None:
    if interfaces == (LOOPBACK,):
        raise InvalidGroup(
            f"{group} is not a multicast address; a broadcast goes to a network, which loopback is not: name the "
            f'interface, such as interface="eth0", or use a group such as "{DEFAULT_GROUP}"'
        )
    if len(interfaces) > 1 or interfaces == (ALL_INTERFACES,):
        raise InvalidInterface(f"{group} is a broadcast address, which is of one network; name one interface")
    if ttl not in (None, 1):
        raise InvalidTTL(f"{group} is a broadcast address, which is of one network; leave ttl out")


def _engine_of(given: Interfaces | None) -> Engine | None:
    """The engine that is named, in the call or by the environment; None for interfaces."""
    if given is None:
        return environment.read(environment.INTERFACE, engine_of, None)
    if isinstance(given, str | Engine) or not isinstance(given, list | tuple | set | frozenset):
        return engine_of(given)
    found = [engine for engine in map(engine_of, given) if engine is not None]
    if found and len(given) > 1:
        raise InvalidInterface(
            f"{found[0].url} stands alone, not beside other interfaces; rx_multicast_ipc.bridge joins two"
        )
    return found[0] if found else None


def _on_engine(engine: Engine, port: int, group: Ip, ttl: int | None, sources: Iterable[str]) -> Group:
    if not group.is_multicast:
        raise InvalidGroup(f'{group} is a broadcast address; on an engine use a group such as "{DEFAULT_GROUP}"')
    if ttl is not None:
        raise InvalidTTL(f"{engine.url} is no network of routers, so there is no ttl; leave it out")
    if not isinstance(sources, Iterable) or tuple(sources):
        raise InvalidOption(f"senders on {engine.url} have no numeric addresses to name as sources; use ops.filter")
    return Group(port, str(group), (engine.url,), 1, (), engine)


def _check_interfaces(given: Interfaces | None, group: Ip) -> tuple[str, ...]:
    if given is None:
        named = environment.read(environment.INTERFACE, lambda text: _check_named_interfaces(text, group), None)
        return named or _check_interfaces(LOOPBACK, group)
    interfaces = (given,) if isinstance(given, str) else tuple(given) if isinstance(given, Iterable) else ()
    if not interfaces:
        raise InvalidInterface(f"interface names one interface or several, not {shown(given)}; {_CHOICE}")
    for interface in interfaces:
        _check_interface(interface, group)
        if len(interfaces) > 1 and interface in (LOOPBACK, ALL_INTERFACES):
            raise InvalidInterface(
                f'"{interface}" stands alone, not beside other interfaces; '
                + ('name the loopback interface, such as "lo"' if interface == LOOPBACK else "it takes them all")
            )
    return tuple(dict.fromkeys(interfaces))


def _check_named_interfaces(text: str, group: Ip) -> tuple[str, ...] | None:
    names = [name.strip() for name in text.split(",") if name.strip()]
    return _check_interfaces(names, group) if names else None


def _check_interface(interface: str, group: Ip) -> None:
    if not isinstance(interface, str) or not interface:
        raise InvalidInterface(f"{shown(interface)} names no interface; {_CHOICE}")
    if interface == LOOPBACK and group.family == "IPv6":
        raise InvalidGroup(
            f"{group} is an IPv6 group, and host-only multicast needs IPv4; use an IPv4 group such as "
            f'"{DEFAULT_GROUP}", or name a network interface: interface="eth0"'
        )
    if interface == DEFAULT_INTERFACE and group.family == "IPv6" and group.packed[1] & 0x0F <= _LINK_LOCAL_SCOPE:
        raise InvalidGroup(f'{group} belongs to one link (RFC 4291); name the interface: interface="eth0"')
    address = Ip.parse(interface)
    if address is not None and not any(address.packed):  # what programs bind to, to say any
        raise InvalidInterface(
            f'{interface} is no interface\'s address; "{DEFAULT_INTERFACE}" is the one that the multicast route leads '
            f'to, "{ALL_INTERFACES}" every one, and "{LOOPBACK}" this machine alone'
        )
    if address is not None and address.is_mapped:
        raise InvalidInterface(f"{interface} is an IPv4 address; write it as {address.unmapped}")
    if address is not None and address.family != group.family:
        raise InvalidInterface(
            f"{interface} is an {address.family} address, but {group} is an {group.family} group; "
            "name an interface, or one of its addresses of the same version"
        )


def _check_ttl(ttl: int | None, interfaces: tuple[str, ...]) -> int:
    loopback = interfaces == (LOOPBACK,)
    if ttl is None:
        return 0 if loopback else 1
    if not isinstance(ttl, int) or isinstance(ttl, bool) or not 0 <= ttl <= 255:
        raise InvalidTTL(f"ttl must be a whole number from 0 to 255, not {shown(ttl)}")
    if loopback and ttl:
        raise InvalidTTL(
            f"ttl={ttl} would leave this machine, which a loopback channel never does; "
            'leave ttl out, or pass interface="default" or a name'
        )
    return ttl


def _check_sources(sources: Iterable[str], group: Ip) -> tuple[str, ...]:
    if isinstance(sources, str) or not isinstance(sources, Iterable):
        raise InvalidAddress(f'sources is a list of senders\' addresses such as ["10.0.0.2"], not {shown(sources)}')
    checked: list[str] = []
    for source in sources:
        ip = Ip.parse(source) if isinstance(source, str) else None
        if ip is None or ip.is_multicast:
            raise InvalidAddress(f'a source is one sender\'s numeric address such as "10.0.0.2", not {shown(source)}')
        if ip.is_mapped:
            raise InvalidAddress(f"source {source} is an IPv4 address; write it as {ip.unmapped}")
        if ip.family != group.family:
            raise InvalidAddress(f"source {source} is an {ip.family} address, but {group} is an {group.family} group")
        checked.append(str(Ip(ip.packed)))
    if checked and not group.is_multicast:
        raise InvalidOption(f"{group} is a broadcast address, which takes no sources; use ops.filter on the messages")
    if len(checked) > _MOST_SOURCES:
        raise InvalidOption(f"{len(checked)} sources are more than the {_MOST_SOURCES} that systems take for a group")
    return tuple(dict.fromkeys(checked))
