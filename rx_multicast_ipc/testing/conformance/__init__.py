"""What every transport promises, as rules that a transport of your own can be held to.

    import pytest
    from rx_multicast_ipc.testing.conformance import RULES, Rig, Rule

    @pytest.mark.parametrize("rule", RULES, ids=str)
    def test_my_transport_keeps_its_promises(rule: Rule) -> None:
        rule(Rig(open_my_transport))

The promises are those of :class:`rx_multicast_ipc.transport.Transport`, where ``open_my_transport`` is an
:class:`~rx_multicast_ipc.transport.OpenTransport`. A broken one raises :class:`BrokenPromise`; a rule that cannot be
checked on this transport raises ``unittest.SkipTest``, which pytest and unittest know.
"""

from . import closing_rules, delivery_rules, io_thread_rules, process_rules, sending_rules
from .broken_promise import BrokenPromise
from .rule import ALL_RULES, Rule
from .transport_rig import End, Rig

RULES: tuple[Rule, ...] = tuple(ALL_RULES)
"""Every rule, in reading order."""

__all__ = [
    "RULES",
    "BrokenPromise",
    "End",
    "Rig",
    "Rule",
    "closing_rules",
    "delivery_rules",
    "io_thread_rules",
    "process_rules",
    "sending_rules",
]
