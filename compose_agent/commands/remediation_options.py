"""What the commands about remediation share: their options, and the shape of those that tell it something."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from compose_agent.commands.general import GENERAL
from compose_agent.commands.remediation_source import RemediationSource
from compose_agent.commands.roles import SCHEMA, config_source
from compose_agent.config import Config
from compose_agent.config.flags import flag_layer, flags
from compose_agent.config.schema import Schema, Section

JSON = click.Option(["--json"], is_flag=True, help="Print JSON; with --follow a document on each line.")
# Words without quotation marks, as people type them.
WHY = click.Argument(["why"], nargs=-1)
ID = click.Argument(["id"])


def general_flags(*more: Section) -> list[click.Parameter]:
    """Return the flags of what all roles share, and of more sections."""
    return list(flags(Schema([GENERAL, *more])))


def config_of(parameters: Mapping[str, Any]) -> Config:
    """Return the configuration for click's parameters."""
    return config_source(flag_layer(SCHEMA, parameters)).load()


def telling(
    name: str,
    help: str,
    tell: Callable[[RemediationSource, Mapping[str, Any]], str],
    *arguments: click.Argument,
) -> click.Command:
    """Return a command that has the role do something and prints the sentence that ``tell`` returns."""

    def callback(**parameters: Any) -> None:
        click.echo(tell(RemediationSource(config_of(parameters)), parameters))

    return click.Command(name, callback=callback, help=help, params=[*arguments, WHY, *general_flags()])
