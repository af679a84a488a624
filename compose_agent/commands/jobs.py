"""``compose-agent jobs``: begin jobs of the fleet, look at them, end them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from compose_agent.commands.fleet_options import (
    JOBS,
    ask,
    client_of,
    line,
    order_of,
    order_params,
    pair,
    seconds,
    shared_params,
)
from compose_agent.dockerd.overview import words

_LOOK_SECONDS = 0.5
_NOT_DONE = 1


def _list(**given: Any) -> None:
    document = ask(client_of(given), "GET", JOBS)
    if given["json"]:
        click.echo(json.dumps(document, indent=2))
        return
    for job in document["jobs"]:
        click.echo(words.printable(_summary(job)))


def _show(**given: Any) -> None:
    _print(ask(client_of(given), "GET", f"{JOBS}/{given['job']}"), given)


def _cancel(**given: Any) -> None:
    ask(client_of(given), "POST", f"{JOBS}/{given['job']}/cancel")
    click.echo("no more of it is begun; what is under way goes on")


def _begin(**given: Any) -> None:
    client, body = client_of(given), order_of(given)
    body |= {"parallelism": given["parallelism"], "within": seconds(given["job_within"], "--job-within")}
    if given["parts"]:
        parts = [dict(pair(each) for each in part.split(",")) for part in given["parts"]]
        body |= {"spread": "any", "parts": parts, "retries": given["retries"]}
    job = ask(client, "POST", JOBS, body)
    while not given["no_wait"] and job["state"] == "running":
        time.sleep(_LOOK_SECONDS)
        job = ask(client, "GET", f"{JOBS}/{job['id']}")
    _print(job, given)
    if not given["no_wait"] and job["state"] != "done":
        sys.exit(_NOT_DONE)


def _print(job: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    if given["json"]:
        click.echo(json.dumps(job, indent=2))
        return
    for text in _told(job):
        click.echo(words.printable(text))


def _told(job: Mapping[str, Any]) -> Iterator[str]:
    yield _summary(job)
    stages = ", ".join(f"{count} {stage}" for stage, count in sorted(job["stages"].items()))
    yield f"  {len(job['parts'])} parts: {stages}"
    for part in job["parts"]:
        own = " ".join(f"{key}={value}" for key, value in part["arguments"].items())
        tried = f" (attempt {len(part['attempts'])})" if len(part["attempts"]) > 1 else ""
        yield f"  {part['number']:>4} {line(part)}{tried}{f'  {own}' if own else ''}"


def _summary(job: Mapping[str, Any]) -> str:
    whom = job["selector"] or ", ".join(job["nodes"])
    what = f"{job['verb']} {job['target']}".strip()
    return f"{job['id']}  {job['state']:<9} {words.date(job['issued'])}  {what} on {whom} by {job['actor']}"


_JOB = click.Argument(["job"])
command = click.Group(
    "jobs",
    help="Have many nodes of the fleet do something, or split work over them.",
    commands=[
        click.Command("list", callback=_list, help="Show the latest jobs.", params=shared_params()),
        click.Command(
            "show", callback=_show, help="Show one job with its parts.", params=[_JOB, *shared_params()]
        ),
        click.Command(
            "cancel", callback=_cancel, help="Begin no more parts of a job.", params=[_JOB, *shared_params()]
        ),
        click.Command(
            "begin",
            callback=_begin,
            help="Begin a job, and wait for its end. Exits with 1 unless every part is done.",
            params=[
                *order_params(),
                click.Option(
                    ["--part", "parts"],
                    multiple=True,
                    metavar="KEY=VALUE,…",
                    help="Arguments of one part, which any one of the nodes may do; repeatable. Without any, "
                    "each node has a part.",
                ),
                click.Option(
                    ["--retries"],
                    type=int,
                    default=0,
                    help="On so many other nodes a part is tried that fails.",
                ),
                click.Option(
                    ["--parallelism"], type=int, default=10, help="So many parts are out at the same time."
                ),
                click.Option(["--job-within"], default="1h", metavar="TIME", help="The time for all of it."),
                click.Option(["--no-wait"], is_flag=True, help="Do not wait for the end."),
                *shared_params(),
            ],
        ),
    ],
)
