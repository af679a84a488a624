"""``compose-agent nodes``: the nodes of the manager on this host, in the terminal."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from compose_agent.commands.general import GENERAL
from compose_agent.commands.roles import SCHEMA, config_source
from compose_agent.config.flags import flag_layer, flags
from compose_agent.config.general import GeneralSettings
from compose_agent.config.schema import Schema
from compose_agent.dockerd.overview import words
from compose_agent.web.localclient import LocalClient

PATH = "/api/v1/nodes"
_MOST = 10_000
STYLES = {"online": "green", "late": "yellow", "duplicate": "yellow", "offline": "bold red"}
# Wider than any table; rich wants to know a width.
_ENDLESS = 1_000_000
_FIRST = ("node_id", "host", "address", "role")
_HEADINGS = ("NODE", "HOST", "ADDRESS", "ROLE", "STATE", "SINCE", "HEARD", "VERSION", "TAGS", "WHY")


def manager_client(parameters: Mapping[str, Any]) -> LocalClient:
    """Return the local interface of this host's manager."""
    config = config_source(flag_layer(SCHEMA, parameters)).load()
    return LocalClient(config.of(GeneralSettings).run_dir(), "manager")


def _callback(**parameters: Any) -> None:
    asked = {"q": parameters["text"], "state": parameters["state"] or "", "limit": str(_MOST)}
    query = urlencode({key: value for key, value in asked.items() if value})
    document = manager_client(parameters).get_json(f"{PATH}?{query}")
    if parameters["json"]:
        click.echo(json.dumps(document, indent=2))
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(width=_ENDLESS, color_system=None, highlight=False)
    console.print(_summary(document))
    console.print(table(document["nodes"], time.time()))


def _summary(document: Mapping[str, Any]) -> Text:
    states = ", ".join(f"{count} {state}" for state, count in document["states"].items() if count)
    return Text(f"{document['total']} nodes" + (f": {states}" if states else ""))


def table(nodes: Sequence[Mapping[str, Any]], now: float) -> Table:
    """Return one line for each node; ``now`` is Unix time."""
    made = Table(box=None, pad_edge=False, header_style="dim")
    for heading in _HEADINGS:
        made.add_column(heading, no_wrap=True, overflow="ellipsis")
    for node in nodes:
        state = Text(node["state"], STYLES.get(node["state"], "dim"))
        made.add_row(
            *(Text(words.printable(node[key] or words.DASH)) for key in _FIRST),
            state,
            _ago(now, node["since"]),
            _ago(now, node["last_heard"]),
            words.printable(node["version"] or words.DASH),
            words.printable(",".join(node["tags"])),
            Text(words.printable(node["reason"] if node["state"] != "online" else node["problem"])),
        )
    return made


def _ago(now: float, then: float) -> str:
    return words.duration(max(0.0, now - then)) if then else words.DASH


_OPTIONS = (
    click.Option(
        ["--state"],
        type=click.Choice(["online", "late", "offline", "never seen", "disabled", "duplicate"]),
        default=None,
        help="Only nodes in this state.",
    ),
    click.Option(
        ["--filter", "text"],
        default="",
        metavar="WORDS",
        help="Only nodes with these words in id, host, address, role, environment, version or tags.",
    ),
    click.Option(["--json"], is_flag=True, help="Print JSON."),
)

command = click.Command(
    "nodes",
    callback=_callback,
    help="Show the nodes of the manager on this host.",
    params=[*_OPTIONS, *flags(Schema([GENERAL]))],
)
