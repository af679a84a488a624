"""``compose-agent logs replay``: dead letters once more."""

from __future__ import annotations

from typing import Any

import click

from compose_agent.commands.logs.options import forwarder_flags, source_of
from compose_agent.config.general import GeneralSettings
from log_forwarder.settings import ForwarderSettings


def _callback(**parameters: Any) -> None:
    from log_forwarder.replay import replay  # noqa: PLC0415 - loads the sinks' libraries

    config = source_of(parameters).load()
    general, settings = config.of(GeneralSettings), config.of(ForwarderSettings)
    outcome = replay(general.state_dir(), settings.sinks, general.run_dir(), settings.triggers)
    dropped = f", {outcome.dropped} of no use to their sink" if outcome.dropped else ""
    click.echo(f"{outcome.sent} sent, {outcome.refused} refused once more, {outcome.left} left{dropped}")


command = click.Command(
    "replay",
    callback=_callback,
    help="Send the dead letters of the configured sinks again.",
    params=forwarder_flags(),
)
