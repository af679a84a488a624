"""``compose-agent config``: this host's configuration, and what the manager of this host sets on agents."""

import click

from compose_agent.commands import check
from compose_agent.commands.config import diff, history, push, rollout, show

command = click.Group(
    "config",
    help="Check this host's configuration; set, look at and take back that of agents, on a manager's host.",
    commands=[
        check.command,
        push.command,
        show.command,
        history.command,
        diff.command,
        rollout.command,
    ],
)
