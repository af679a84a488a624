"""The command line ``compose-agent``: one module in :mod:`compose_agent.commands` for each subcommand."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from compose_agent.commands import COMMANDS, DEFAULT
from compose_agent.config.schema import did_you_mean, nearest
from compose_agent.errors import ComposeAgentError


class Commands(click.Group):
    """Loads a subcommand's module when it is used; without a subcommand it is ``run``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a subcommand and return what it defines."""
        if cmd_name not in COMMANDS and cmd_name != "role":
            return None
        command: click.Command = importlib.import_module(f"compose_agent.commands.{cmd_name}").command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put ``run`` in front of options that stand alone."""
        if not args or (args[0].startswith("-") and args[0] not in {"--help", "-h", "--version"}):
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Name the nearest command when there is none of this name."""
        if args and args[0] not in COMMANDS and args[0] != "role":
            ctx.fail(f"no such command '{args[0]}'{did_you_mean(nearest(args[0], COMMANDS))}")
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="compose-agent", prog_name="compose-agent")
def commands() -> None:
    """Observability and self-healing for Docker Compose hosts. Without a command: run."""


def main() -> None:
    """Run the command line; a failure is one sentence on standard error and an exit code of errors.py."""
    try:
        commands.main(prog_name="compose-agent", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except ComposeAgentError as error:
        click.echo(f"compose-agent: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away: nothing to say, and nobody to say it to
        sys.exit(141)
