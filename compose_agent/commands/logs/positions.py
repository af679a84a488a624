"""``compose-agent logs positions``: how far each sink is."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from compose_agent.commands.logs.options import JSON, general_flags, source_of
from compose_agent.commands.roles import FORWARDER
from compose_agent.config.general import GeneralSettings
from compose_agent.dockerd.overview.words import size
from compose_agent.web.localclient import LocalClient

# A list of a thousand containers is made in milliseconds.
_TIMEOUT_SECONDS = 5.0


def _callback(**parameters: Any) -> None:
    config = source_of(parameters).load()
    client = LocalClient(config.of(GeneralSettings).run_dir(), FORWARDER.name, _TIMEOUT_SECONDS)
    rows = client.get_json("/v1/positions")
    if parameters["json"]:
        click.echo(json.dumps(rows, indent=2))
    else:
        Console(highlight=False).print(_table(rows))


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("CONTAINER", "SINK", "BEHIND", "BY", "ON THEIR WAY", "OLDEST"):
        table.add_column(title, justify="left" if title in {"CONTAINER", "SINK"} else "right", no_wrap=True)
    for row in sorted(rows, key=lambda row: (row["container"], row["sink"])):
        table.add_row(
            row["container"],
            row["sink"],
            size(row["behind_bytes"]),
            f"{row['behind_seconds']:.1f} s",
            str(row["batches_on_their_way"]),
            f"{row['oldest_unconfirmed_seconds']:.1f} s",
        )
    return table


command = click.Command(
    "positions",
    callback=_callback,
    help="Show how far each sink is with each container.",
    params=[JSON, *general_flags()],
)
