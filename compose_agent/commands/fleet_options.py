"""What commands and jobs of the fleet have in common on the command line: whom, what, how long."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from compose_agent.commands.general import GENERAL
from compose_agent.commands.nodes import manager_client
from compose_agent.config import kinds
from compose_agent.config.flags import flags
from compose_agent.config.schema import Schema
from compose_agent.dockerd.overview import words
from compose_agent.errors import ComposeAgentError
from compose_agent.web.localclient import LocalClient

COMMANDS = "/api/v1/commands"
JOBS = "/api/v1/jobs"
# At which nothing more comes.
ENDS = frozenset({"done", "failed", "refused", "expired", "unknown"})

_VERBS = (
    "restart stop start scale exec recreate pause unpause kill freeze thaw inspect logs probe reload "
    "upgrade-check"
)


def order_params() -> list[click.Parameter]:
    """Return the parameters of an order."""
    return [
        click.Argument(["verb"], metavar="VERB", type=click.Choice(_VERBS.split())),
        click.Argument(["target"], required=False, default=""),
        click.Option(
            ["--node", "nodes"], multiple=True, metavar="NODE", help="A node, by id or uid; repeatable."
        ),
        click.Option(
            ["--select", "selector"],
            default="",
            metavar="MATCHERS",
            help='Nodes by matchers on id, role, tag, host, environment, capacity …, such as role="worker".',
        ),
        click.Option(
            ["--with", "arguments"],
            multiple=True,
            metavar="KEY=VALUE",
            help="An argument of the verb, such as to=3 of scale or name=reindex of exec; repeatable.",
        ),
        click.Option(
            ["--within"], default="1m", metavar="TIME", help="Begin nothing later than so long from now."
        ),
        click.Option(["--dry-run"], is_flag=True, help="Have the hosts say what they would do."),
    ]


def shared_params() -> list[click.Parameter]:
    """Return the parameters that all of these commands take."""
    return [click.Option(["--json"], is_flag=True, help="Print JSON."), *flags(Schema([GENERAL]))]


def order_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body that an order's parameters stand for."""
    if not (given["nodes"] or given["selector"]):
        raise click.UsageError("say whom it is for, with --node or --select")
    return {
        "verb": given["verb"],
        "target": given["target"],
        "arguments": dict(map(pair, given["arguments"])),
        "nodes": list(given["nodes"]),
        "selector": given["selector"],
        "seconds": seconds(given["within"], "--within"),
        "dry_run": given["dry_run"],
    }


def pair(text: str) -> tuple[str, str]:
    """Return what KEY=VALUE says."""
    key, mark, value = text.partition("=")
    if not mark or not key:
        raise click.UsageError(f"expected KEY=VALUE, not '{text}'")
    return key, value


def seconds(text: str, option: str) -> float:
    """Return a duration in seconds."""
    try:
        return kinds.parse_duration(text)
    except ValueError as error:
        raise click.UsageError(f"{option}: expected a duration such as 30s, not '{text}'") from error


def ask(client: LocalClient, method: str, path: str, body: object = None) -> dict[str, Any]:
    """Return the manager's answer; raises ComposeAgentError with what it has against it."""
    data = json.dumps(body if body is not None else {}).encode() if method == "POST" else None
    status, answer = client.request(method, path, data)
    document: dict[str, Any] = json.loads(answer)
    if status not in {200, 202}:
        raise ComposeAgentError(str(document.get("error", f"the manager answers with {status}")))
    return document


def client_of(given: Mapping[str, Any]) -> LocalClient:
    """Return the manager of this host."""
    return manager_client(given)


def line(row: Mapping[str, Any]) -> str:
    """Return the line of a command or of a part of a job."""
    said = f": {row['detail']}" if row["detail"] else ""
    return words.printable(f"{row['node_id'] or words.DASH}  {row['stage']}{said}")


def results(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield what came of a command, line by line: a log as it was written, anything else as JSON."""
    found = row.get("result") or {}
    for each in found.get("lines", ()):
        yield words.printable(f"  {each['text']}")
    rest = {key: value for key, value in found.items() if key not in {"lines", "cut"}}
    if rest and row["verb"] not in {"restart", "stop", "start"}:
        yield from (f"  {text}" for text in json.dumps(rest, indent=2, ensure_ascii=True).splitlines())
