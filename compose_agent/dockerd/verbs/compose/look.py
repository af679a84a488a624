"""What a service looks like at this moment."""

from __future__ import annotations

from compose_agent.dockerd.verbs.compose.calls import Calls
from compose_agent.dockerd.verbs.compose.injected import injected_files
from compose_agent.dockerd.verbs.compose.plan import Wish, vanished_clones
from compose_agent.dockerd.verbs.compose.siblings import (
    REQUEST_LABEL,
    Service,
    is_replica,
    labels_of,
    service_from,
)


def look_at(calls: Calls, target: str) -> Service:
    """Return the service ``project/service`` as it is now: one list, and one inspect for each replica."""
    project, _, name = target.partition("/")
    listed = calls.listed()
    ids = [str(each["Id"]) for each in listed if is_replica(labels_of(each), project, name)]
    inspected = [raw for each in ids if (raw := calls.inspected(each)) is not None]
    return service_from(target, inspected, listed)


def injected_into_source(calls: Calls, service: Service) -> list[str] | None:
    """Return the files that Compose has put into the replica to be cloned; None when that cannot be told."""
    if (source := service.source) is None:
        return []
    return injected_files(source, calls.changes(source.id), lambda path: calls.stat(source.id, path))


def vanished(calls: Calls, wish: Wish, since: float) -> frozenset[str]:
    """Return the names of a request's clones that ran and that somebody has removed."""
    return vanished_clones(calls.events_of(f"{REQUEST_LABEL}={wish.request_id}", since))
