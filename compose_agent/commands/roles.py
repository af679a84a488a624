"""The roles there are, and the schema of all their options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import click

from broker.settings import BrokerSettings
from compose_agent.commands import general
from compose_agent.commands.general import GENERAL
from compose_agent.config import Config, ConfigSource, Layer, Schema, Section, kinds, option
from compose_agent.config.flags import flags
from compose_agent.role import ConfigState, Role, RoleSpec
from compose_agent.tracing.settings import TracingSettings
from exporter.settings import ExporterSettings
from log_forwarder.settings import ForwarderSettings
from log_forwarder.transforms.settings import TransformSettings
from remediation.settings import RemediationSettings


def _exporter(config: Config, state: ConfigState) -> Role:
    from exporter.role import ExporterRole  # noqa: PLC0415 - only the process that runs it carries it

    return ExporterRole(config, state)


def _check_exporter(config: Config) -> None:
    from compose_agent.web.webfile import WebConfigFile  # noqa: PLC0415 - loads the TLS parts

    if path := config.of(ExporterSettings).web_config_file:
        WebConfigFile(path)  # opens the certificates too


def _forwarder(config: Config, state: ConfigState) -> Role:
    # Only the process that runs it carries it.
    if config.of(ForwarderSettings).workers > 1:
        from log_forwarder.workers import WorkersRole  # noqa: PLC0415

        return WorkersRole(config, state)
    from log_forwarder.role import ForwarderRole  # noqa: PLC0415

    return ForwarderRole(config, state)


def _forwarder_share(config: Config, state: ConfigState, share: str) -> Role:
    from log_forwarder.role import ForwarderRole  # noqa: PLC0415 - only the process that runs it carries it
    from log_forwarder.share import Share  # noqa: PLC0415

    return ForwarderRole(config, state, Share.parse(share))


def _check_forwarder(config: Config) -> None:
    from log_forwarder.check import check  # noqa: PLC0415 - loads every sink's libraries

    check(config.of(ForwarderSettings), config.of(TransformSettings))


def _remediation(config: Config, state: ConfigState) -> Role:
    from remediation.role import RemediationRole  # noqa: PLC0415 - only the process that runs it carries it

    return RemediationRole(config, state)


def _check_remediation(config: Config) -> None:
    from remediation.check import check  # noqa: PLC0415 - loads the policies

    check(config.of(RemediationSettings))


def _broker(config: Config, state: ConfigState) -> Role:
    from broker.role import BrokerRole  # noqa: PLC0415 - only the process that runs it carries it

    return BrokerRole(config, state)


def _check_broker(config: Config) -> None:
    from compose_agent.web.webfile import WebConfigFile  # noqa: PLC0415 - loads the TLS parts

    if path := config.of(BrokerSettings).web_config_file:
        WebConfigFile(path)  # opens the certificates too


EXPORTER = RoleSpec("exporter", ExporterSettings, "Exporter", _exporter, _check_exporter)
FORWARDER = RoleSpec(
    "logs", ForwarderSettings, "Log forwarder", _forwarder, _check_forwarder, _forwarder_share
)
REMEDIATION = RoleSpec("remediation", RemediationSettings, "Remediation", _remediation, _check_remediation)
BROKER = RoleSpec("broker", BrokerSettings, "Broker", _broker, _check_broker)
ROLES = (EXPORTER, FORWARDER, REMEDIATION, BROKER)


@dataclass(frozen=True, slots=True)
class RunSettings:
    """What ``compose-agent run`` runs, and how."""

    enable_metrics: bool = option("enable-metrics", kinds.boolean, "true", "Run the exporter.", restart=True)
    enable_logs: bool | None = option(
        "enable-logs",
        kinds.boolean,
        None,
        "Run the log forwarder. Unset: if a sink is configured.",
        restart=True,
    )
    enable_remediation: bool = option(
        "enable-remediation",
        kinds.boolean,
        "true",
        "Run the remediation role. It acts only on containers whose owners have opted in.",
        restart=True,
    )
    register: bool = option(
        "register",
        kinds.boolean,
        "false",
        "Register with the manager at MANAGER_URL. This version has no link to a manager: it says so in its "
        "log, and does everything else.",
        restart=True,
    )
    one_process: bool = option(
        "one-process",
        kinds.boolean,
        "false",
        "Run the roles as threads of one process, which saves memory on small hosts.",
        restart=True,
    )


TRACING = Section("tracing", TracingSettings, "Tracing")
RUN = Section("", RunSettings, "Which roles run")
# Every process reads the whole file, so that a key of a role it does not run is no mistake.
TRANSFORMS = Section("", TransformSettings, "Log transforms")
SCHEMA = Schema(
    [GENERAL, TRACING, RUN, *(Section(role.name, role.settings, role.title) for role in ROLES), TRANSFORMS]
)


def enabled_roles(config: Config) -> list[RoleSpec]:
    """Return the roles that ``run`` runs."""
    settings = config.of(RunSettings)
    logs = settings.enable_logs
    switches = {
        EXPORTER.name: settings.enable_metrics,
        FORWARDER.name: bool(config.of(ForwarderSettings).sinks) if logs is None else logs,
        REMEDIATION.name: settings.enable_remediation,
        BROKER.name: False,  # beside the others it would keep nothing from them
    }
    return [role for role in ROLES if switches[role.name]]


def role_named(name: str) -> RoleSpec:
    """Return the role of this name; KeyError if there is none."""
    return {role.name: role for role in ROLES}[name]


def flags_of(role: RoleSpec) -> Iterator[click.Option]:
    """Yield the flags of a command that runs one role: the shared ones, and the role's without prefix."""
    sections = [GENERAL, TRACING, Section(role.name, role.settings, role.title)]
    if role is FORWARDER:
        sections.append(TRANSFORMS)
    yield from flags(Schema(sections), role.name)


def config_source(given: Layer) -> ConfigSource:
    """Return where this process takes its configuration from; ``given`` is the command line's layer."""
    return general.config_source(SCHEMA, given)


def load_checked(source: ConfigSource, roles: Iterable[RoleSpec]) -> Config:
    """Return the configuration, with what only ``roles`` can judge judged; raises ConfigError."""
    config = source.load()
    for role in roles:
        role.check(config)
    return config
