"""``compose-agent why``: what remediation did about an alert or a container, or why it did nothing."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from compose_agent.commands.remediation_options import config_of, general_flags
from compose_agent.commands.remediation_source import RemediationSource
from compose_agent.commands.roles import TRACING
from compose_agent.commands.why_traces import Told, paragraph, with_traces
from compose_agent.config.general import GeneralSettings
from compose_agent.dockerd.overview.words import date, printable
from compose_agent.errors import ComposeAgentError
from compose_agent.tracing.settings import TracingSettings


def _callback(**parameters: Any) -> None:
    word = parameters["word"]
    config = config_of(parameters)
    accounts = RemediationSource(config).why(word, time.time())
    if not accounts:
        raise ComposeAgentError(
            f"remediation has heard nothing of '{printable(word)}'",
            remedy="name an alert, its fingerprint, a container, a service as project/service, or an id from "
            "'compose-agent actions'",
        )
    told = with_traces(
        accounts, config.of(GeneralSettings).state_dir(), config.of(TracingSettings).backend_url
    )
    if parameters["json"]:
        click.echo(msgspec.json.format(msgspec.json.encode(told)))
    else:
        click.echo(story(told))


def story(accounts: Sequence[Told]) -> str:
    """Return accounts as paragraphs."""
    return "\n\n".join("\n".join(map(printable, _paragraph(each))) for each in accounts)


def _paragraph(account: Told) -> list[str]:
    lines = [f"  {date(each.at)}  {each.text}" for each in account.lines]
    remedy = [f"  What helps: {account.remedy}."] if account.remedy else []
    return [account.heading, *lines, f"  {account.outcome}", *remedy, *paragraph(account)]


command = click.Command(
    "why",
    callback=_callback,
    help="Tell what remediation did about an alert, a fingerprint, a container or a service, or why nothing.",
    params=[
        click.Argument(["word"]),
        click.Option(["--json"], is_flag=True, help="Print JSON."),
        *general_flags(TRACING),
    ],
)
