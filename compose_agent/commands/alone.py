"""Running one role alone, as ``compose-agent export`` does."""

from __future__ import annotations

from typing import Any

import click

from compose_agent.commands.roles import SCHEMA, config_source, flags_of, load_checked
from compose_agent.commands.signals import Signals
from compose_agent.config.flags import flag_layer, long_forms
from compose_agent.config.watch import FileWatches
from compose_agent.role import RoleSpec
from compose_agent.runner import Runner, configure_logs


def role_command(spec: RoleSpec, name: str, help: str) -> click.Command:
    """Return the subcommand that runs ``spec`` alone; its options may go without the role's prefix."""

    def callback(**parameters: Any) -> None:
        signals = Signals()
        source = config_source(flag_layer(SCHEMA, parameters, spec.name))
        watch = FileWatches(source.files, signals.reload.set)  # before loading, so that no change is missed
        config = load_checked(source, [spec])
        configure_logs(config, spec.name)
        runner = Runner(spec, SCHEMA, config, lambda: load_checked(source, [spec]))
        runner.start()
        signals.on_reload(runner.reload)
        watch.start()
        signals.stop.wait()
        watch.stop()
        runner.stop()

    return click.Command(
        name,
        callback=callback,
        help=help,
        params=list(flags_of(spec)),
        context_settings=long_forms(spec.name),
    )
