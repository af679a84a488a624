"""``compose-agent actions``: what remediation did, does, and is to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click
import msgspec
from rich.console import Console

from compose_agent.commands.actions_table import line, plain, table
from compose_agent.commands.remediation_options import JSON, config_of, general_flags
from compose_agent.commands.remediation_source import RemediationSource
from compose_agent.commands.signals import Signals
from compose_agent.config.kinds import duration
from compose_agent.errors import ComposeAgentError
from remediation.history import ActionRow, Filter
from remediation.model import State

_LIMIT = 20
_MOST = 10_000
_FOLLOW_SECONDS = 1.0

Read = Callable[[], Sequence[ActionRow]]


def _seconds(context: click.Context, parameter: click.Parameter, value: str | None) -> float | None:
    try:
        return None if value is None else duration.read(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from error


def _callback(**parameters: Any) -> None:
    source = RemediationSource(config_of(parameters))
    since = 0.0 if parameters["since"] is None else time.time() - parameters["since"]
    state, policy, target = (parameters[name] or "" for name in ("state", "policy", "target"))
    wanted = Filter(state, policy, target, since)

    def read() -> Sequence[ActionRow]:
        return source.actions(wanted, parameters["limit"])

    if parameters["follow"]:
        _follow(read, as_json=parameters["json"])
    else:
        _show(read(), as_json=parameters["json"])


def _show(rows: Sequence[ActionRow], *, as_json: bool) -> None:
    console = Console(highlight=False)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(rows)))
    elif console.is_terminal:
        console.print(table(rows))
    else:
        click.echo(plain(rows), nl=False)


def _follow(read: Read, *, as_json: bool) -> None:
    """Print a line for each action, and again whenever something about it changes, until a signal."""
    stop = Signals().stop
    seen: dict[str, ActionRow] = {}
    while True:
        try:
            for row in changed(read(), seen):
                click.echo(msgspec.json.encode(row) if as_json else line(row))
        except ComposeAgentError as error:
            click.echo(f"compose-agent: {error}", err=True)
        if stop.wait(_FOLLOW_SECONDS):
            return


def changed(rows: Sequence[ActionRow], seen: dict[str, ActionRow]) -> Iterator[ActionRow]:
    """Yield, oldest first, the rows that are not as they were ``seen``, and see them.

    That something is asked about again at another time is no change.
    """
    for row in reversed(rows):
        known = msgspec.structs.replace(row, not_before=0.0)
        if seen.get(row.id) != known:
            seen[row.id] = known
            yield row
    for gone in seen.keys() - {row.id for row in rows}:
        del seen[gone]


_OPTIONS = (
    click.Option(
        ["--state"], type=click.Choice([str(state) for state in State]), help="Only actions in this state."
    ),
    click.Option(["--policy"], metavar="NAME", help="Only actions of this policy."),
    click.Option(["--target"], metavar="NAME", help="Only actions on this container or service."),
    click.Option(
        ["--since"], callback=_seconds, metavar="DURATION", help="Only actions planned in this time, as 2h."
    ),
    click.Option(
        ["--limit"],
        type=click.IntRange(1, _MOST),
        default=_LIMIT,
        metavar="N",
        help=f"At most so many, the latest.  [default: {_LIMIT}]",
    ),
    click.Option(["--follow", "-f"], is_flag=True, help="Go on with a line for each change until Ctrl-C."),
    JSON,
)

command = click.Command(
    "actions",
    callback=_callback,
    help="Show what remediation did, does, and is to do, the latest first.",
    params=[*_OPTIONS, *general_flags()],
)
