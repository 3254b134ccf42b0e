"""Topics on the command line: ``topics``, ``listen --topic`` and ``send --topic``."""

from __future__ import annotations

import pytest

from rx_multicast_ipc.cli.topics import MOST_ROWS, Census

from ..helpers import interrupt, ipc
from .helpers import Listen, command, end, records, start, wait_until_listening


def publish(channel: ipc.Channel, **values: object) -> None:
    for name, value in values.items():
        ipc.run(channel.topic(name.replace("__", "/")).publish(value))


def test_listen_prints_topic_and_payload_apart(listen: Listen, channel: ipc.Channel) -> None:
    process = listen("--topic", "robot/*", "--count", 2)
    ipc.run(channel.broadcast("no topic"))
    publish(channel, robot__pose={"x": 1}, robot={"x": 2}, robot__battery=50)
    code, out, err = end(process)
    assert (code, err) == (0, "")
    assert [(one["topic"], one["data"]) for one in records(out)] == [("robot/pose", '{"x":1}'), ("robot/battery", "50")]


def test_listen_prints_payloads_alone_if_raw(listen: Listen, channel: ipc.Channel) -> None:
    process = listen("--topic", "**", "--count", 1, "--raw")
    publish(channel, robot__pose={"x": 1})
    assert end(process) == (0, b'{"x":1}\n', "")


def test_no_topic_can_steer_a_terminal(listen: Listen, channel: ipc.Channel) -> None:
    process = listen("--topic", "*", "--count", 1, "--human")
    ipc.run(channel.broadcast(b"\x1b[2J\0hello\r"))
    code, out, _ = end(process)
    assert code == 0
    assert out.decode().removesuffix("\n").isprintable()
    assert "\\x1b[2J  hello\\r" in out.decode()


def test_send_publishes_what_a_topic_hears(channel: ipc.Channel, port: int) -> None:
    topic = channel.topic("robot/pose")
    values: list[object] = []
    topic.stream.subscribe(values.append)
    assert command("send", "--topic", "robot/pose", '{"x": 1}', "[2]", "--port", port) == (0, b"", "")
    ipc.run(channel.wait_for_message(lambda m: m.data == b"robot/pose\0[2]", timeout=60))
    assert values == [{"x": 1}, [2]]


@pytest.mark.parametrize(
    "arguments",
    [["send", "--topic", "a/*", "x"], ["listen", "--topic", "a*"], ["topics", "/a"], ["topics", "--timeout", "0"]],
)
def test_mistakes_are_told(arguments: list[str]) -> None:
    code, out, err = command(*arguments)
    assert (code, out) == (2, b"")
    assert "error: argument" in err


def test_it_tells_who_publishes_what_how_often_and_how_much(port: int, channel: ipc.Channel) -> None:
    process = start("topics", "robot/**", "--verbose", "--timeout", 5, "--port", port)
    wait_until_listening(process)
    with ipc.open_channel(port) as other:
        publish(channel, robot__pose=1, robot__battery=2, elsewhere=3)
        publish(other, robot__pose=1)
        publish(other, robot__pose=1)
        code, out, err = end(process)
        *rows, last = records(out)
        assert (code, err) == (0, "")
        assert [(row["topic"], row["address"], row["port"], row["messages"]) for row in rows] == sorted(
            [
                ("robot/battery", *channel.sender_address, 1),
                ("robot/pose", *channel.sender_address, 1),
                ("robot/pose", *other.sender_address, 2),
            ]
        )
        for row in rows:
            assert row["messages_per_second"] == pytest.approx(row["messages"] / last["seconds"])
            assert row["bytes_per_second"] == pytest.approx(
                row["messages"] * len(f"{row['topic']}\0" + "1") / last["seconds"]
            )
        assert (last["event"], last["rows"], last["messages_beyond"]) == ("end", 3, 0)


def test_on_a_terminal_it_is_a_table(port: int, channel: ipc.Channel) -> None:
    process = start("topics", "--verbose", "--human", "--timeout", 5, "--port", port)
    wait_until_listening(process)
    publish(channel, robot__pose=1)
    ipc.run(channel.broadcast(b"\x1b[2J\0hello"))
    code, out, _ = end(process)
    lines = out.decode().splitlines()
    assert code == 0
    assert lines[0].split() == ["topic", "sender", "messages", "a", "second", "bytes/s"]
    assert [line.split()[0] for line in lines[1:]] == ["\\x1b[2J", "robot/pose"]


def test_nobody_is_code_1(port: int) -> None:
    code, out, _ = command("topics", "--timeout", 0.1, "--port", port)
    assert (code, [record["event"] for record in records(out)]) == (1, ["end"])


def test_ctrl_c_prints_what_was_heard(port: int, channel: ipc.Channel) -> None:
    process = start("topics", "--verbose", "--timeout", 1000, "--port", port)
    wait_until_listening(process)
    publish(channel, robot__pose=1)
    interrupt(process)
    code, out, err = end(process)
    assert (code, err) == (130, "")
    assert records(out)[-1]["event"] == "end"


def test_made_up_topics_are_counted_together_beyond_a_bound() -> None:
    census = Census()
    for number in range(MOST_ROWS + 10):
        census.add(ipc.TopicMessage(f"made up {number}", ipc.Message(f"made up {number}\0".encode())))
    census.add(ipc.TopicMessage("made up 0", ipc.Message(b"made up 0\0")))
    assert (len(census.rows), census.others.messages) == (MOST_ROWS, 10)
    assert sum(heard.messages for heard in census.rows.values()) == MOST_ROWS + 1
