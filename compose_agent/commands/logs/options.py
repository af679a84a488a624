"""What the subcommands of ``compose-agent logs`` share: their options, and their configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from compose_agent.commands.general import GENERAL
from compose_agent.commands.roles import FORWARDER, SCHEMA, config_source
from compose_agent.config import ConfigSource
from compose_agent.config.flags import flag_layer, flags
from compose_agent.config.schema import Schema, Section

JSON = click.Option(["--json"], is_flag=True, help="Print JSON for machines.")
_FORWARDER = Section(FORWARDER.name, FORWARDER.settings, FORWARDER.title)


def general_flags() -> list[click.Parameter]:
    """Return the flags of what all roles share."""
    return list(flags(Schema([GENERAL])))


def forwarder_flags() -> list[click.Parameter]:
    """Return the flags of the forwarder, without their prefix, behind those of what all roles share."""
    return list(flags(Schema([GENERAL, _FORWARDER]), FORWARDER.name))


def source_of(parameters: Mapping[str, Any]) -> ConfigSource:
    """Return where the configuration comes from, for click's parameters of either kind of flags."""
    return config_source(flag_layer(SCHEMA, parameters, FORWARDER.name))
