"""The replicas of a Compose service, out of the Engine's JSON, and which of them can be cloned."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from compose_agent.dockerd.model import (
    NUMBER_LABEL,
    PROJECT_LABEL,
    SERVICE_LABEL,
    Container,
    container_from_inspect,
)
from compose_agent.dockerd.verbs.namespaces import dependents
from compose_agent.labels import REQUEST

HASH_LABEL = "com.docker.compose.config-hash"
# Compose's mark on a container that took over from another, with the name of that.
REPLACE_LABEL = "com.docker.compose.replace"
# Helpers that Compose starts for hooks are no replicas.
HOOK_LABEL = "com.docker.compose.hook"
SWARM_LABEL = "com.docker.swarm.service.id"
# Ours, on every clone: the id of the request that made it. What a crash left behind is found by it.
REQUEST_LABEL = REQUEST

Json = Mapping[str, Any]
# While Compose replaces a container, the old or the new one is called by a short id and the final name.
_REPLACING = re.compile(r"[0-9a-f]{12}_.+")


@dataclass(frozen=True, slots=True)
class Replica:
    """One container of a service: what it is, and the Engine's whole JSON about it, to be cloned."""

    container: Container
    number: int
    raw: Json

    @property
    def id(self) -> str:
        """The container's full id."""
        return self.container.id

    @property
    def name(self) -> str:
        """The container's name, without a slash."""
        return self.container.name

    @property
    def config_hash(self) -> str:
        """Compose's hash of the configuration that it was made from."""
        return self.container.labels.get(HASH_LABEL, "")

    @property
    def request(self) -> str:
        """The id of the request that made it, empty when Compose did."""
        return self.container.labels.get(REQUEST_LABEL, "")

    @property
    def healthy(self) -> bool:
        """Whether it does its work: it runs, and its health check, if it has one, says so."""
        return self.container.state == "running" and self.container.health in ("none", "healthy")

    @property
    def was_started(self) -> bool:
        """Whether it has ever run."""
        return self.container.started_at is not None

    @property
    def error(self) -> str:
        """What the Engine said when it could not be started, empty for nothing."""
        return str((self.raw.get("State") or {}).get("Error") or "")

    @property
    def leaving(self) -> bool:
        """Whether the Engine is removing it."""
        return self.container.state == "removing"

    @property
    def being_replaced(self) -> bool:
        """Whether Compose is at replacing it, which shows in its name."""
        return _REPLACING.fullmatch(self.name) is not None


@dataclass(frozen=True, slots=True)
class Service:
    """The replicas of a service by number, and every container of the Engine in the list's short form."""

    project: str
    name: str
    replicas: tuple[Replica, ...]
    neighbours: tuple[Json, ...] = ()

    @property
    def target(self) -> str:
        """The service as requests and people call it."""
        return f"{self.project}/{self.name}"

    @property
    def source(self) -> Replica | None:
        """The replica to clone: a healthy one, rather Compose's own than a clone, with the lowest number."""
        healthy = [each for each in self.replicas if each.healthy]
        return min(healthy, key=lambda each: (bool(each.request), each.number), default=None)

    @property
    def next_number(self) -> int:
        """The number that Compose would give next: gaps are not filled."""
        return max((each.number for each in self.replicas), default=0) + 1

    def has_name(self, name: str) -> bool:
        """Tell whether any container of the Engine, of whatever project, is called so."""
        return any(f"/{name}" in (each.get("Names") or ()) for each in self.neighbours)

    def sharing_network_of(self, replica: Replica) -> list[str]:
        """Return the names of the containers whose network is this replica's."""
        sharing = dependents(self.neighbours).get(replica.id, ())
        return [_name(each) for each in self.neighbours if each.get("Id") in sharing]


def service_from(target: str, inspected: Iterable[Json], listed: Iterable[Json] = ()) -> Service:
    """Return the service ``project/service``.

    ``inspected`` are answers of ``GET /containers/{id}/json``, of which those that are no replicas of it are
    left out; ``listed`` is the answer of ``GET /containers/json``.
    """
    project, _, name = target.partition("/")
    replicas = [replica_from(raw) for raw in inspected if is_replica(labels_of(raw), project, name)]
    replicas.sort(key=lambda each: (each.number, each.id))
    return Service(project, name, tuple(replicas), tuple(listed))


def replica_from(raw: Json) -> Replica:
    """Return the replica in an answer of inspect; EngineGarbage if it is none."""
    container = container_from_inspect(raw)
    number = container.labels.get(NUMBER_LABEL, "")
    return Replica(container, int(number) if number.isdecimal() else 0, raw)


def is_replica(labels: Mapping[str, str], project: str, service: str) -> bool:
    """Tell whether Compose counts a container with these labels among the replicas of a service.

    Without a hash of the configuration none of its commands sees a container; what ``docker compose run``
    made is a one-off.
    """
    return (
        labels.get(PROJECT_LABEL) == project
        and labels.get(SERVICE_LABEL) == service
        and HASH_LABEL in labels
        and not is_one_off(labels)
        and HOOK_LABEL not in labels
    )


def is_one_off(labels: Mapping[str, str]) -> bool:
    """Tell whether ``docker compose run`` made the container."""
    return labels.get("com.docker.compose.oneoff", "").lower() == "true"


def labels_of(raw: Json) -> Mapping[str, str]:
    """Return the labels in an answer of inspect, or in one item of the list."""
    config = raw.get("Config")
    labels = config.get("Labels") if isinstance(config, Mapping) else raw.get("Labels")
    return labels if isinstance(labels, Mapping) else {}


def _name(listed: Json) -> str:
    names = listed.get("Names") or [str(listed.get("Id", ""))[:12]]
    # Legacy links add further names, which have a second slash.
    return min((str(each).removeprefix("/") for each in names), key=lambda each: each.count("/"))
