"""``compose-agent config rollout [ID]``: roll-outs, and one of them whole; or pause, resume, revert it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from rich.text import Text

from compose_agent.commands.config.asking import (
    JSON,
    PHASES,
    ROLLOUTS,
    ask,
    client_of,
    options,
    print_json,
    print_table,
    when,
)
from compose_agent.commands.config.following import follow, line
from compose_agent.dockerd.overview import words

_DEEDS = ("pause", "resume", "revert")
_HEADINGS = ("ID", "FILE", "SCOPE", "PHASE", "BATCH", "BY", "AT", "WHY")


def _callback(**parameters: Any) -> None:
    client, number = client_of(parameters), parameters["id"]
    if number is None:
        _list(ask(client, "GET", ROLLOUTS), as_json=parameters["json"])
        return
    deed = next((each for each in _DEEDS if parameters[each]), "")
    path = f"{ROLLOUTS}/{number}"
    found = ask(client, "POST", f"{path}/{deed}") if deed else ask(client, "GET", path)
    if parameters["follow"]:
        found = follow(client, number, quiet=parameters["json"])
    if parameters["json"]:
        print_json(found)
    elif not parameters["follow"]:
        _show(found)


def _list(document: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(document)
        return
    rows = [
        (
            str(one["id"]),
            one["name"],
            one["scope"],
            Text(one["phase"], PHASES.get(one["phase"], "")),
            f"{one['batch']}/{one['batches']}",
            one["actor"],
            when(one["at"]),
            one["reason"],
        )
        for one in document["rollouts"]
    ]
    print_table(_HEADINGS, rows)


def _show(rollout: Mapping[str, Any]) -> None:
    click.echo(words.printable(line(rollout)))
    for member in rollout["members"]:
        told = f"  {member['batch']:>4}  {member['node_id']}  {member['state']}  {member['reason']}"
        click.echo(words.printable(told.rstrip()))


command = click.Command(
    "rollout",
    callback=_callback,
    help="Show the last roll-outs, or one of them with its agents.",
    params=options(
        click.Argument(["id"], type=int, required=False),
        click.Option(["--pause"], is_flag=True, help="Release no further batch."),
        click.Option(["--resume"], is_flag=True, help="Go on, also to who was not selected."),
        click.Option(["--revert"], is_flag=True, help="Take the version back from everybody who has it."),
        click.Option(["--follow", "-f"], is_flag=True, help="Go on with a line for each change."),
        JSON,
    ),
)
