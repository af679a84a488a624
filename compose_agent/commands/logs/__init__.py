"""``compose-agent logs``: what a person asks about shipped logs, and does about them."""

import click

from compose_agent.commands.logs import positions, replay, setup

command = click.Group(
    "logs",
    help="Look at shipped logs, send again what a sink refused, prepare servers for their logs.",
    commands=[positions.command, replay.command, setup.command],
)
