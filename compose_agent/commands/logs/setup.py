"""``compose-agent logs setup``: index templates and whatever else a sink's server is prepared with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from compose_agent.commands.logs.options import forwarder_flags, source_of
from compose_agent.commands.roles import FORWARDER, load_checked
from log_forwarder.settings import ForwarderSettings
from log_forwarder.setup import set_up, setup_options

_PREFIX = "setup_"


def _callback(**parameters: Any) -> None:
    config = load_checked(source_of(parameters), [FORWARDER])
    given = {name: value for name in setup_options() if (value := parameters[_parameter(name)]) is not None}
    for sentence in set_up(config.of(ForwarderSettings).sinks, given):
        click.echo(sentence)


def _options() -> Iterator[click.Option]:
    for name, text in setup_options().items():
        yield click.Option([f"--{name}", _parameter(name)], help=text)


def _parameter(name: str) -> str:
    return _PREFIX + name.replace("-", "_")


command = click.Command(
    "setup",
    callback=_callback,
    help="Prepare the servers of the configured sinks, such as with an index template.",
    params=[*_options(), *forwarder_flags()],
)
