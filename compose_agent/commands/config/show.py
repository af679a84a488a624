"""``compose-agent config show [NAME]``: the layers, the text of one, or how a node's configuration stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import click

from compose_agent.commands.config.asking import (
    CONFIGS,
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
from compose_agent.dockerd.overview import words
from compose_agent.errors import ComposeAgentError

_HEADINGS = ("FILE", "SCOPE", "VERSION", "SINCE", "BY", "ROLL-OUT", "NOTE")
# Enough to tell hashes apart.
_DIGITS = 12


def _callback(**parameters: Any) -> None:
    if parameters["node"]:
        _show_node(parameters)
    elif parameters["name"]:
        _show_text(parameters)
    else:
        _show_layers(parameters)


def _show_layers(parameters: Mapping[str, Any]) -> None:
    document = ask(client_of(parameters), "GET", CONFIGS)
    if parameters["json"]:
        print_json(document)
        return
    print_table(_HEADINGS, [list(_cells(layer)) for layer in document["layers"]])


def _cells(layer: Mapping[str, Any]) -> Iterator[str]:
    yield layer["name"]
    yield layer["scope"]
    yield str(layer["version"] or words.DASH)
    yield when(layer["at"])
    yield layer["actor"] or words.DASH
    yield str(layer["rollout"] or words.DASH)
    yield layer["note"]


def _show_text(parameters: Mapping[str, Any]) -> None:
    client, scope, name = client_of(parameters), parameters["scope"], parameters["name"]
    versions = ask(client, "GET", layer_path(scope, name))["versions"]
    number = parameters["version"] or _in_force(ask(client, "GET", CONFIGS)["layers"], scope, name)
    found = next((one for one in versions if one["version"] == number), None)
    if found is None or found["body"] is None:
        raise ComposeAgentError(f"nothing of {name} for {scope} is in force", remedy="see config history")
    if parameters["json"]:
        print_json(found)
    else:
        click.echo(found["body"], nl=not found["body"].endswith("\n"))


def _in_force(layers: list[dict[str, Any]], scope: str, name: str) -> int | None:
    found = (one["version"] for one in layers if (one["scope"], one["name"]) == (scope, name))
    return next(found, None)


def _show_node(parameters: Mapping[str, Any]) -> None:
    node = ask(client_of(parameters), "GET", f"{CONFIGS}/nodes/{quote(parameters['node'], safe='')}")
    if parameters["json"]:
        print_json(node)
        return
    for line in _told(node):
        click.echo(words.printable(line))


def _told(node: Mapping[str, Any]) -> Iterator[str]:
    status = node["status"] or "nothing reported"
    yield f"{node['node_id']}  {status if node['accepts'] else 'takes no configuration from its manager'}"
    for name in ("desired", "applied", "failed"):
        reason = f"  {node['failed_reason']}" if name == "failed" and node["failed"] else ""
        yield f"  {name:<8} {node[name][:_DIGITS] or words.DASH}{reason}"
    for file, text in node["files"].items():
        yield f"  {file}, {len(text.splitlines())} lines"
    for one in node["history"]:
        yield f"  {when(one['at'])}  {one['status']} {one['hash'][:_DIGITS]}  {one['reason']}".rstrip()


command = click.Command(
    "show",
    callback=_callback,
    help="Show every layer of the agents' configuration, or the text of the one whose file is NAME.",
    params=options(
        click.Argument(["name"], default=""),
        SCOPE,
        click.Option(["--version"], type=int, default=None, help="This version instead of the one in force."),
        click.Option(["--node"], default="", metavar="NODE", help="Show how a node's configuration stands."),
        JSON,
    ),
)
