"""``compose-agent check``, inside this process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from compose_agent import cli
from compose_agent.commands import general
from compose_agent.commands.roles import SCHEMA
from compose_agent.config import ConfigSource


@pytest.fixture(autouse=True)
def only_what_the_test_gives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("COMPOSE_AGENT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(general, "DEFAULT_FILE", tmp_path / "default.yml")


def check(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Return the exit status of ``compose-agent check ARGUMENTS``."""
    monkeypatch.setattr(sys, "argv", ["compose-agent", "check", *arguments])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


def test_no_configuration_is_right(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(monkeypatch) == 0
    assert capsys.readouterr().out == "configuration is right (no configuration file)\n"


def test_the_default_file_is_read_when_it_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "default.yml"
    path.write_text("log.level: debug\n")
    assert check(monkeypatch) == 0
    assert capsys.readouterr().out == f"configuration is right ({path})\n"
    path.write_text("log.level: debg\n")
    assert check(monkeypatch) == 2
    assert capsys.readouterr().err == (
        f"compose-agent: {path}:1: log.level: expected one of debug, info, warning, error, not 'debg', "
        "did you mean 'debug'?\n"
    )


@pytest.mark.parametrize("by", ["flag", "variable"])
def test_a_named_file_is_read_instead_of_the_default_one(
    by: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "default.yml").write_text("wrong: 1\n")
    path = tmp_path / "named.yml"
    path.touch()
    if by == "variable":
        monkeypatch.setenv("COMPOSE_AGENT_CONFIG_FILE", str(path))
    assert check(monkeypatch, *(["--config.file", str(path)] if by == "flag" else [])) == 0
    assert capsys.readouterr().out == f"configuration is right ({path})\n"


def test_the_effective_configuration_says_every_value_and_its_origin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "agent.yml"
    path.write_text("exporter:\n  web.listen-address: [':1', ':2']\n")
    monkeypatch.setenv("COMPOSE_AGENT_LOG_LEVEL", "debug")
    assert check(monkeypatch, "--effective", "--config.file", str(path), "--no-exporter.collector.host") == 0
    shown = capsys.readouterr()
    assert shown.err == f"configuration is right ({path})\n"
    lines = shown.out.splitlines()
    assert [line.removeprefix("# ").partition(":")[0] for line in lines] == list(SCHEMA.options)
    assert {
        f'# config.file: "{path}"  # --config.file',
        'log.level: "debug"  # environment COMPOSE_AGENT_LOG_LEVEL',
        f'exporter.web.listen-address: [":1", ":2"]  # {path}:2',
        'exporter.collector.host: "false"  # --no-exporter.collector.host',
        'exporter.scrape-timeout: "9s"  # default',
        "docker.host:   # default",
    } <= set(lines)


def test_the_effective_configuration_is_a_file_that_gives_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "agent.yml"
    path.write_text("exporter:\n  web.listen-address: [':1', ':2']\n  container-labels: 'a: b # \"c\"'\n")
    assert check(monkeypatch, "--effective", "--config.file", str(path), "--one-process") == 0
    again = tmp_path / "again.yml"
    again.write_text(capsys.readouterr().out)
    expected = path.read_text() + "one-process: true\n"
    path.write_text(expected)
    loaded = [ConfigSource(SCHEMA, {}, {}, each).load().settings for each in (path, again)]
    assert loaded[0] == loaded[1]


COMPOSE = """\
name: shop
x-compose-agent:
  log.level: debug
  exporter: {stale-after: 2m}
services:
  web:
    image: web
    x-compose-agent:
      remediate: restart
      logs: {parser: json}
"""


def test_a_compose_file_stands_between_file_and_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compose = tmp_path / "compose.yml"
    compose.write_text(COMPOSE)
    (tmp_path / "default.yml").write_text("log.level: warning\nexporter.stale-after: 3m\nstate-dir: /srv")
    monkeypatch.setenv("COMPOSE_AGENT_EXPORTER_STALE_AFTER", "4m")
    assert check(monkeypatch, "--effective", f"--compose-file={compose}") == 0
    shown = capsys.readouterr().out
    assert f'log.level: "debug"  # {compose}:3' in shown
    assert 'exporter.stale-after: "4m"  # environment' in shown
    assert 'state-dir: "/srv"' in shown


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (("log.level", "log.levle"), ":3: unknown option 'log.levle', did you mean 'log.level'?"),
        (("remediate: restart", "remediate: restar"), ":9: web: remediate: 'restar' allows nothing"),
        (
            ("remediate", "remediat"),
            ":9: web: remediat: there is no such label, did you mean 'compose-agent.rem",
        ),
        (
            ("parser: json", "parser: jsn"),
            ":10: container web: label compose-agent.logs.parser: expected one of",
        ),
        (("logs: {parser: json}", "logs: perhaps"), ":10: web: logs: expected true or false, not 'perhaps'"),
    ],
)
def test_what_is_wrong_in_a_compose_file_is_named_by_line(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: tuple[str, str],
    what: str,
) -> None:
    compose = tmp_path / "compose.yml"
    compose.write_text(COMPOSE.replace(*change))
    assert check(monkeypatch, f"--compose-file={compose}") == 2
    assert f"{compose}{what}" in capsys.readouterr().err
