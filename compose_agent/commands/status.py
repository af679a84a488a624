"""``compose-agent status``: the host's containers in the terminal."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from compose_agent.commands.general import GENERAL
from compose_agent.commands.roles import SCHEMA, config_source
from compose_agent.commands.signals import Signals
from compose_agent.commands.status_remediation import RemediationStatus
from compose_agent.commands.status_source import Source
from compose_agent.commands.status_table import failure, page, plain
from compose_agent.config.flags import flag_layer, flags
from compose_agent.config.schema import Schema
from compose_agent.dockerd.overview import Order, Overview, View
from compose_agent.dockerd.overview.wire import to_json
from compose_agent.errors import ComposeAgentError

# As the page does; usage is a mean over this time.
WATCH_SECONDS = 2.0
# More often than this, readings are shared and nothing new can be seen.
_LEAST_WATCH_SECONDS = 0.5

Read = Callable[[], Overview]
# Lines above the table, of what else runs on this host.
More = Callable[[], Sequence[Text]]


def _order(context: click.Context, parameter: click.Parameter, value: str) -> Order:
    try:
        return Order.parse(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from error


def _callback(**parameters: Any) -> None:
    # What goes wrong is said in sentences of the command's own.
    logging.getLogger("compose_agent").addHandler(logging.NullHandler())
    config = config_source(flag_layer(SCHEMA, parameters)).load()
    view = View(parameters["sort"], parameters["text"], "running" if parameters["running"] else "")
    console = Console(highlight=False)
    more = RemediationStatus(config).lines
    with closing(Source(config)) as source:

        def read() -> Overview:
            overview = source.read()
            return replace(overview, containers=view.of(overview.containers))

        if parameters["watch"] is None:
            _show(read(), more, console, as_json=parameters["json"])
        else:
            _watch(read, more, console, parameters["watch"], as_json=parameters["json"])


def _show(overview: Overview, more: More, console: Console, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(to_json(overview), indent=2))
    elif console.is_terminal:
        console.print(page(overview, console.width, more=more()))
    else:
        click.echo(plain(overview, more()), nl=False)


def _watch(read: Read, more: More, console: Console, seconds: float, *, as_json: bool) -> None:
    """Show it again and again until a signal; an error is shown as well, and does not end it."""
    stop = Signals().stop
    if as_json or not console.is_terminal:
        _print_repeatedly(read, more, lambda: stop.wait(seconds), as_json=as_json)
        return
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while not stop.is_set():
            try:
                shown = page(read(), console.width, console.height, more())
            except ComposeAgentError as error:
                shown = failure(str(error))
            live.update(shown, refresh=True)
            stop.wait(seconds)


def _print_repeatedly(read: Read, more: More, stopped: Callable[[], bool], *, as_json: bool) -> None:
    """Print JSON lines, or tables with an empty line between them."""
    while True:
        try:
            overview = read()
        except ComposeAgentError as error:
            click.echo(f"compose-agent: {error}", err=True)
        else:
            click.echo(json.dumps(to_json(overview)) if as_json else plain(overview, more()))
        if stopped():
            return


_OPTIONS = (
    click.Option(
        ["--running/--all"],
        is_flag=True,
        default=False,
        help="Only running containers, or all.  [default: all]",
    ),
    click.Option(
        ["--filter", "text"],
        default="",
        metavar="WORDS",
        help="Only containers with these words in name, image, project, service, state or id.",
    ),
    click.Option(
        ["--sort"],
        callback=_order,
        default=str(Order()),
        metavar="COLUMN",
        help="Sort by a column, such as cpu; -cpu turns the order round.  [default: project]",
    ),
    click.Option(
        ["--watch"],
        is_flag=False,
        flag_value=str(WATCH_SECONDS),
        default=None,
        type=click.FloatRange(min=_LEAST_WATCH_SECONDS),
        metavar="[SECONDS]",
        help=f"Keep it live until Ctrl-C.  [without a value: {WATCH_SECONDS:g}]",
    ),
    click.Option(["--json"], is_flag=True, help="Print JSON; with --watch a document on each line."),
)

command = click.Command(
    "status",
    callback=_callback,
    help="Show the host and its containers, from the running exporter or else from the Engine itself.",
    params=[*_OPTIONS, *flags(Schema([GENERAL]))],
)
