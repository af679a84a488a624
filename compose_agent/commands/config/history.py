"""``compose-agent config history NAME``: the versions of a layer."""

from __future__ import annotations

from typing import Any

import click

from compose_agent.commands.config.asking import (
    JSON,
    SCOPE,
    ask,
    client_of,
    layer_path,
    options,
    print_json,
    print_table,
    when,
)


def _callback(**parameters: Any) -> None:
    document = ask(client_of(parameters), "GET", layer_path(parameters["scope"], parameters["name"]))
    if parameters["json"]:
        print_json(document)
        return
    rows = [
        (
            str(one["version"]),
            when(one["at"]),
            one["actor"],
            "taken away" if one["body"] is None else f"{len(one['body'].splitlines())} lines",
            one["note"],
        )
        for one in document["versions"]
    ]
    print_table(("VERSION", "AT", "BY", "TEXT", "NOTE"), rows)


command = click.Command(
    "history",
    callback=_callback,
    help="Show the versions of the layer whose file is NAME, the newest first.",
    params=options(click.Argument(["name"]), SCOPE, JSON),
)
