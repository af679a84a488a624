"""What the agent says of itself, as the parts of a message. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from compose_agent import __version__
from fleet.agent.facts import Facts
from fleet.agent.roles import RoleState
from fleet.agent.settings import AgentSettings
from fleet.opamp import attributes as names
from fleet.opamp.attributes import to_attributes
from fleet.opamp.opamp_pb2 import AgentDescription, AgentToServer, ComponentHealth
from fleet.opamp.uid import uid_text

SERVICE = "compose-agent"
CONFIG_FILE = "compose-agent.yml"
_CONFIG_TYPE = "text/yaml"
_NANOSECONDS = 10**9


@dataclass(frozen=True, slots=True)
class Report:
    """Everything there is to say; ``started`` is Unix time, ``local_address`` this end of the link."""

    uid: bytes
    settings: AgentSettings
    facts: Facts
    roles: Sequence[RoleState]
    config: str
    interval: float
    started: float
    local_address: str = ""

    @property
    def node_id(self) -> str:
        """What the node is called."""
        return self.settings.node_id or self.facts.name or uid_text(self.uid)


def parts(report: Report) -> AgentToServer:
    """Return a message with description, health and configuration, and without uid and number."""
    message = AgentToServer()
    message.agent_description.CopyFrom(description(report))
    message.health.CopyFrom(health(report))
    file = message.effective_config.config_map.config_map[CONFIG_FILE]
    file.body, file.content_type = report.config.encode(), _CONFIG_TYPE
    return message


def description(report: Report) -> AgentDescription:
    """Return what identifies and describes the agent, by OpenTelemetry's conventions where there are some."""
    settings, facts = report.settings, report.facts
    identifying = {
        "service.name": SERVICE,
        "service.instance.id": uid_text(report.uid),
        "service.version": __version__,
    }
    others = {
        "host.name": facts.name or None,
        "host.id": facts.engine_id or None,
        "host.arch": facts.architecture or None,
        "host.ip": [settings.advertise or report.local_address]
        if settings.advertise or report.local_address
        else None,
        "os.type": "linux",
        "os.description": facts.system or None,
        "container.runtime.version": facts.engine_version or None,
        "deployment.environment.name": settings.environment,
        "compose_agent.host.memory_bytes": facts.memory_bytes or None,
        names.NODE_ID: report.node_id,
        names.ROLE: settings.role,
        names.CAPACITY: settings.capacity or facts.processors or None,
        names.TAGS: list(settings.tags) or None,
        names.ADVERTISE: settings.advertise,
        names.HEARTBEAT_SECONDS: report.interval,
        **_listeners(report.roles),
    }
    return AgentDescription(
        identifying_attributes=to_attributes(identifying), non_identifying_attributes=to_attributes(others)
    )


def health(report: Report) -> ComponentHealth:
    """Return the tree of health: the agent, and below it each role."""
    ill = [role.name for role in report.roles if not role.healthy]
    tree = ComponentHealth(
        healthy=not ill,
        start_time_unix_nano=int(report.started * _NANOSECONDS),
        status="ok" if not ill else f"not ready: {', '.join(ill)}",
        last_error="" if not ill else next(role.error for role in report.roles if not role.healthy),
    )
    for role in report.roles:
        part = tree.component_health_map[role.name]
        part.healthy = role.healthy
        part.status = "ready" if role.healthy else "not ready"
        part.last_error = role.error
        part.status_time_unix_nano = int(role.since * _NANOSECONDS)
        part.start_time_unix_nano = int(role.since * _NANOSECONDS) if role.healthy else 0
    return tree


def _listeners(roles: Sequence[RoleState]) -> dict[str, str]:
    """Return the first TCP listener of each role, under its attribute."""
    found = {}
    for role in roles:
        url = next((each for each in role.listeners if urlsplit(each).scheme in {"http", "https"}), None)
        if url:
            found[f"{names.LISTENER_PREFIX}{role.name}"] = url
    return found
