"""Firewalls: how they show, and how each kind lets a group through.

No system tells a program which firewall dropped a datagram, so the commands are those of each kind that is common on
the platform: iptables, nftables and ufw on Linux; the application firewall and pf on macOS; Windows' own.

Sources: iptables(8), nft(8), ufw(8) on Linux; pfctl(8), socketfilterfw on macOS; the NetSecurity module of PowerShell
and netsh on Windows, where each of these takes a PowerShell that was started as administrator.
"""

from __future__ import annotations

import errno

from ...group import Group
from ...transport.udp.platform import Platform
from .fixes import Fixes, pick


def drops_what_goes_out(error: BaseException) -> bool:
    """Whether a send failed because a firewall on this machine dropped it: sendto(2) gives EPERM then, some EACCES."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in (errno.EPERM, errno.EACCES)


def let_in(platform: Platform, group: Group) -> Fixes:
    """For a firewall on this machine that drops what comes."""
    return pick(
        platform,
        linux=_linux_firewall(group, "INPUT", "input"),
        darwin=(
            "System Settings > Network > Firewall > Options: allow incoming connections for Python, or in Terminal:",
            'sudo /usr/libexec/ApplicationFirewall/socketfilterfw --add "$(which python3)"',
            'sudo /usr/libexec/ApplicationFirewall/socketfilterfw --unblockapp "$(which python3)"',
            "sudo pfctl -s rules  # look for a block",
        ),
        win32=(
            f'New-NetFirewallRule -DisplayName "UDP {group.port}" -Direction Inbound -Protocol UDP'
            f" -LocalPort {group.port} -Action Allow",
            f'netsh advfirewall firewall add rule name="UDP {group.port}" dir=in action=allow protocol=UDP'
            f" localport={group.port}",
            "Get-NetConnectionProfile  # where it says Public, more is blocked: "
            "Set-NetConnectionProfile -InterfaceAlias NAME -NetworkCategory Private",
        ),
    )


def let_replies_in(address: str) -> Fixes:
    """For a firewall that admits the group's port, but not what one machine sends to this end alone."""
    table = "ip6tables" if ":" in address else "iptables"
    return (
        f"on Linux: sudo {table} -I INPUT -p udp -s {address} -j ACCEPT, or: sudo ufw allow proto udp from {address}",
        f'on Windows: New-NetFirewallRule -DisplayName "UDP of {address}" -Direction Inbound -Protocol UDP'
        f" -RemoteAddress {address} -Action Allow",
        "on macOS: System Settings > Network > Firewall > Options: allow incoming connections for Python",
    )


def let_out(platform: Platform, group: Group) -> Fixes:
    """For a firewall on this machine that drops what goes."""
    return pick(
        platform,
        linux=_linux_firewall(group, "OUTPUT", "output"),
        darwin=("sudo pfctl -s rules  # look for a block", "look for another firewall: Little Snitch, LuLu, a VPN's"),
        win32=(
            f'New-NetFirewallRule -DisplayName "UDP {group.port} out" -Direction Outbound -Protocol UDP'
            f" -RemotePort {group.port} -Action Allow",
            "Get-NetFirewallRule -Direction Outbound -Action Block -Enabled True  # those that block",
        ),
    )


def _linux_firewall(group: Group, chain: str, hook: str) -> Fixes:
    table, family = ("iptables", "ip") if group.family == "IPv4" else ("ip6tables", "ip6")
    return (
        f"sudo {table} -I {chain} -p udp -d {group.address} --dport {group.port} -j ACCEPT",
        f"sudo nft list ruleset  # look for a drop in a chain with 'hook {hook}', and put before it: "
        f"{family} daddr {group.address} udp dport {group.port} accept",
        f"sudo ufw allow proto udp to {group.address} port {group.port}",
    )
