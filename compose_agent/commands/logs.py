"""``compose-agent logs``: what a person asks about shipped logs, and does about them."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from compose_agent.commands.roles import FORWARDER, GENERAL, SCHEMA, config_source
from compose_agent.config import Config
from compose_agent.config.flags import flag_layer, flags
from compose_agent.config.general import GeneralSettings
from compose_agent.config.schema import Schema, Section
from compose_agent.dockerd.overview.words import size
from compose_agent.web.localclient import LocalClient
from log_forwarder.settings import ForwarderSettings

# A list of a thousand containers is made in milliseconds.
_TIMEOUT_SECONDS = 5.0
_SECTION = Section(FORWARDER.name, FORWARDER.settings, FORWARDER.title)
_JSON = click.Option(["--json"], is_flag=True, help="Print JSON for machines.")


def _config(parameters: dict[str, Any]) -> Config:
    return config_source(flag_layer(SCHEMA, parameters, FORWARDER.name)).load()


def _positions(**parameters: Any) -> None:
    config = _config(parameters)
    client = LocalClient(config.of(GeneralSettings).run_dir(), FORWARDER.name, _TIMEOUT_SECONDS)
    rows = client.get_json("/v1/positions")
    if parameters["json"]:
        click.echo(json.dumps(rows, indent=2))
    else:
        Console(highlight=False).print(_table(rows))


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("CONTAINER", "SINK", "BEHIND", "ON THEIR WAY", "OLDEST"):
        table.add_column(title, justify="left" if title in {"CONTAINER", "SINK"} else "right", no_wrap=True)
    for row in sorted(rows, key=lambda row: (row["container"], row["sink"])):
        table.add_row(
            row["container"],
            row["sink"],
            size(row["behind_bytes"]),
            str(row["batches_on_their_way"]),
            f"{row['oldest_unconfirmed_seconds']:.1f} s",
        )
    return table


def _replay(**parameters: Any) -> None:
    from log_forwarder.replay import replay  # noqa: PLC0415 - loads the sinks' libraries

    config = _config(parameters)
    general, settings = config.of(GeneralSettings), config.of(ForwarderSettings)
    outcome = replay(general.state_dir(), settings.sinks, general.run_dir(), settings.triggers)
    click.echo(f"{outcome.sent} sent, {outcome.refused} refused once more, {outcome.left} left")


command = click.Group(
    "logs",
    help="Look at shipped logs, and send again what a sink refused.",
    commands=[
        click.Command(
            "positions",
            callback=_positions,
            help="Show how far each sink is with each container.",
            params=[_JSON, *flags(Schema([GENERAL]))],
        ),
        click.Command(
            "replay",
            callback=_replay,
            help="Send the dead letters of the configured sinks again.",
            params=list(flags(Schema([GENERAL, _SECTION]), FORWARDER.name)),
        ),
    ],
)
