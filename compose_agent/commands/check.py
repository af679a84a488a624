"""``compose-agent check``: is the configuration right, and what is in force."""

from __future__ import annotations

import json
from typing import Any

import click

from compose_agent.commands.roles import GENERAL, ROLES, SCHEMA, config_source
from compose_agent.config import Config
from compose_agent.config.flags import flag_layer, flags
from compose_agent.config.schema import Schema


def _callback(**parameters: Any) -> None:
    source = config_source(flag_layer(SCHEMA, parameters))
    config = source.load()
    for role in ROLES:
        role.check(config)
    if parameters["effective"]:
        click.echo(_effective(config), nl=False)
    read = str(source.file) if source.file and source.file.exists() else "no configuration file"
    click.echo(f"configuration is right ({read})", err=parameters["effective"])


def _effective(config: Config) -> str:
    """Return the configuration in force as a file would say it, with where each value comes from."""
    lines = []
    for key, bound in SCHEMA.options.items():
        given = config.given.get(key)
        value = given.value if given else bound.option.default
        lines.append(f"{key}: {_yaml(value)}  # {given.where if given else 'default'}\n")
    return "".join(lines)


def _yaml(value: object) -> str:
    """Return a value in YAML's flow style, which is JSON's."""
    return "" if value is None else json.dumps(value, ensure_ascii=False)


command = click.Command(
    "check",
    callback=_callback,
    help="Check the configuration; print what is wrong with file and line; exit status 2 if anything is.",
    params=[
        click.Option(["--effective"], is_flag=True, help="Print every option in force, and its origin."),
        *flags(Schema([GENERAL])),
    ],
)
