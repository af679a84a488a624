"""``compose-agent exec``: have nodes of the fleet do something, and say what came of it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from typing import Any

import click

from compose_agent.commands.fleet_options import (
    COMMANDS,
    ENDS,
    ask,
    client_of,
    line,
    order_of,
    order_params,
    results,
    shared_params,
)
from compose_agent.web.localclient import LocalClient

_FIRST_LOOK_SECONDS, _LAST_LOOK_SECONDS = 0.02, 1.0
# Behind the deadline: an agent that does not say how it ended may be away.
_GRACE_SECONDS = 10.0
_NOT_DONE = 1


def _callback(**given: Any) -> None:
    client = client_of(given)
    rows = ask(client, "POST", COMMANDS, order_of(given))["commands"]
    if given["no_wait"]:
        _print(rows, given)
        return
    ended = [_wait(client, row) for row in rows]
    _print(ended, given)
    if any(row["stage"] != "done" for row in ended):
        sys.exit(_NOT_DONE)


def _wait(client: LocalClient, row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a command when it has ended, or when nobody can be expected to say so any more."""
    until = time.monotonic() + row["deadline"] - row["issued"] + _GRACE_SECONDS
    pause = _FIRST_LOOK_SECONDS
    while True:
        found = ask(client, "GET", f"{COMMANDS}/{row['id']}")
        unheard = found["stage"] not in {"running", "accepted"} and time.monotonic() > until
        if found["stage"] in ENDS or unheard:
            return found
        time.sleep(pause)
        pause = min(pause * 1.5, _LAST_LOOK_SECONDS)


def _print(rows: list[Mapping[str, Any]], given: Mapping[str, Any]) -> None:
    if given["json"]:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        click.echo(line(row))
        for text in results(row):
            click.echo(text)


command = click.Command(
    "exec",
    callback=_callback,
    help="Have nodes of the fleet do something, and say what came of it. Exits with 1 unless all is done.",
    params=[
        *order_params(),
        click.Option(["--no-wait"], is_flag=True, help="Do not wait for the end."),
        *shared_params(),
    ],
)
