"""What the system tells of itself, read and not changed: interfaces and routes everywhere, more in Linux's proc(5).

What nobody tells is None, which is not the same as that there is nothing.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from ...errors import MulticastError, NoRoute
from ...group import Group
from ...strangers.printable_text import printable
from ...transport.udp import socket_options, socket_plans
from ...transport.udp.interface_watch import Link
from ...transport.udp.interfaces import all_links, default_nic
from ...transport.udp.platform import PLATFORM, Platform

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
    """A network interface. What is None is not known.

    Attributes:
        number: its index.
        name: such as ``"eth0"``.
        up: switched on; on Windows also connected.
        running: with a carrier.
        multicast: able to.
        loopback: the machine's own.
        tunnel: of a VPN, by its name or because it has one other end only.
        addresses: numeric, of both families.
    """

    number: int
    name: str
    up: bool | None = None
    running: bool | None = None
    multicast: bool | None = None
    loopback: bool = False
    tunnel: bool = False
    addresses: tuple[str, ...] | None = None


class Holder(NamedTuple):
    """A UDP socket of some program.

    Attributes:
        address: numeric, to which it is bound; ``"0.0.0.0"`` or ``"::"`` for any.
        user: number of the user whose it is.
        program: its process's number and command, or ``""`` if this user may not know.
        drops: datagrams that the kernel did not give it: its buffer was full, or a socket filter of its own refused
            them (proc_net_udp(5) counts both alike).
        waiting: bytes that it has not read yet.
    """

    address: str
    user: int
    program: str
    drops: int
    waiting: int


class System:
    """The machine that this process is on.

    Args:
        root: where its files are; tests have others.

    Attributes:
        platform: whose commands it takes.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self.platform: Platform = PLATFORM

    def interfaces(self) -> list[Interface]:
        """Every interface there is."""
        links: list[Link] = []
        with suppress(OSError):  # some sandboxes have no netlink
            links = all_links()
        if not links:
            return [
                Interface(number, name, loopback=name.startswith(("lo", "software_loop")))
                for number, name in socket.if_nameindex()
            ]
        return [
            Interface(
                *(link.number, link.name),
                *((link.up, None) if link.enabled is None else (link.enabled, link.up)),
                *(link.multicast, link.loopback),
                *(link.point_to_point or link.name.lower().startswith(_TUNNELS), link.addresses),
            )
            for link in links
        ]

    def route_to(self, group: Group) -> int | None:
        """The index of the interface to which the routes lead; 0 if nobody tells, None if there is no route."""
        try:
            return default_nic(group).number
        except NoRoute:
            return None
        except MulticastError:
            return 0

    def receive_buffer_limit(self) -> int | None:
        """Bytes of receive buffer that an ordinary program may have."""
        text = self._read("proc/sys/net/core/rmem_max")
        return int(text) if text else None

    def granted_receive_buffer(self, asked: int) -> int:
        """Bytes of receive buffer that a channel gets which asks for so many."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            socket_options.apply(probe, socket_plans.ask_for_buffer(asked))
            return socket_options.granted_receive_buffer(probe)

    def holders(self, port: int) -> list[Holder] | None:
        """Who is bound to a UDP port."""
        if self.platform != "linux":
            return None
        rows: list[tuple[str, int, int, int, int]] = []
        for name, size in (("udp", 8), ("udp6", 32)):
            for line in self._read(f"proc/net/{name}").splitlines()[1:]:
                fields = line.split()
                address, _, number = fields[1].partition(":")
                if int(number, 16) == port and len(address) == size:
                    waiting = int(fields[4].partition(":")[2], 16)
                    rows.append((_address(address), int(fields[7]), int(fields[9]), int(fields[12]), waiting))
        programs = self._programs({inode for _, _, inode, _, _ in rows}) if rows else {}
        return [Holder(address, user, programs.get(inode, ""), *counts) for address, user, inode, *counts in rows]

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
