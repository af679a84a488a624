"""What ``compose-agent people`` and ``compose-agent tokens`` share: asking the manager of this host."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

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

# Wider than any table; rich wants to know a width.
_ENDLESS = 1_000_000
ROLES = ("viewer", "operator", "admin")
ENVIRONMENT = click.Option(
    ["--environment", "environments"],
    multiple=True,
    metavar="NAME",
    help="Environment that is seen; repeatable. Unset: all of them.",
)
JSON = click.Option(["--json"], is_flag=True, help="Print JSON.")


def ask(parameters: Mapping[str, Any], method: str, path: str, body: object = None) -> dict[str, Any]:
    """Return what the manager answers; its reason is the message of a ComposeAgentError."""
    data = None if body is None else json.dumps(body).encode()
    status, answer = manager_client(parameters).request(method, path, data)
    document: dict[str, Any] = json.loads(answer)
    if status not in {200, 201}:
        raise ComposeAgentError(document.get("error", f"the manager answers with status {status}"))
    return document


def environments_of(parameters: Mapping[str, Any]) -> list[str] | None:
    """Return the environments that were named, None for all."""
    return list(parameters["environments"]) or None


def shown(environments: Iterable[str] | None) -> str:
    """Return environments in words."""
    return "all" if environments is None else ", ".join(environments)


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under headings, whole lines where nobody looks at a screen."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(width=_ENDLESS, color_system=None, highlight=False)
    made = Table(box=None, pad_edge=False, header_style="dim")
    for heading in headings:
        made.add_column(heading, no_wrap=True, overflow="ellipsis")
    for row in rows:
        made.add_row(*(Text(words.printable(each)) for each in row))
    console.print(made)


def general() -> list[click.Option]:
    """Return the options by which the manager of this host is found."""
    return list(flags(Schema([GENERAL])))
