"""What the system tells of itself, read and not changed. On Linux from proc(5) and rtnetlink(7); elsewhere little."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from ...strangers.printable_text import printable
from ...transport.udp import interface_watch
from ...transport.udp.interfaces import all_links
from ...transport.udp.platform import PLATFORM

_GET_FLAGS: Final = 0x8913  # SIOCGIFFLAGS of netdevice(7)
_UP: Final = 0x1
_POINT_TO_POINT: Final = 0x10
_RUNNING: Final = 0x40
_MULTICAST: Final = 0x1000
_LOOPBACK: Final = 0x8

_TUNNELS: Final = (
    "tun",
    "tap",
    "wg",
    "ppp",
    "utun",
    "tailscale",
    "zt",
    "nordlynx",
    "proton",
    "ipsec",
    "gpd",
    "cscotun",
)
"""How the interfaces of VPNs are called."""


_WORD: Final = 80
"""Characters of a word of a command line that are told."""


class Interface(NamedTuple):
    """A network interface.

    Attributes:
        number: its index.
        name: such as ``"eth0"``.
        up: switched on.
        running: with a carrier.
        multicast: able to.
        loopback: the machine's own.
        tunnel: of a VPN, by its name or because it has one other end only.
        addresses: numeric, of both families.
    """

    number: int
    name: str
    up: bool = True
    running: bool = True
    multicast: bool = True
    loopback: bool = False
    tunnel: bool = False
    addresses: tuple[str, ...] = ()


class Holder(NamedTuple):
    """A UDP socket of some program.

    Attributes:
        address: numeric, to which it is bound; ``"0.0.0.0"`` or ``"::"`` for any.
        user: number of the user whose it is.
        program: its process's number and command, or ``""`` if this user may not know.
        drops: datagrams that it lost because its buffer was full.
    """

    address: str
    user: int
    program: str
    drops: int


class System:
    """The machine that this process is on.

    Args:
        root: where its files are; tests have others.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def interfaces(self) -> list[Interface]:
        """Every interface. What the platform does not report is assumed to be in order."""
        links: list[interface_watch.Link] = []
        with suppress(OSError):  # some sandboxes have no netlink
            links = all_links()
        if not links:
            return [Interface(number, name, loopback=name in ("lo", "lo0")) for number, name in socket.if_nameindex()]
        found: list[Interface] = []
        for link in links:
            if PLATFORM != "linux":
                known = (link.number, link.name, link.up, link.up, link.multicast, link.loopback)
                found.append(Interface(*known, link.name.startswith(_TUNNELS), link.addresses))
                continue
            flags = _flags(link.name)
            tunnel = link.name.startswith(_TUNNELS) or bool(flags & _POINT_TO_POINT)
            found.append(
                Interface(
                    *(link.number, link.name, bool(flags & _UP), bool(flags & _RUNNING), bool(flags & _MULTICAST)),
                    *(bool(flags & _LOOPBACK), tunnel, link.addresses),
                )
            )
        return found

    def route_to(self, destination: str) -> int | None:
        """The index of the interface to which the routes lead; None if none does, or the platform does not tell."""
        if PLATFORM == "linux":
            with suppress(OSError):
                return interface_watch.interface_to(destination)
        return None

    @property
    def tells_routes(self) -> bool:
        """Whether the absence of a route means something."""
        return PLATFORM == "linux"

    def receive_buffer_limit(self) -> int | None:
        """Bytes of receive buffer that an ordinary program may have; None where the platform does not tell."""
        text = self._read("proc/sys/net/core/rmem_max")
        return int(text) if text else None

    def holders(self, port: int) -> list[Holder]:
        """Who is bound to a UDP port."""
        rows: list[tuple[str, int, int, int]] = []
        for name, size in (("udp", 8), ("udp6", 32)):
            for line in self._read(f"proc/net/{name}").splitlines()[1:]:
                fields = line.split()
                address, _, number = fields[1].partition(":")
                if int(number, 16) == port and len(address) == size:
                    rows.append((_address(address), int(fields[7]), int(fields[9]), int(fields[12])))
        programs = self._programs({inode for _, _, inode, _ in rows}) if rows else {}
        return [Holder(address, user, programs.get(inode, ""), drops) for address, user, inode, drops in rows]

    def members(self, group: str) -> dict[str, int]:
        """How many sockets joined ``group``, by the name of the interface."""
        found: dict[str, int] = {}
        if ":" in group:
            wanted = socket.inet_pton(socket.AF_INET6, group).hex()
            for line in self._read("proc/net/igmp6").splitlines():
                fields = line.split()
                if fields[2] == wanted:
                    found[fields[1]] = int(fields[3])
            return found
        wanted = f"{struct.unpack('=I', socket.inet_aton(group))[0]:08X}"
        interface = ""
        for line in self._read("proc/net/igmp").splitlines()[1:]:
            fields = line.split()
            if not line.startswith("\t"):
                interface = fields[1].rstrip(":")
            elif fields[0] == wanted:
                found[interface] = int(fields[1])
        return found

    def container(self) -> str:
        """What this machine is a container of; ``""`` if it is none, as far as one can see."""
        if (self._root / ".dockerenv").exists():
            return "Docker"
        if (self._root / "run/.containerenv").exists():
            return "Podman"
        control_groups = self._read("proc/1/cgroup") + self._read("proc/self/cgroup")
        kinds = {
            "docker": "Docker",
            "kubepods": "Kubernetes",
            "libpod": "Podman",
            "lxc": "LXC",
            "containerd": "containerd",
        }
        return next((kind for word, kind in kinds.items() if word in control_groups), "")

    def is_wsl2(self) -> bool:
        """Whether this is Linux on Windows."""
        return "microsoft" in self._read("proc/version").lower()

    def strict_filter(self, interface: str) -> bool:
        """Whether packets are dropped whose sender would not be answered over the interface that they came by."""
        values = [self._read(f"proc/sys/net/ipv4/conf/{name}/rp_filter").strip() for name in ("all", interface)]
        return max((int(value) for value in values if value), default=0) == 1

    def _programs(self, inodes: set[int]) -> dict[int, str]:
        wanted = {f"socket:[{inode}]": inode for inode in inodes}
        found: dict[int, str] = {}
        for process in self._processes():
            with suppress(OSError):
                for descriptor in os.listdir(process / "fd"):
                    with suppress(OSError):
                        inode = wanted.get(os.readlink(process / "fd" / descriptor))
                        if inode is not None:
                            found[inode] = f"{_command(process)} (process {process.name})"
        return found

    def _processes(self) -> Iterator[Path]:
        with suppress(OSError):
            yield from (path for path in (self._root / "proc").iterdir() if path.name.isdecimal())

    def _read(self, path: str) -> str:
        with suppress(OSError):
            return (self._root / path).read_text(errors="backslashreplace")
        return ""


def _flags(name: str) -> int:
    import fcntl

    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        answer = fcntl.ioctl(asking, _GET_FLAGS, struct.pack("16sh14x", name.encode(), 0))
        return struct.unpack_from("16xH", answer)[0]
    return 0


def _command(process: Path) -> str:
    """A process's command name. The program chooses its bytes, so they may be in any encoding."""
    line = (process / "cmdline").read_text(errors="backslashreplace")
    words: Sequence[str] = [printable(word, limit=_WORD) for word in line.rstrip("\0").split("\0")]
    program = Path(words[0]).name or "a program"
    return " ".join([program, *words[1:4]]) if program.startswith(("python", "node")) else program


def _address(text: str) -> str:
    """An address as proc(5) writes it: words of four bytes in the machine's order."""
    packed = b"".join(struct.pack("=I", int(text[at : at + 8], 16)) for at in range(0, len(text), 8))
    return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
