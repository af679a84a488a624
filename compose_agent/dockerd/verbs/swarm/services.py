"""Reading a Swarm service and changing its specification."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.failures import decoded
from compose_agent.dockerd.verbs.contract import Facts, Refused
from compose_agent.errors import EngineGarbage, EngineNotFound, EngineRefused

# A specification is read and sent back within milliseconds: who is outrun so often has a rival without rest.
TRIES = 20
_TRY_AGAIN_SECONDS = 0.05
# How the Engine says that the version is another one by now; its status is 500.
_OUTRUN = "update out of sequence"
_NO_MANAGER = 503
_BUSY = ("updating", "rollback_started")

Spec = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SwarmService:
    """A service: its specification at a version, the one before, and how far its last update has come."""

    id: str
    version: int
    spec: Spec
    has_previous: bool
    update_state: str
    update_started_at: str
    update_message: str

    @property
    def name(self) -> str:
        """The service's name."""
        return str(self.spec["Name"])

    @property
    def replicas(self) -> int | None:
        """The number of replicas that it is to have; None of one with a task on each node, and of a job."""
        replicated = self.spec["Mode"].get("Replicated")
        return None if replicated is None else int(replicated.get("Replicas", 1))

    @property
    def force_update(self) -> int:
        """The counter whose change makes Swarm replace every task."""
        return int(self.spec["TaskTemplate"].get("ForceUpdate") or 0)

    @property
    def busy(self) -> bool:
        """Whether Swarm is at an update or a rollback of it."""
        return self.update_state in _BUSY


def find(client: EngineClient, target: str) -> SwarmService:
    """Return the service with this id or name; EngineNotFound when there is none."""
    answer = client.exchange("service_inspect", "GET", _path(target), decoded)
    try:
        status = answer.get("UpdateStatus") or {}
        return SwarmService(
            id=str(answer["ID"]),
            version=int(answer["Version"]["Index"]),
            spec=dict(answer["Spec"]),
            has_previous=bool(answer.get("PreviousSpec")),
            update_state=str(status.get("State") or ""),
            update_started_at=str(status.get("StartedAt") or ""),
            update_message=str(status.get("Message") or ""),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EngineGarbage(f"not a service: {type(error).__name__} {error}") from error


def must_find(client: EngineClient, target: str) -> SwarmService:
    """Return a service that may be changed now; raises Refused with the reason when there is none."""
    try:
        service = find(client, target)
    except EngineNotFound as error:
        raise Refused(f"there is no Swarm service {target}") from error
    except EngineRefused as error:
        if error.status != _NO_MANAGER:
            raise
        raise Refused(
            "this Engine is no manager of a Swarm, so it has no services to change: ask one that is"
        ) from error
    if service.busy:
        raise Refused(
            f"Swarm is at an update of {service.name} ({service.update_state}): ask again when that is over"
        )
    return service


def facts_of(service: SwarmService, **more: Any) -> Facts:
    """Return what there is to compare with afterwards."""
    return {
        "name": service.name,
        "labels": dict(service.spec.get("Labels") or {}),
        "id": service.id,
        "version": service.version,
        "update_started_at": service.update_started_at,
        **more,
    }


def change(
    client: EngineClient,
    target: str,
    changed: Callable[[SwarmService], Spec | None],
    *,
    rollback: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Send what ``changed`` makes of the present specification, until nobody else is faster.

    ``changed`` returns None when there is nothing to be done (any more). ``rollback``: the specification
    before takes the place of this one. Raises EngineRefused after :data:`TRIES`.
    """
    for tries_left in range(TRIES - 1, -1, -1):
        service = find(client, target)
        spec = changed(service)
        if spec is None:
            return
        try:
            _send(client, service, spec, rollback=rollback)
        except EngineRefused as error:
            if _OUTRUN not in error.message or not tries_left:
                raise
            sleep(_TRY_AGAIN_SECONDS)
        else:
            return


def _send(client: EngineClient, service: SwarmService, spec: Spec, *, rollback: bool) -> None:
    params = {"version": str(service.version), "registryAuthFrom": "spec"}
    if rollback:
        params |= {"rollback": "previous"}
    path = f"{_path(service.id)}/update"
    client.exchange("service_update", "POST", path, decoded, params=params, body=spec)


def _path(target: str) -> str:
    return f"/services/{quote(target, safe='')}"
