"""``compose-agent health``: for a container's HEALTHCHECK and for scripts."""

from __future__ import annotations

import sys
from typing import Any

import click

from compose_agent.commands.general import GENERAL, general_settings
from compose_agent.config.flags import flag_layer, flags
from compose_agent.config.schema import Schema
from compose_agent.errors import ComposeAgentError
from compose_agent.web.localclient import LocalClient, RoleNotRunning

# Those of the supervisor and of all roles, which are not asked for them: a health check runs often, and loads
# nothing that it does not need.
NAMES = ("supervisor", "exporter", "logs", "remediation", "broker")
_SCHEMA = Schema([GENERAL])
# HEALTHCHECK's own default is 30 s; a role answers from memory.
_TIMEOUT_SECONDS = 3.0


def _callback(**parameters: Any) -> None:
    run_dir = general_settings(flag_layer(_SCHEMA, parameters)).run_dir()
    asked = (_ask(LocalClient(run_dir, name, _TIMEOUT_SECONDS), name) for name in NAMES)
    found = [answer for answer in asked if answer]
    for _, text in found:
        click.echo(text)
    if not found:
        click.echo(f"no role is running: no socket in {run_dir}", err=True)
    sys.exit(0 if found and all(ready for ready, _ in found) else 1)


def _ask(client: LocalClient, role: str) -> tuple[bool, str] | None:
    """Return whether a role is ready and what to print of it; None for one that does not run."""
    try:
        readiness = client.ready()
    except RoleNotRunning:
        return None
    except ComposeAgentError as error:
        return False, f"{role:<12} {error}"
    return readiness.ready, f"{role:<12} {'; '.join(readiness.reasons) or 'ready'}"


command = click.Command(
    "health",
    callback=_callback,
    help="Ask every running role whether it is ready; exit status 0 if all are.",
    params=list(flags(_SCHEMA)),
)
