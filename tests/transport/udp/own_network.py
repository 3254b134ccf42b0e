"""Runs code in a network of its own."""

from __future__ import annotations

import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from ...helpers import PATIENCE, ROOT, THOROUGH, finish, in_namespace, python
from ...hosts.namespace import Namespace

LINK = (
    "ip link add net0 type veth peer name net1 && ip link set net0 up && ip link set net1 up && "
    "ip addr add 192.0.2.77/24 dev net0 && ip -6 addr add 2001:db8::77/64 dev net0 nodad && "
    "until ip -6 route get 2001:db8::77 | grep -q ^local; do sleep 0.01; done"
)
"""A network interface with addresses of its own. The kernel makes the way to the second one a while after the address:
what is sent to it before goes out to look for a neighbour, and is lost."""


def told(code: str, script: str = "true") -> str:
    """What ``code`` prints in a network that ``script`` made: in this process, and in the long form in its own."""
    if THOROUGH:
        return told_apart(code, script)
    namespace = Namespace()
    names: dict[str, Any] = {"__name__": "__main__"}
    try:
        namespace.run("sh", "-c", f"ip link set lo up && {script}")
        with namespace.entered(), redirect_stdout(StringIO()) as out:
            exec(compile(code, "<code>", "exec"), names)
    finally:
        namespace.close()
    return out.getvalue()


def told_apart(code: str, script: str = "") -> str:
    """The same of code that changes its process; with no script, in this network."""
    if not script:
        return finish(python(code))
    command = in_namespace(f'{script} && exec "$@"', sys.executable, "-X", "dev", "-c", code)
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout
