"""Channels with a key on engines, and across bridges to them: who has no key learns nothing from a server."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from reactivex import operators as ops

import rx_multicast_ipc as ipc

from ..helpers import PATIENCE, Seen, run
from ..transport_rigs import nats_server, zenoh_router
from .helpers import until

pytest.importorskip("cryptography")


def zenoh_url() -> str:
    pytest.importorskip("zenoh", reason="eclipse-zenoh is not installed")
    return zenoh_router().url


engines = pytest.mark.parametrize("url", [lambda: nats_server().url, zenoh_url], ids=["nats", "zenoh"])


@engines
@pytest.mark.parametrize("reliable", [False, True])
def test_members_hear_and_answer_each_other_and_who_has_no_key_reads_and_changes_nothing(
    url: Callable[[], str], port: int, reliable: bool
) -> None:
    engine, key = url(), ipc.Key.new()
    with (
        ipc.open_channel(port, interface=engine, key=key, reliable=reliable, echo=False) as one,
        ipc.open_channel(port, interface=engine, key=key, reliable=reliable, echo=False) as other,
        ipc.open_channel(port, interface=engine, echo=False) as outsider,
    ):
        heard, answers, overheard = Seen(other.messages), Seen(one.messages), Seen(outsider.messages)
        other.respond(lambda _: True, lambda _: "secret answer").subscribe()
        for number in range(20):
            run(one.broadcast(f"secret {number}"))
            for message in overheard.values[-2:]:
                run(outsider.broadcast(message.data))
            run(outsider.broadcast("plain"))
        heard.wait_for_count(20)
        answers.wait_for_count(20)
        until(lambda: (other.statistics.rejected or 0) >= 20)
        assert [message.text for message in heard.values] == [f"secret {number}" for number in range(20)]
        assert {message.text for message in answers.values} == {"secret answer"}
        overheard.wait_for_count(1)
        assert not [message for message in overheard.values if b"secret" in message.data]


@engines
@pytest.mark.parametrize("reliable", [False, True])
def test_members_on_a_segment_and_on_an_engine_hear_and_answer_each_other_across_a_bridge(
    url: Callable[[], str], port: int, reliable: bool
) -> None:
    engine, key = url(), ipc.Key.new()
    sides = ipc.Group.of(port), ipc.Group.of(port, interface=engine)
    with ipc.bridge(*sides, takeover=2.0) as bridge:  # a busy machine may stop one for a quarter of that
        run(bridge.roles.pipe(ops.first(lambda role: role is ipc.BridgeRole.CARRYING)))
        with (
            ipc.open_channel(port, key=key, reliable=reliable, echo=False) as here,
            ipc.open_channel(port, interface=engine, key=key, reliable=reliable, echo=False) as there,
        ):
            there.respond(lambda message: message.text.startswith("who"), lambda _: "me").subscribe()
            answers = [
                run(here.request(f"who {number}?", lambda message: message.text == "me", timeout=PATIENCE))
                for number in range(5)
            ]
            assert {answer.direct for answer in answers} == {True}
