"""``compose-agent manager``: the other end of the agents' links; ``init`` makes what it needs for TLS."""

from __future__ import annotations

import shlex
import socket
from pathlib import Path
from typing import Any

import click

from compose_agent.commands.alone import role_command
from compose_agent.commands.roles import MANAGER

_HELP = "Run the manager: agents of many hosts register here and are shown with their state."
_FOLDER = Path("/etc/compose-agent/manager")


def _init(folder: Path, names: tuple[str, ...], renew: bool) -> None:
    from fleet.manager import setup  # noqa: PLC0415 - loads the parts that sign

    if renew:
        setup.renew(folder, names)
        click.echo("There is a new certificate; a manager that runs takes it up by itself.")
        return
    known = names or (socket.gethostname(), "localhost", "127.0.0.1")
    made = setup.initialize(folder, known)
    options = {
        "--web.listen-address": ":4320",
        "--web.config.file": made.web,
        "--ca-file": made.ca,
        "--ca-key-file": made.ca_key,
    }
    click.echo(f"An authority and a certificate for {', '.join(known)} are in {folder}. Start the manager:")
    arguments = " ".join(f"{flag}={shlex.quote(str(value))}" for flag, value in options.items())
    click.echo(f"  compose-agent manager {arguments}")
    click.echo("and on its host, while it runs, make yourself known and a token for agents to join with:")
    click.echo("  compose-agent people add NAME --role admin")
    click.echo("  compose-agent tokens add NAME --join --environment ENVIRONMENT --expires 1d")
    click.echo(f"Agents need the token, and {made.ca} as agent.ca-file. Keep {made.ca_key} to yourself.")


_INIT = click.Command(
    "init",
    callback=_init,
    help="Make an authority and a certificate for the manager, and the web configuration that uses them.",
    params=[
        click.Option(
            ["--directory", "folder"],
            type=click.Path(path_type=Path, file_okay=False),
            default=_FOLDER,
            show_default=True,
            help="Where to put them.",
        ),
        click.Option(
            ["--name", "names"],
            multiple=True,
            metavar="NAME",
            help="DNS name or IP address by which agents reach the manager; repeatable. Unset: the name of "
            "this host, and those that only this host itself can use.",
        ),
        click.Option(
            ["--renew"], is_flag=True, help="Make only a new certificate, signed by the authority there is."
        ),
    ],
)


_ROLE = role_command(MANAGER, "manager", _HELP)


def _run(**parameters: Any) -> None:
    """Run the role, unless a subcommand is named."""
    if click.get_current_context().invoked_subcommand is None and _ROLE.callback:
        _ROLE.callback(**parameters)


command = click.Group(
    _ROLE.name,
    callback=_run,
    invoke_without_command=True,
    help=_HELP,
    params=_ROLE.params,
    context_settings=_ROLE.context_settings,
    commands=[_INIT],
)
