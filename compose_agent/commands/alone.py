"""Running one role alone, as ``compose-agent export`` does."""

from __future__ import annotations

from typing import Any

import click

from compose_agent.commands.roles import SCHEMA, config_source, flags_of
from compose_agent.commands.signals import reload_on_hangup, stop_on_signals
from compose_agent.config.flags import flag_layer
from compose_agent.config.watch import FileWatch
from compose_agent.role import RoleSpec
from compose_agent.runner import Runner, configure_logs


def role_command(spec: RoleSpec, name: str, help: str) -> click.Command:
    """Return the subcommand that runs ``spec`` alone; its options go without the role's prefix."""

    def callback(**parameters: Any) -> None:
        source = config_source(flag_layer(SCHEMA, parameters, spec.name))
        config = source.load()
        configure_logs(config)
        stop = stop_on_signals()
        runner = Runner(spec, SCHEMA, config, source.load)
        runner.start()
        watch = FileWatch(source.file, reload_on_hangup(runner.reload)) if source.file else None
        if watch:
            watch.start()
        stop.wait()
        if watch:
            watch.stop()
        runner.stop()

    return click.Command(name, callback=callback, help=help, params=list(flags_of(spec)))
