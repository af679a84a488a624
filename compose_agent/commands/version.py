"""``compose-agent version``."""

import platform

import click

from compose_agent import __version__
from compose_agent.dockerd.connection import MAX_API_VERSION, MIN_API_VERSION


@click.command("version")
def command() -> None:
    """Print the version of the agent, of Python, and the Engine API versions it speaks."""
    lowest, highest = (".".join(map(str, version)) for version in (MIN_API_VERSION, MAX_API_VERSION))
    click.echo(
        f"compose-agent {__version__} (Python {platform.python_version()}, Engine API {lowest} to {highest})"
    )
