"""``compose-agent logs``: what a person asks about shipped logs, and does about them."""

import click

from compose_agent.commands.logs import positions, replay, setup, verify

command = click.Group(
    "logs",
    help="Look at shipped logs, send refused ones again, prepare servers, verify that every line arrives.",
    commands=[positions.command, replay.command, setup.command, verify.command],
)
