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
from compose_agent.config.nearest import did_you_mean
from compose_agent.config.remote import ALLOWING
from compose_agent.errors import ConfigError, Problem
from compose_agent.role import ConfigState, Role, RoleSpec
from compose_agent.tracing.settings import TracingSettings
from exporter.settings import ExporterSettings
from fleet.agent.settings import NOTHING, AgentSettings
from fleet.manager.settings import ManagerSettings
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


def _manager(config: Config, state: ConfigState) -> Role:
    from fleet.manager.role import ManagerRole  # noqa: PLC0415 - only the process that runs it carries it

    return ManagerRole(config, state)


def _check_manager(config: Config) -> None:
    from fleet.manager.check import check  # noqa: PLC0415 - loads the TLS parts

    check(config.of(ManagerSettings))


def _agent(config: Config, state: ConfigState) -> Role:
    from fleet.agent.role import AgentRole  # noqa: PLC0415 - only the process that runs it carries it

    return AgentRole(config, state, lambda now: [role.name for role in enabled_roles(now)])


def _check_agent(config: Config) -> None:
    from fleet.agent.check import check  # noqa: PLC0415 - loads the TLS parts

    settings = config.of(AgentSettings)
    _check_remote_options(settings)
    if settings.manager_url is not None or config.of(RunSettings).register:
        check(settings)


def _check_remote_options(settings: AgentSettings) -> None:
    for name in settings.remote_options:
        if settings.accepts_remote and name not in SCHEMA.options and not SCHEMA.has_prefix(name):
            suggestion = did_you_mean(SCHEMA.nearest_key(name))
            what = (
                f"there is no option and no group '{name}'{suggestion}; expected one of those, or {NOTHING}"
            )
            raise ConfigError(Problem(ALLOWING, what))


EXPORTER = RoleSpec("exporter", ExporterSettings, "Exporter", _exporter, _check_exporter)
FORWARDER = RoleSpec(
    "logs", ForwarderSettings, "Log forwarder", _forwarder, _check_forwarder, _forwarder_share
)
REMEDIATION = RoleSpec("remediation", RemediationSettings, "Remediation", _remediation, _check_remediation)
BROKER = RoleSpec("broker", BrokerSettings, "Broker", _broker, _check_broker)
AGENT = RoleSpec("agent", AgentSettings, "Agent link", _agent, _check_agent)
MANAGER = RoleSpec("manager", ManagerSettings, "Manager", _manager, _check_manager)
ROLES = (EXPORTER, FORWARDER, REMEDIATION, BROKER, AGENT, MANAGER)


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
    register: bool | None = option(
        "register",
        kinds.boolean,
        None,
        "Register with a manager and stay connected to it. Unset: if agent.manager-url is set.",
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
        AGENT.name: _registers(config),
        MANAGER.name: False,  # it has a host of its own, or a process of its own on one of them
    }
    return [role for role in ROLES if switches[role.name]]


def _registers(config: Config) -> bool:
    wanted = config.of(RunSettings).register
    return config.of(AgentSettings).manager_url is not None if wanted is None else wanted


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
