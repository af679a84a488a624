"""docs/cli.md and docs/configuration.md leave nothing out, and name nothing that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from compose_agent import cli, errors
from compose_agent.commands import COMMANDS
from compose_agent.commands.roles import SCHEMA

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
CLI = (DOCS / "cli.md").read_text(encoding="utf-8")
CONFIGURATION = (DOCS / "configuration.md").read_text(encoding="utf-8")

# Commands that run one role, and the prefix that its options may go without.
ROLE_SECTIONS = {
    "export": "exporter.",
    "forward": "logs.",
    "logs": "logs.",
    "remediate": "remediation.",
    "broker": "broker.",
    "manager": "manager.",
}


def command_named(name: str) -> click.Command:
    found = cli.commands.get_command(click.Context(cli.commands), name)
    assert found is not None
    return found


def flags_of(command: click.Command) -> Iterator[str]:
    for param in command.params:
        if isinstance(param, click.Option):
            yield from (*param.opts, *param.secondary_opts)


def all_commands() -> Iterator[tuple[str, click.Command]]:
    """Every command with its name, and every command of a group with both names."""
    for name in COMMANDS:
        command = command_named(name)
        yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {below}", each) for below, each in command.commands.items())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_documented(name: str) -> None:
    assert f"\n| `{name}` |" in CLI


def test_no_command_is_documented_that_is_not_there() -> None:
    table = CLI.partition("## Commands")[2].partition("| option |")[0]
    assert set(re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE)) == set(COMMANDS)


@pytest.mark.parametrize(("name", "command"), list(all_commands()), ids=str)
def test_every_flag_is_documented(name: str, command: click.Command) -> None:
    for flag in flags_of(command):
        section = ROLE_SECTIONS.get(name.partition(" ")[0], "")
        long = re.sub(r"^--(no-)?", rf"--\1{section}", flag)
        in_cli = re.search(rf"`{re.escape(flag)}[ `].* \|.*`{name}`", CLI)
        assert in_cli or f"`{flag}`" in CONFIGURATION or f"`{long}`" in CONFIGURATION, flag


@pytest.mark.parametrize("name", [name for name, _ in all_commands() if " " in name])
def test_every_command_of_a_group_is_documented(name: str) -> None:
    assert f"`{name}`" in CLI.partition("## Commands")[2].partition("| option |")[0]


def test_every_environment_variable_is_documented() -> None:
    assert [name for name in SCHEMA.by_environment if f"`{name}`" not in CONFIGURATION] == []


def test_every_exit_status_is_documented() -> None:
    rows = CLI.partition("## Exit status")[2]
    documented = {int(status) for status in re.findall(r"^\| (\d+) \|", rows, re.MULTILINE)}
    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    raised = {each.exit_code for each in classes if issubclass(each, errors.ComposeAgentError)}
    assert documented == raised | {0, cli.INTERRUPTED, cli.READER_GONE}
