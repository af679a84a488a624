"""``compose-agent config diff NAME``: how two versions of a layer differ."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import click

from compose_agent.commands.config.asking import (
    JSON,
    SCOPE,
    ask,
    client_of,
    layer_path,
    options,
    print_json,
)
from compose_agent.dockerd.overview import words

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def _callback(**parameters: Any) -> None:
    given = {"from": parameters["before"], "to": parameters["after"]}
    query = urlencode({key: value for key, value in given.items() if value is not None})
    path = f"{layer_path(parameters['scope'], parameters['name'])}/diff"
    document = ask(client_of(parameters), "GET", f"{path}?{query}" if query else path)
    if parameters["json"]:
        print_json(document)
        return
    for line in document["diff"]:
        click.echo(click.style(words.printable(line), fg=_COLOURS.get(line[:1])))


command = click.Command(
    "diff",
    callback=_callback,
    help="Show how the newest version of the layer whose file is NAME differs from the one before.",
    params=options(
        click.Argument(["name"]),
        SCOPE,
        click.Option(["--from", "before"], type=int, default=None, help="The version before; 0: nothing."),
        click.Option(["--to", "after"], type=int, default=None, help="The version after."),
        JSON,
    ),
)
