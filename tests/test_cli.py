"""The command line inside this process: what it refuses, and with which words."""

from __future__ import annotations

import os
import sys

import pytest

from compose_agent import __version__, cli
from compose_agent.commands import COMMANDS

ADDRESS = "expected host:port, :port or [IPv6]:port"


@pytest.fixture(autouse=True)
def no_configuration_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("COMPOSE_AGENT_")]:
        monkeypatch.delenv(name)


def run(arguments: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return the exit status of ``compose-agent ARGUMENTS``."""
    monkeypatch.setattr(sys, "argv", ["compose-agent", *arguments.split()])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("exprot", "no such command 'exprot', did you mean 'export'?"),
        ("qqqqq", "no such command 'qqqqq'"),
        ("run --log.levle info", "no such option '--log.levle', did you mean '--log.level'?"),
        ("--log.levle info", "no such option '--log.levle', did you mean '--log.level'?"),
        (
            "export --wb.listen-address :1",
            "no such option '--wb.listen-address', did you mean '--web.listen-address'?",
        ),
        (
            "export --no-colector.host",
            "no such option '--no-colector.host', did you mean '--no-collector.host'?",
        ),
        ("check --efective", "no such option '--efective', did you mean '--effective'?"),
        ("check --qqqqq", "no such option '--qqqqq'"),
        ("run --log.level", "Option '--log.level' requires an argument."),
        ("check surplus", "Got unexpected extra argument (surplus)"),
        ("health --exporter.stale-after 1m", "no such option '--exporter.stale-after'"),
    ],
)
def test_a_wrong_command_line_is_answered_with_the_nearest_name(
    arguments: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments, monkeypatch) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"Error: {message}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "check --log.level inf",
            "--log.level: expected one of debug, info, warning, error, not 'inf', did you mean 'info'?",
        ),
        (
            "run --exporter.web.listen-address 9417",
            f"--exporter.web.listen-address: '9417' is not an address, {ADDRESS}, did you mean ':9417'?",
        ),
        (
            "export --exporter.stale-after x",
            "--stale-after: expected a duration such as 30s, 5m or 1h30m, not 'x'",
        ),
        ("check --config.file /nowhere/x.yml", "--config.file: there is no file /nowhere/x.yml"),
        ("check --config.file=", "--config.file: expected a path, not ''"),
        ("run --no-enable-metrics --no-enable-remediation", "compose-agent run: every role is switched off"),
        (
            "check --exporter.web.config.file /nowhere/web.yml",
            "/nowhere/web.yml: cannot be read: No such file or directory",
        ),
    ],
)
def test_a_wrong_value_is_one_sentence_that_names_its_place_once(
    arguments: str, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments, monkeypatch) == 2
    assert capsys.readouterr().err == f"compose-agent: {message}\n"


def test_the_help_names_every_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--help", monkeypatch) == 0
    shown = capsys.readouterr().out
    for name in COMMANDS:
        assert f"\n  {name} " in shown
    assert "\n  role " not in shown


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_every_command_has_help(
    command: str, option: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(f"{command} {option}", monkeypatch) == 0
    assert capsys.readouterr().out.startswith(f"Usage: compose-agent {command} [OPTIONS]")


def test_the_version(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version", monkeypatch) == 0
    assert capsys.readouterr().out == f"compose-agent, version {__version__}\n"
    assert run("version", monkeypatch) == 0
    assert capsys.readouterr().out.startswith(f"compose-agent {__version__} (Python 3.")
