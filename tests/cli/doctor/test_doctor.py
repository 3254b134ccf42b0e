"""The doctor's command: what it prints, to people and to programs, and with which exit code."""

from __future__ import annotations

import msgspec
import pytest

from rx_multicast_ipc.cli.doctor.finding import Finding, Severity, fault, note, ok, warning
from rx_multicast_ipc.cli.doctor.finding_printer import Printer
from rx_multicast_ipc.cli.main import main
from rx_multicast_ipc.cli.output import Output

SICK = fault("interface-down", "eth0", "eth0 is switched off", "nothing is heard", "sudo ip link set dev eth0 up")


def shown(capfdbinary: pytest.CaptureFixture[bytes], form: str, *findings: Finding) -> str:
    printer = Printer(Output(form))
    for finding in findings:
        printer.show(finding)
    printer.end()
    return capfdbinary.readouterr().out.decode()


def test_people_read_what_was_seen_what_it_means_and_what_fixes_it(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    text = shown(capfdbinary, "human", ok("port", "port 1", "nobody else uses port 1"), SICK)
    assert text.splitlines() == [
        "     ok  port 1: nobody else uses port 1",
        "  FAULT  eth0: eth0 is switched off",
        "         means: nothing is heard",
        "         fix:   sudo ip link set dev eth0 up",
        "",
        "1 fault",
    ]


def test_programs_read_a_record_a_line(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (line,) = shown(capfdbinary, "json", SICK).splitlines()
    assert msgspec.json.decode(line, type=Finding) == SICK
    assert msgspec.json.decode(line)["severity"] == "fault"


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([], "nothing is wrong"),
        ([note("n", "", "x", "")], "nothing is wrong, 1 note"),
        ([warning("w", "", "x", ""), warning("w", "", "x", "")], "2 warnings"),
        ([SICK, warning("w", "", "x", ""), note("n", "", "x", "")], "1 fault, 1 warning, 1 note"),
    ],
)
def test_the_last_line_says_how_it_stands(
    capfdbinary: pytest.CaptureFixture[bytes], findings: list[Finding], expected: str
) -> None:
    assert shown(capfdbinary, "human", *findings).splitlines()[-1] == expected


def test_the_gravest_finding_counts() -> None:
    printer = Printer(Output("json"))
    assert printer.worst is Severity.OK


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--interface", "nope0"], "there is no interface 'nope0' here"),
        (["--interface", "192.0.2.1"], "192.0.2.1 is not an address of this machine"),
        (["--group", "10.0.0.1"], "10.0.0.1 is not a multicast address"),
        (["--port", "0"], "port must be from 1 to 65535"),
        (["--group", "ff02::1:7"], "belongs to one link"),
    ],
)
def test_what_cannot_be_examined_is_said_at_once(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert reason in err
