"""What these commands share: asking the manager of this host, options, tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from compose_agent.commands.general import GENERAL
from compose_agent.commands.nodes import manager_client
from compose_agent.config.flags import flags
from compose_agent.config.schema import Schema
from compose_agent.dockerd.overview import words
from compose_agent.errors import ComposeAgentError
from compose_agent.web.localclient import LocalClient

CONFIGS = "/api/v1/configs"
ROLLOUTS = "/api/v1/rollouts"
# Wider than any table; rich wants to know a width.
_ENDLESS = 1_000_000
PHASES = {"done": "green", "running": "cyan", "reverting": "yellow", "reverted": "bold red", "held": "yellow"}

JSON = click.Option(["--json"], is_flag=True, help="Print JSON.")
SCOPE = click.Option(
    ["--scope"],
    default="all",
    metavar="SCOPE",
    help="For which agents: all, or some of service, environment, role, tag and node, such as "
    "environment=staging,role=worker.  [default: all]",
)


def options(*own: click.Parameter) -> list[click.Parameter]:
    """Return the parameters of a command: its own, and those that say where the manager is."""
    return [*own, *flags(Schema([GENERAL]))]


def client_of(parameters: Mapping[str, Any]) -> LocalClient:
    """Return the local interface of this host's manager."""
    return manager_client(parameters)


def ask(client: LocalClient, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the document of an answer; ComposeAgentError with what the manager says else."""
    data = json.dumps(body).encode() if body is not None else b"" if method == "POST" else None
    status, answer = client.request(method, path, data)
    try:
        document: dict[str, Any] = json.loads(answer)
    except ValueError as error:
        raise ComposeAgentError(f"the manager answers with status {status}") from error
    if status >= 400:
        raise ComposeAgentError(str(document.get("error", f"the manager answers with status {status}")))
    return document


def layer_path(scope: str, name: str) -> str:
    """Return the address of a layer."""
    return f"{CONFIGS}/layers/{quote(scope, safe='')}/{quote(name, safe='')}"


def print_json(document: object) -> None:
    """Print a document."""
    click.echo(json.dumps(document, indent=2))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> None:
    """Print a table; every cell is one line, whatever stands in it."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(width=_ENDLESS, color_system=None, highlight=False)
    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(words.printable(cell)) for cell in row))
    console.print(table)


def when(at: float) -> str:
    """Return a time as people read it."""
    return words.date(at) if at else words.DASH
