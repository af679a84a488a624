"""``compose-agent node NODE``: everything of one node; or switch it off, on, or forget it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import click

from compose_agent.commands.general import GENERAL
from compose_agent.commands.nodes import PATH, manager_client
from compose_agent.config.flags import flags
from compose_agent.config.schema import Schema
from compose_agent.dockerd.overview import words
from compose_agent.errors import ComposeAgentError
from compose_agent.web.localclient import LocalClient

_DEEDS = ("disable", "enable", "forget")


def _callback(**parameters: Any) -> None:
    client, path = manager_client(parameters), f"{PATH}/{quote(parameters['node'], safe='')}"
    for deed in _DEEDS:
        if parameters[deed]:
            path, method = f"{path}/{deed}", "POST"
            break
    else:
        method = "GET"
    document = _ask(client, method, path)
    if parameters["json"]:
        click.echo(json.dumps(document, indent=2))
        return
    for line in told(document, time.time()):
        click.echo(words.printable(line))


def _ask(client: LocalClient, method: str, path: str) -> dict[str, Any]:
    status, body = client.request(method, path, b"" if method == "POST" else None)
    document: dict[str, Any] = json.loads(body)
    if status != 200:
        uids = document.get("uids")
        raise ComposeAgentError(
            document["error"], remedy=", ".join(uids) if uids else "see compose-agent nodes"
        )
    return document


def told(node: Mapping[str, Any], now: float) -> Iterator[str]:
    """Yield what is known of a node, line by line; ``now`` is Unix time."""
    since = f" for {words.duration(max(0.0, now - node['since']))}" if node["since"] else ""
    yield f"{node['node_id']}  {node['state']}{since}: {node['reason']}"
    heard = f"{words.duration(max(0.0, now - node['last_heard']))} ago" if node["last_heard"] else words.DASH
    yield f"  host     {node['host'] or words.DASH}  {node['address']}"
    yield f"  heard    {heard}, over {node['transport'] or words.DASH}, every {node['interval']:g} s"
    yield f"  version  {node['service']} {node['version']}".rstrip()
    yield f"  uid      {node['uid']}"
    if node.get("health"):
        yield from _health("agent", node["health"], 1)
    for role, url in node.get("listeners", {}).items():
        yield f"  {role} listens on {url}"
    for one in node.get("history", []):
        yield f"  {words.date(one['at'])}  {one['before']} -> {one['after']}: {one['reason']}"


def _health(name: str, health: Mapping[str, Any], depth: int) -> Iterator[str]:
    state = "healthy" if health["healthy"] else f"not healthy: {health['error'] or health['status']}"
    yield f"{'  ' * depth}{name} {state}"
    for part, below in health["parts"].items():
        yield from _health(part, below, depth + 1)


command = click.Command(
    "node",
    callback=_callback,
    help="Show everything of one node, by its id or its uid.",
    params=[
        click.Argument(["node"]),
        click.Option(["--disable"], is_flag=True, help="Switch it off: its agent is turned away."),
        click.Option(["--enable"], is_flag=True, help="Switch it on again."),
        click.Option(["--forget"], is_flag=True, help="Remove it; an agent that still speaks appears anew."),
        click.Option(["--json"], is_flag=True, help="Print JSON."),
        *flags(Schema([GENERAL])),
    ],
)
