"""What a service looks like at this moment."""

from __future__ import annotations

from functools import partial

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.verbs.compose.calls import changed_paths, inspected, path_stat
from compose_agent.dockerd.verbs.compose.injected import injected_files
from compose_agent.dockerd.verbs.compose.siblings import Service, is_replica, labels_of, service_from


def look_at(client: EngineClient, target: str) -> Service:
    """Return the service ``project/service`` as it is now: one list, and one inspect for each replica."""
    project, _, name = target.partition("/")
    listed = client.list_containers()
    ids = [str(each["Id"]) for each in listed if is_replica(labels_of(each), project, name)]
    found = [raw for each in ids if (raw := inspected(client, each)) is not None]
    return service_from(target, found, listed)


def injected_into_source(client: EngineClient, service: Service) -> list[str] | None:
    """Return the files that Compose has put into the replica to be cloned; None when that cannot be told."""
    if (source := service.source) is None:
        return []
    return injected_files(source, changed_paths(client, source.id), partial(path_stat, client, source.id))
