"""What fixes each fault, in the commands of each platform: sh on Linux and macOS, PowerShell and netsh on Windows.

Sources: ip-link(8), ip-route(8), sysctl(8) on Linux; ifconfig(8), route(8), ipconfig(8) on macOS; the NetAdapter and
NetTCPIP modules of PowerShell and netsh on Windows, where each of these takes a PowerShell that was started as
administrator. For firewalls: :mod:`.firewalls`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ...transport.udp.platform import Platform

Fixes = tuple[str, ...]


def list_interfaces(platform: Platform) -> str:
    """What lists the interfaces, with their names."""
    return pick(
        platform,
        linux=("ip address",),
        darwin=("ifconfig",),
        win32=("Get-NetIPAddress | Format-Table InterfaceAlias, IPAddress",),
    )[0]


def show_interface(platform: Platform, name: str) -> Fixes:
    return pick(
        platform,
        linux=(f"ip address show dev {name}",),
        darwin=(f"ifconfig {name}",),
        win32=(f'Get-NetIPConfiguration -InterfaceAlias "{name}"',),
    )


def switch_on(platform: Platform, name: str) -> Fixes:
    return pick(
        platform,
        linux=(f"sudo ip link set dev {name} up",),
        darwin=(f"sudo ifconfig {name} up", f"networksetup -setairportpower {name} on  # if it is the wireless one"),
        win32=(
            f'Get-NetAdapter -Name "{name}"  # Disconnected: plug the cable in, or join the wireless network',
            f'Enable-NetAdapter -Name "{name}"  # Disabled, or: netsh interface set interface "{name}" enabled',
        ),
    )


def connect(platform: Platform, name: str) -> Fixes:
    """For one that is on and has no carrier."""
    return pick(
        platform,
        linux=(f"ip link show dev {name}  # says NO-CARRIER until the cable or the network is there",),
        darwin=(f"ifconfig {name}  # says status: inactive until the cable or the network is there",),
        win32=(f'Get-NetAdapter -Name "{name}"  # says Disconnected until the cable or the network is there',),
    )


def let_multicast(platform: Platform, name: str) -> Fixes:
    """For one that is said to be unable to."""
    other = f"no command makes {name} able to: use another interface; `rx-multicast-ipc doctor` lists them"
    return pick(platform, linux=(f"sudo ip link set dev {name} multicast on",), darwin=(other,), win32=(other,))


def give_address(platform: Platform, name: str, family: str) -> Fixes:
    if family == "IPv6":
        return pick(
            platform,
            linux=(
                f"sudo sysctl -w net.ipv6.conf.{name}.disable_ipv6=0  # it gives itself one then",
                f"sudo ip address add ADDRESS/64 dev {name}",
            ),
            darwin=(f"networksetup -setv6automatic Wi-Fi  # or the name that networksetup gives {name}",),
            win32=(f'Enable-NetAdapterBinding -Name "{name}" -ComponentID ms_tcpip6  # it gives itself one then',),
        )
    return pick(
        platform,
        linux=(f"sudo ip address add ADDRESS/24 dev {name}  # or have it ask: sudo dhclient {name}",),
        darwin=(f"sudo ipconfig set {name} DHCP", f"sudo ifconfig {name} inet ADDRESS/24 alias"),
        win32=(
            f'netsh interface ipv4 set address name="{name}" source=dhcp',
            f'New-NetIPAddress -InterfaceAlias "{name}" -IPAddress ADDRESS -PrefixLength 24',
        ),
    )


def route(platform: Platform, name: str, group: str) -> Fixes:
    """What leads multicast that names no interface to this one."""
    if ":" in group:
        return pick(
            platform,
            linux=(f"sudo ip -6 route add ff00::/8 dev {name} table local",),
            darwin=(f"sudo route -n add -inet6 -net ff00::/8 -interface {name}",),
            win32=(f'Set-NetIPInterface -InterfaceAlias "{name}" -AddressFamily IPv6 -InterfaceMetric 1',),
        )
    return pick(
        platform,
        linux=(f"sudo ip route add 224.0.0.0/4 dev {name}",),
        darwin=(f"sudo route -n add -net 224.0.0.0/4 -interface {name}",),
        win32=(
            f'Set-NetIPInterface -InterfaceAlias "{name}" -AddressFamily IPv4 -InterfaceMetric 1',
            f'netsh interface ipv4 set route 224.0.0.0/4 "{name}" metric=1  # add, not set, where there is none',
        ),
    )


def avoid_vpn(platform: Platform, group: str) -> Fixes:
    variable = pick(
        platform,
        linux=("RX_MULTICAST_IPC_INTERFACE=NAME",),
        darwin=("RX_MULTICAST_IPC_INTERFACE=NAME",),
        win32=('$env:RX_MULTICAST_IPC_INTERFACE="NAME"',),
    )
    return (
        f"name the local network's interface: --interface NAME, or {variable[0]}",
        *route(platform, "NAME", group),
    )


def free_port(platform: Platform, port: int) -> Fixes:
    """For a port that a program keeps to itself."""
    fixes = pick(
        platform,
        linux=(
            "stop that program, or have it set SO_REUSEADDR before it binds",
            f"sudo ss -ulpn 'sport = :{port}'  # says which it is",
        ),
        darwin=(
            "stop that program, or have it set SO_REUSEADDR and SO_REUSEPORT before it binds",
            f"sudo lsof -nP -iUDP:{port}  # says which it is",
        ),
        win32=(
            f"Get-Process -Id (Get-NetUDPEndpoint -LocalPort {port}).OwningProcess  # says who has it: stop it",
            "netsh interface ipv4 show excludedportrange protocol=udp  # lists what Windows reserved",
        ),
    )
    return (*fixes, "choose another port: --port NUMBER")


def raise_buffer_limit(platform: Platform, size: int) -> Fixes:
    return pick(
        platform,
        linux=(
            f"sudo sysctl -w net.core.rmem_max={size}",
            f"echo net.core.rmem_max={size} | sudo tee /etc/sysctl.d/90-multicast.conf  # for good",
        ),
        # A buffer is charged for what keeps it together, too: 256 bytes for each 2048 (MSIZE, MCLBYTES).
        darwin=(f"sudo sysctl -w kern.ipc.maxsockbuf={size + (size + 7) // 8}",),
        win32=("ask for less: --receive-buffer BYTES",),
    )


def more_memberships(platform: Platform) -> Fixes:
    fewer = "close channels, or other programs', that are no longer needed"
    return pick(platform, linux=("sudo sysctl -w net.ipv4.igmp_max_memberships=100",), darwin=(fewer,), win32=(fewer,))


def more_descriptors(platform: Platform) -> Fixes:
    return pick(
        platform,
        linux=("ulimit -n 4096",),
        darwin=("ulimit -n 4096",),
        win32=("close programs that have many sockets",),
    )


def pick(platform: Platform, *, linux: Fixes, darwin: Fixes, win32: Fixes) -> Fixes:
    """Those of one platform."""
    by_platform: Mapping[Platform, Fixes] = {"linux": linux, "darwin": darwin, "win32": win32}
    return by_platform.get(platform, linux)


BUFFER_LIMIT: Final[Mapping[Platform, str]] = {
    "linux": "net.core.rmem_max",
    "darwin": "kern.ipc.maxsockbuf",
    "win32": "receive buffer",
    "other": "receive buffer",
}
"""What limits a socket's receive buffer."""
