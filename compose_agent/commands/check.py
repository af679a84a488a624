"""``compose-agent check``: is the configuration right, and what is in force."""

from __future__ import annotations

import json
from typing import Any

import click

from compose_agent.commands.general import with_remote
from compose_agent.commands.labels import declared_problems
from compose_agent.commands.roles import ROLES, SCHEMA, config_source, load_checked
from compose_agent.config import Config, ConfigSource, Given, Option
from compose_agent.config.flags import flag_layer, flags
from compose_agent.errors import ConfigError


def _callback(**parameters: Any) -> None:
    source = with_remote(config_source(flag_layer(SCHEMA, parameters)), flag_layer(SCHEMA, parameters))
    config = load_whole(source)
    if parameters["effective"]:
        click.echo(_effective(config), nl=False)
    read = [str(path) for path in source.files if path.exists()]
    click.echo(
        f"configuration is right ({', '.join(read) or 'no configuration file'})", err=parameters["effective"]
    )


def load_whole(source: ConfigSource) -> Config:
    """Return the configuration with everything judged that can be without applying it; raises ConfigError."""
    config = load_checked(source, ROLES)
    if wrong := [problem for path in source.compose_files for problem in declared_problems(path, config)]:
        raise ConfigError(wrong)
    return config


def _effective(config: Config) -> str:
    """Return the configuration in force as a file would say it, with where each value comes from."""
    return "".join(_line(key, bound.option, config.given.get(key)) for key, bound in SCHEMA.options.items())


def _line(key: str, option: Option, given: Given | None) -> str:
    value = given.value if given else option.default
    comment = "" if option.in_file else "# "
    return f"{comment}{key}: {_yaml(value)}  # {given.where if given else 'default'}\n"


def _yaml(value: object) -> str:
    """Return a value in YAML's flow style, which is JSON's."""
    return "" if value is None else json.dumps(value, ensure_ascii=False)


command = click.Command(
    "check",
    callback=_callback,
    help="Check the configuration; print what is wrong with file and line; exit status 2 if anything is.",
    params=[
        click.Option(["--effective"], is_flag=True, help="Print every option in force, and its origin."),
        *flags(SCHEMA),
    ],
)
