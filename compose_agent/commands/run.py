"""``compose-agent run``: the enabled roles of this host under one supervisor."""

from __future__ import annotations

import sys
from typing import Any

import click

from compose_agent.commands.roles import (
    REMEDIATION,
    SCHEMA,
    RunSettings,
    config_source,
    enabled_roles,
    load_checked,
)
from compose_agent.commands.signals import Signals
from compose_agent.config import Config
from compose_agent.config.flags import flag_layer, flags
from compose_agent.config.watch import FileWatches
from compose_agent.errors import ConfigError, Problem
from compose_agent.role import RoleSpec
from compose_agent.runner import configure_logs, start_traces
from compose_agent.supervisor import NAME, Supervisor
from compose_agent.tracing.settings import TracingSettings
from compose_agent.units import ProcessUnit, RoleFailed, ThreadUnit, Unit
from compose_agent.web.health import Readiness

# When the roles are threads of it, and remediation is one of them.
_ONE_PROCESS = "agent"


def _callback(**parameters: Any) -> None:
    signals = Signals()
    source = config_source(flag_layer(SCHEMA, parameters))
    watch = FileWatches(source.files, signals.reload.set)  # before loading, so that no change is missed
    config = source.load()
    roles = _roles(config)
    configure_logs(config, NAME)
    supervisor = Supervisor(_units(roles, config), SCHEMA, config, lambda: load_checked(source, roles))
    signals.on_reload(supervisor.reload)
    watch.start()
    traces = start_traces(config, _process(roles)) if config.of(RunSettings).one_process else None
    try:
        supervisor.run(signals.stop, _announce)
    except RoleFailed as failure:
        sys.exit(failure.code)  # the role has said in a sentence what to mend
    finally:
        watch.stop()
        if traces:
            traces.stop(config.of(TracingSettings).shutdown_timeout)


def _process(roles: list[RoleSpec]) -> str:
    """Return what this process is called in traces; without a collector only one that acts keeps any."""
    return _ONE_PROCESS if REMEDIATION in roles else NAME


def _roles(config: Config) -> list[RoleSpec]:
    roles = enabled_roles(config)
    if not roles:
        raise ConfigError(Problem("compose-agent run", "every role is switched off"))
    for role in roles:
        role.check(config)
    return roles


def _units(roles: list[RoleSpec], config: Config) -> list[Unit]:
    if config.of(RunSettings).one_process:
        return [ThreadUnit(role, SCHEMA, 1, config) for role in roles]
    return [ProcessUnit(role.name, 1, config) for role in roles]


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
