"""``compose-agent run``: the enabled roles of this host under one supervisor."""

from __future__ import annotations

import sys
from typing import Any

import click

from compose_agent.commands.roles import SCHEMA, RunSettings, config_source, enabled_roles
from compose_agent.commands.signals import reload_on_hangup, stop_on_signals
from compose_agent.config import Config
from compose_agent.config.flags import flag_layer, flags
from compose_agent.config.watch import FileWatch
from compose_agent.errors import ConfigError, Problem
from compose_agent.runner import configure_logs
from compose_agent.supervisor import ProcessUnit, RoleFailed, Supervisor, ThreadUnit, Unit
from compose_agent.web.health import Readiness


def _callback(**parameters: Any) -> None:
    source = config_source(flag_layer(SCHEMA, parameters))
    config = source.load()
    configure_logs(config)
    stop = stop_on_signals()
    supervisor = Supervisor(_units(config), config, source.load)
    attempt = reload_on_hangup(supervisor.reload)
    watch = FileWatch(source.file, attempt) if source.file else None
    if watch:
        watch.start()
    try:
        supervisor.run(stop, _announce)
    except RoleFailed as failure:
        sys.exit(failure.code)  # the role has said in a sentence what to mend
    finally:
        if watch:
            watch.stop()


def _units(config: Config) -> list[Unit]:
    roles = enabled_roles(config)
    if not roles:
        raise ConfigError(Problem("compose-agent run", "every role is switched off"))
    if config.of(RunSettings).one_process:
        return [ThreadUnit(role, SCHEMA, 1, config) for role in roles]
    return [ProcessUnit(role, 1, config) for role in roles]


def _announce(states: list[Readiness]) -> None:
    """Print where everything is, for whoever sits before the terminal."""
    for state in states:
        for url in state.listeners:
            click.echo(f"{state.role:<12} {url}")


command = click.Command(
    "run",
    callback=_callback,
    help="Run the enabled roles of this host. The default command.",
    params=list(flags(SCHEMA)),
)
