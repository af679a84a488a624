"""Containers and the Engine as plain values, made from the Engine's JSON by pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from compose_agent.errors import EngineGarbage

# Engine API: the values of State.Status (``created`` … ``dead``) and of State.Health.Status.
STATES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
HEALTHS = ("none", "starting", "healthy", "unhealthy")

PROJECT_LABEL = "com.docker.compose.project"
SERVICE_LABEL = "com.docker.compose.service"
NUMBER_LABEL = "com.docker.compose.container-number"
ONE_OFF_LABEL = "com.docker.compose.oneoff"

_NEVER = "0001-01-01T"  # Go's zero time, in whatever time zone
_ENDED = ("exited", "dead", "restarting")
# What Podman has beside these, as the nearest of them.
_PODMAN_STATES = {
    "configured": "created",
    "initialized": "created",
    "stopping": "running",
    "stopped": "exited",
}
# Whatever a conversion of wrong JSON raises: a missing field, a list for a number, an infinite number.
_WRONG_SHAPE = (KeyError, TypeError, ValueError, AttributeError, OverflowError)


@dataclass(frozen=True, slots=True)
class Container:
    """What the Engine knows of one container.

    Times are Unix seconds, None for "never". Limits are None for "unlimited". ``exit_code`` is that of the
    last run, None while it runs or never ran. ``oom_kills`` counts what the inventory has seen.
    ``log_options`` are those of the log driver. ``addresses`` has, sorted, what others may call it by beside
    its name: host name, aliases and IP addresses on its networks; ``published_ports`` are those of the host.
    """

    id: str
    name: str
    image: str
    image_id: str
    state: str
    health: str = "none"
    exit_code: int | None = None
    restart_count: int = 0
    oom_killed: bool = False
    oom_kills: int = 0
    pid: int = 0
    created_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    cpu_limit_cores: float | None = None
    memory_limit_bytes: int | None = None
    pids_limit: int | None = None
    network_mode: str = "default"
    restart_policy: str = "no"
    log_driver: str = ""
    cgroup_parent: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    log_options: Mapping[str, str] = field(default_factory=dict)
    tty: bool = False
    # Not compared: no event announces ``docker network connect``, and what is rendered does not show them.
    addresses: tuple[str, ...] = field(default=(), compare=False)
    published_ports: tuple[int, ...] = field(default=(), compare=False)

    @property
    def short_id(self) -> str:
        """The 12 digits that people and labels use."""
        return self.id[:12]

    @property
    def compose_project(self) -> str:
        """The Compose project, empty for a container outside Compose."""
        return self.labels.get(PROJECT_LABEL, "")

    @property
    def compose_service(self) -> str:
        """The Compose service, empty for a container outside Compose."""
        return self.labels.get(SERVICE_LABEL, "")

    @property
    def compose_number(self) -> str:
        """The number among the replicas of the service, empty for a container outside Compose."""
        return self.labels.get(NUMBER_LABEL, "")

    @property
    def one_off(self) -> bool:
        """Whether ``docker compose run`` made it: no replica of its service."""
        return self.labels.get(ONE_OFF_LABEL, "").lower() == "true"

    @property
    def alive(self) -> bool:
        """Whether it has processes, and so a cgroup: running or paused."""
        return self.pid > 0 and self.state in ("running", "paused")

    @property
    def owns_network(self) -> bool:
        """Whether its interfaces are its own, not the host's and not another container's."""
        return self.network_mode != "host" and not self.network_mode.startswith(("container:", "ns:"))


def container_from_inspect(raw: Mapping[str, Any]) -> Container:
    """Return the container in an answer of ``GET /containers/{id}/json``; EngineGarbage if it is none."""
    try:
        return _container(
            raw, raw["State"], raw["Config"], raw.get("HostConfig") or {}, raw.get("NetworkSettings") or {}
        )
    except _WRONG_SHAPE as error:
        raise EngineGarbage(f"not a container: {type(error).__name__} {error}") from error


def _container(
    raw: Mapping[str, Any],
    state: Mapping[str, Any],
    config: Mapping[str, Any],
    host: Mapping[str, Any],
    network: Mapping[str, Any],
) -> Container:
    status = _PODMAN_STATES.get(state["Status"], state["Status"])
    finished_at = parse_time(state.get("FinishedAt"))
    return Container(
        id=str(raw["Id"]),
        name=str(raw["Name"]).removeprefix("/"),
        image=str(config.get("Image") or ""),
        image_id=str(raw.get("Image") or ""),
        state=status if status in STATES else "dead",
        health=_health(state) if status == "running" else "none",
        exit_code=int(state.get("ExitCode") or 0) if status in _ENDED and finished_at else None,
        restart_count=int(raw.get("RestartCount") or 0),
        oom_killed=bool(state.get("OOMKilled")),
        pid=int(state.get("Pid") or 0),
        created_at=parse_time(raw.get("Created")),
        started_at=parse_time(state.get("StartedAt")),
        finished_at=finished_at,
        cpu_limit_cores=_cpu_limit(host),
        memory_limit_bytes=max(0, int(host.get("Memory") or 0)) or None,
        pids_limit=max(0, int(host.get("PidsLimit") or 0)) or None,
        network_mode=str(host.get("NetworkMode") or "default"),
        restart_policy=str((host.get("RestartPolicy") or {}).get("Name") or "no"),
        log_driver=str((host.get("LogConfig") or {}).get("Type") or ""),
        cgroup_parent=str(host.get("CgroupParent") or ""),
        labels=_texts(config.get("Labels")),
        log_options=_texts((host.get("LogConfig") or {}).get("Config")),
        tty=bool(config.get("Tty")),
        addresses=_addresses(config, host, network),
        published_ports=_published_ports(host, network),
    )


def _texts(raw: Mapping[str, Any] | None) -> Mapping[str, str]:
    return MappingProxyType({str(key): str(text) for key, text in (raw or {}).items()})


def _addresses(
    config: Mapping[str, Any], host: Mapping[str, Any], network: Mapping[str, Any]
) -> tuple[str, ...]:
    # On the host's network Hostname is the host's own, which is not a name of this container.
    found = {"" if host.get("NetworkMode") == "host" else str(config.get("Hostname") or "")}
    for endpoint in filter(None, (network.get("Networks") or {}).values()):
        # Since Engine 25 names that are not the user's own stand in DNSNames.
        found.update(map(str, [*(endpoint.get("Aliases") or ()), *(endpoint.get("DNSNames") or ())]))
        found.update(str(endpoint.get(key) or "") for key in ("IPAddress", "GlobalIPv6Address"))
    return tuple(sorted(found - {""}))


def _published_ports(host: Mapping[str, Any], network: Mapping[str, Any]) -> tuple[int, ...]:
    # What was asked for is known from creation on; what the Engine chose by itself, while it runs.
    published = [*(host.get("PortBindings") or {}).values(), *(network.get("Ports") or {}).values()]
    texts = {str(each.get("HostPort") or "") for bound in published for each in bound or ()}
    return tuple(sorted({int(text) for text in texts if text.isdecimal()} - {0}))


def _health(state: Mapping[str, Any]) -> str:
    """Return the health of a running container.

    Of others there is none: the Engine calls a container unhealthy as soon as its check is ended by a stop or
    a pause.
    """
    # Podman calls it Healthcheck in older answers; a container without a check has no such field.
    health = state.get("Health") or state.get("Healthcheck") or {}
    status = str(health.get("Status") or "none")
    return status if status in HEALTHS else "none"


def _cpu_limit(host: Mapping[str, Any]) -> float | None:
    """Return cores: ``--cpus`` (NanoCpus) or ``--cpu-quota`` over ``--cpu-period`` (default 100 ms)."""
    if nano := int(host.get("NanoCpus") or 0):
        return nano / 1e9
    quota = int(host.get("CpuQuota") or 0)
    return quota / (int(host.get("CpuPeriod") or 0) or 100_000) if quota > 0 else None


def parse_time(text: str | None) -> float | None:
    """Return Unix seconds for an RFC 3339 time with up to nanoseconds; None for Go's zero time."""
    if not text or text.startswith(_NEVER):
        return None
    return datetime.fromisoformat(text).timestamp()


@dataclass(frozen=True, slots=True)
class Engine:
    """What the Engine says of itself and its host, from ``/version`` and ``/info``."""

    id: str = ""
    name: str = ""
    product: str = "docker"
    version: str = ""
    api_version: str = ""
    os: str = ""
    kernel: str = ""
    architecture: str = ""
    cgroup_version: str = ""
    cgroup_driver: str = ""
    storage_driver: str = ""
    root_dir: str = ""
    cpus: int = 0
    memory_bytes: int = 0


def engine_from_json(info: Mapping[str, Any], version: Mapping[str, Any]) -> Engine:
    """Return the Engine in the answers of ``GET /info`` and ``GET /version``; EngineGarbage if it is none."""
    try:
        return _engine(info, version)
    except _WRONG_SHAPE as error:
        raise EngineGarbage(f"not an Engine: {type(error).__name__} {error}") from error


def _engine(info: Mapping[str, Any], version: Mapping[str, Any]) -> Engine:
    components = [str(each.get("Name", "")) for each in version.get("Components") or []]
    return Engine(
        id=str(info.get("ID") or ""),
        name=str(info.get("Name") or ""),
        product="podman" if any("Podman" in name for name in components) else "docker",
        version=str(version.get("Version") or ""),
        api_version=str(version.get("ApiVersion") or ""),
        os=str(info.get("OperatingSystem") or ""),
        kernel=str(info.get("KernelVersion") or ""),
        architecture=str(info.get("Architecture") or ""),
        cgroup_version=str(info.get("CgroupVersion") or "1"),
        cgroup_driver=str(info.get("CgroupDriver") or ""),
        storage_driver=str(info.get("Driver") or ""),
        root_dir=str(info.get("DockerRootDir") or ""),
        cpus=int(info.get("NCPU") or 0),
        memory_bytes=int(info.get("MemTotal") or 0),
    )
