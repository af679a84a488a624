"""``compose-agent logs verify``: does every line arrive, once.

Through the running forwarder where one of its sinks can be read back, else through a forwarder of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from compose_agent import log
from compose_agent.commands.logs.options import JSON, forwarder_flags, source_of
from compose_agent.commands.roles import FORWARDER, load_checked
from compose_agent.commands.signals import Signals
from compose_agent.config import Config, kinds
from compose_agent.config.general import GeneralSettings
from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.endpoint import find_endpoint
from compose_agent.errors import ComposeAgentError, ConfigError, Problem
from compose_agent.web.localclient import LocalClient, RoleNotRunning
from log_forwarder.settings import ForwarderSettings

if TYPE_CHECKING:
    from log_forwarder.verify.course import Course, Report

DEFAULT_LINES = 10_000
# What was found is held in memory: some 150 MB of it.
_MOST_LINES = 1_000_000
# Making and starting a container waits for the host's disk, unlike what the agent asks otherwise.
_ENGINE_SECONDS = 60.0
_COLUMNS = ("WRITTEN", "FOUND", "LOST", "REPEATED", "OUT OF ORDER", "SECONDS")
AUTO, RUNNING, OWN = "auto", "running", "own"


def _callback(**parameters: Any) -> None:
    from log_forwarder.verify.course import Counting  # noqa: PLC0415 - loads the sinks' libraries
    from log_forwarder.verify.lines import Plan  # noqa: PLC0415
    from log_forwarder.verify.writer import Writer  # noqa: PLC0415

    stop = Signals().stop
    config = load_checked(source_of(parameters), [FORWARDER])
    log.setup("warning", "json" if config.of(GeneralSettings).log_format == "json" else "logfmt")
    plan = Plan.make(parameters["lines"])
    endpoint = find_endpoint(config.of(GeneralSettings).docker_host, os.environ)
    with closing(EngineClient(endpoint, timeout=_ENGINE_SECONDS)) as engine:
        writer = Writer(engine, plan, parameters["image"])
        with _courses(config, parameters["through"], writer.name) as courses, writer:
            counting = Counting(plan, courses, timeout=parameters["timeout"], stop=stop)
            reports = list(counting.reports(writer.container_id, writer.done))
    _show(reports, as_json=parameters["json"])
    _judge(reports)


@contextmanager
def _courses(config: Config, through: str, container: str) -> Iterator[Sequence[Course]]:
    """Yield the courses that the lines are to go, and say which."""
    courses = [] if through == OWN else _running_courses(config, required=through == RUNNING)
    if courses:
        click.echo(f"through the running forwarder to {', '.join(each.name for each in courses)}", err=True)
        yield courses
        return
    from log_forwarder.verify.own import own_forwarder  # noqa: PLC0415 - a whole forwarder

    with own_forwarder(config, container) as course:
        click.echo(f"through a forwarder of its own to {course.name}", err=True)
        yield [course]


def _running_courses(config: Config, *, required: bool) -> list[Course]:
    """Return a course for each sink that can be read back, nothing when no forwarder runs.

    With ``required`` either is a mistake.
    """
    from log_forwarder.sinks import kind_of  # noqa: PLC0415
    from log_forwarder.verify.course import RunningCourse  # noqa: PLC0415

    client = LocalClient(config.of(GeneralSettings).run_dir(), FORWARDER.name)
    try:
        client.healthy()
    except RoleNotRunning:
        if required:
            raise
        return []
    words = config.of(ForwarderSettings).sinks
    courses: list[Course] = [
        RunningCourse(word, read_back, lambda: client.get_json("/v1/positions"))
        for word in words
        if (read_back := kind_of(word).read_back)
    ]
    left_out = [word.name for word in words if not kind_of(word).read_back]
    if required and not courses:
        what = f"none of the configured sinks can be read back ({', '.join(left_out) or 'there is none'})"
        raise ConfigError(Problem("logs.sink", what))
    if left_out:
        click.echo(f"cannot be read back, and is not counted: {', '.join(left_out)}", err=True)
    return courses


def _show(reports: Sequence[Report], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([dict(zip(_keys(), _values(each), strict=True)) for each in reports], indent=2))
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("SINK", overflow="fold")  # the counts are what must be read whole
    for title in _COLUMNS:
        table.add_column(title, justify="right", no_wrap=True, min_width=len(title))
    for each in reports:
        table.add_row(*("-" if value is None else str(value) for value in _values(each)))
    Console(highlight=False).print(table)


def _keys() -> list[str]:
    return ["sink", *(title.lower().replace(" ", "_") for title in _COLUMNS)]


def _values(report: Report) -> tuple[str | float | None, ...]:
    counted = report.tally
    order = counted.out_of_order if report.course.ordered else None
    seconds = round(report.seconds, 1)
    return (
        report.course.name,
        counted.written,
        counted.found,
        counted.lost,
        counted.repeated,
        order,
        seconds,
    )


def _judge(reports: Sequence[Report]) -> None:
    """Raise ComposeAgentError unless each line arrived once."""
    wrong = [each for each in reports if not each.tally.exact]
    if wrong:
        said = (
            f"{each.course.name}: {each.tally.lost} lost, {each.tally.repeated} repeated" for each in wrong
        )
        remedy = "give it more time with --timeout, and see the forwarder's log and /-/ready"
        raise ComposeAgentError("; ".join(said), remedy=remedy)


def _duration(context: click.Context, parameter: click.Parameter, value: str) -> float:
    try:
        return kinds.positive_duration.read(value)
    except ValueError as error:
        raise click.BadParameter(str(error), context, parameter) from error


_OPTIONS = (
    click.Option(
        ["--lines"],
        type=click.IntRange(1, _MOST_LINES),
        default=DEFAULT_LINES,
        show_default=True,
        help="How many lines are written.",
    ),
    click.Option(
        ["--image"],
        help="Image of the container, which needs a shell. Unset: busybox, alpine, debian or ubuntu, "
        "whichever the host has; nothing is pulled.",
    ),
    click.Option(
        ["--timeout"],
        callback=_duration,
        default="1m",
        metavar="DURATION",
        show_default=True,
        help="What has not arrived after so long is lost.",
    ),
    click.Option(
        ["--through"],
        type=click.Choice([AUTO, RUNNING, OWN]),
        default=AUTO,
        show_default=True,
        help="The running forwarder and its sinks that can be read back, or a forwarder of its own and a "
        "counting sink; auto: the former if it can be.",
    ),
    JSON,
)

command = click.Command(
    "verify",
    callback=_callback,
    help="Write numbered lines through a real container and count them; exit status 0 if each arrived once.",
    params=[*_OPTIONS, *forwarder_flags()],
)
