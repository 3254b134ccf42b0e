"""What senders are called."""

from __future__ import annotations

from rx_multicast_ipc import Member
from rx_multicast_ipc.option_values.member import names_by_sender


def test_a_name_is_enough_where_one_has_it_and_stands_with_the_address_where_two_do() -> None:
    members = [Member("Ann", "10.0.0.1", 1), Member("Bob", "10.0.0.2", 2), Member("Bob", "10.0.0.3", 3)]
    assert names_by_sender(members) == {
        ("10.0.0.1", 1): "Ann",
        ("10.0.0.2", 2): "Bob 10.0.0.2:2",
        ("10.0.0.3", 3): "Bob 10.0.0.3:3",
    }
