"""``compose-agent run``: the enabled roles of this host under one supervisor."""

from __future__ import annotations

import sys
from typing import Any

import click

from compose_agent.commands.general import with_remote
from compose_agent.commands.remote import Guarded
from compose_agent.commands.roles import (
    AGENT,
    REMEDIATION,
    SCHEMA,
    RunSettings,
    config_source,
    enabled_roles,
)
from compose_agent.commands.signals import Signals
from compose_agent.config import Config
from compose_agent.config.flags import flag_layer, flags
from compose_agent.config.watch import FileWatches
from compose_agent.errors import ConfigError, Problem
from compose_agent.memory import share_one_heap
from compose_agent.role import RoleSpec
from compose_agent.runner import configure_logs, start_traces
from compose_agent.supervisor import NAME, Supervisor
from compose_agent.tracing.settings import TracingSettings
from compose_agent.units import PatientUnit, ProcessUnit, RoleFailed, ThreadUnit, Unit
from compose_agent.web.health import Readiness

# What this process is when roles that act are threads of it.
_ACTING = "agent"


def _callback(**parameters: Any) -> None:
    share_one_heap()
    signals = Signals()
    given = flag_layer(SCHEMA, parameters)
    source = with_remote(config_source(given), given)
    watch = FileWatches(source.files, signals.reload.set)  # before loading, so that no change is missed
    guarded = Guarded(source, _roles)
    supervisors: list[Supervisor] = []  # the last one runs
    watch.start()
    try:
        while failure := _supervise(guarded, signals, supervisors):
            if not guarded.drops_after(failure):
                sys.exit(failure.code)  # the role has said in a sentence what to mend
    finally:
        watch.stop()


def _supervise(guarded: Guarded, signals: Signals, supervisors: list[Supervisor]) -> RoleFailed | None:
    """Run the roles until somebody stops them; return why, if it is one of them that cannot run."""
    config = guarded.first()
    roles = _roles(config)
    configure_logs(config, NAME)
    supervisor = Supervisor(_units(roles, config), SCHEMA, config, lambda: guarded.load(roles))
    supervisors.append(supervisor)
    if len(supervisors) == 1:
        signals.on_reload(lambda: supervisors[-1].reload())  # noqa: PLW0108 - the last one at that moment
    here = AGENT in roles or config.of(RunSettings).one_process
    traces = start_traces(config, _process(roles)) if here else None

    def announce(states: list[Readiness]) -> None:
        guarded.has_started()
        _announce(states)

    try:
        supervisor.run(signals.stop, announce)
    except RoleFailed as failure:
        return failure
    finally:
        if traces:
            traces.stop(config.of(TracingSettings).shutdown_timeout)
    return None


def _process(roles: list[RoleSpec]) -> str:
    """Return what this process is called in traces; without a collector only one that acts keeps any."""
    return _ACTING if AGENT in roles or REMEDIATION in roles else NAME


def _roles(config: Config) -> list[RoleSpec]:
    roles = enabled_roles(config)
    if not roles:
        raise ConfigError(Problem("compose-agent run", "every role is switched off"))
    for role in roles:
        role.check(config)
    return roles


def _units(roles: list[RoleSpec], config: Config) -> list[Unit]:
    return [_unit(role, config) for role in roles]


def _unit(role: RoleSpec, config: Config) -> Unit:
    # The link to a manager is little beside a process, and must not keep the others from starting.
    if role is AGENT:
        return PatientUnit(role, SCHEMA, 1, config)
    if config.of(RunSettings).one_process:
        return ThreadUnit(role, SCHEMA, 1, config)
    return ProcessUnit(role.name, 1, config)


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
