"""The command line ``compose-agent``: one module in :mod:`compose_agent.commands` for each subcommand."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from compose_agent.commands import COMMANDS, DEFAULT, HIDDEN
from compose_agent.config.nearest import did_you_mean, nearest
from compose_agent.errors import ComposeAgentError
from compose_agent.privileges import become_container_user

# As a shell reports a process that SIGINT, or a closed pipe, ended.
INTERRUPTED = 130
READER_GONE = 141


class Commands(click.Group):
    """Loads a subcommand's module when it is used; without a subcommand it is ``run``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the help page."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a subcommand and return what it defines."""
        if cmd_name not in (*COMMANDS, *HIDDEN):
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
        if args and args[0] not in (*COMMANDS, *HIDDEN):
            ctx.fail(f"no such command '{args[0]}'{did_you_mean(nearest(args[0], COMMANDS))}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; a reader of our output that went away ends it, with nobody to tell."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # What is still buffered goes nowhere, instead of failing once more when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(READER_GONE)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="compose-agent", prog_name="compose-agent")
def commands() -> None:
    """Observability and self-healing for Docker Compose hosts. Without a command: run."""


def main() -> None:
    """Run the command line; a failure is one sentence on standard error and an exit code of errors.py."""
    try:
        become_container_user()
        sys.exit(commands.main(prog_name="compose-agent", standalone_mode=False))
    except click.ClickException as error:
        (_with_nearest(error) if isinstance(error, click.NoSuchOption) else error).show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(INTERRUPTED)
    except ComposeAgentError as error:
        click.echo(f"compose-agent: {error}", err=True)
        sys.exit(error.exit_code)


def _with_nearest(error: click.NoSuchOption) -> click.UsageError:
    """Return the error with the one name that is nearest, where click lists several that are less near."""
    params = error.ctx.command.get_params(error.ctx) if error.ctx else []
    names = [name for param in params for name in (*param.opts, *param.secondary_opts)]
    message = f"no such option '{error.option_name}'{did_you_mean(nearest(error.option_name, names))}"
    return click.UsageError(message, error.ctx)
