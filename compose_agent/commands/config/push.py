"""``compose-agent config push FILE``: set a layer, and bring it to the agents of its scope."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from compose_agent.commands.config.asking import CONFIGS, JSON, SCOPE, ask, client_of, options, print_json
from compose_agent.commands.config.following import follow, line
from compose_agent.errors import ComposeAgentError, ConfigError, Problem


def _callback(**parameters: Any) -> None:
    name = parameters["name"] or Path(parameters["file"]).name
    asked = {
        "name": name,
        "body": None if parameters["remove"] else _text(parameters["file"]),
        **{key: parameters[key] for key in ("scope", "note", "selector", "batch", "gate", "within")},
    }
    client = client_of(parameters)
    begun = ask(client, "POST", CONFIGS, asked)
    if parameters["wait"]:
        begun["rollout"] = follow(client, begun["rollout"]["id"], quiet=parameters["json"])
    if parameters["json"]:
        print_json(begun)
    elif not parameters["wait"]:
        click.echo(f"version {begun['version']}; {line(begun['rollout'])}")
    if parameters["wait"] and begun["rollout"]["phase"] == "reverted":
        raise ComposeAgentError("the agents have the version before", remedy=begun["rollout"]["reason"])


def _text(file: str) -> str:
    try:
        with click.open_file(file, encoding="utf-8") as opened:
            text: str = opened.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(Problem(file, f"cannot be read: {error}")) from error
    return text


command = click.Command(
    "push",
    callback=_callback,
    help="Set a layer of the agents' configuration to what is in FILE (- for standard input), in batches; "
    "a batch that goes wrong is taken back, and everything before it.",
    params=options(
        click.Argument(["file"]),
        SCOPE,
        click.Option(["--name"], default="", help="Of the file on the agents. Unset: that of FILE."),
        click.Option(["--remove"], is_flag=True, help="Take the layer FILE away instead."),
        click.Option(["--note"], default="", metavar="WORDS", help="Why, for the history."),
        click.Option(
            ["--selector"],
            default="",
            metavar="MATCHERS",
            help="Only to these agents of the scope until somebody goes on, such as tag=canary.",
        ),
        click.Option(["--batch"], default="10%", show_default=True, help="Agents at a time, or their share."),
        click.Option(
            ["--gate"], default="30s", show_default=True, help="How long a batch that has it is watched."
        ),
        click.Option(["--within"], default="60s", show_default=True, help="How long applying may take."),
        click.Option(["--wait"], is_flag=True, help="Wait for the end; exit status 1 if it is taken back."),
        JSON,
    ),
)
