"""The two steps of scaling: one replica more, one replica less."""

from __future__ import annotations

from contextlib import suppress

from compose_agent.dockerd.verbs.compose.calls import Calls
from compose_agent.dockerd.verbs.compose.clone import clone_body, version_of
from compose_agent.dockerd.verbs.compose.plan import Add
from compose_agent.dockerd.verbs.compose.siblings import Replica
from compose_agent.errors import EngineNotFound, EngineRefused
from compose_agent.failpoints import failpoint

CONFLICT = 409


def add(calls: Calls, step: Add, request_id: str) -> bool:
    """Make one more replica and start it; False when somebody else was faster with its name.

    The name is the lock: the Engine gives it once, and whoever comes second looks again. Raises
    EngineRefused, with the Engine's words, when it cannot be made or started; then nothing is left of it.
    """
    plan = clone_body(step.source, step.number, request_id, version_of(calls.api_version))
    failpoint("scale.before-create")
    try:
        container_id = calls.create(plan.name, plan.body)
    except EngineRefused as error:
        if error.status == CONFLICT:
            return False
        raise
    failpoint("scale.after-create")
    try:
        for network, endpoint in plan.networks.items():
            calls.connect(network, container_id, endpoint)
        failpoint("scale.before-start")
        calls.start(container_id)
    except EngineRefused as error:
        discard(calls, container_id)
        raise not_started(plan.name, error.message, error.status) from error
    failpoint("scale.after-start")
    return True


def remove(calls: Calls, replica: Replica) -> None:
    """Stop a replica in its own time and remove it; nothing happens to one that is gone.

    Volumes without a name go with a clone, which nobody could reach any more. Those of Compose's own replicas
    stay, as with Compose. One that somebody started meanwhile stays, too.
    """
    failpoint("scale.before-stop")
    try:
        calls.stop(replica.id, replica.raw["Config"].get("StopTimeout"))
        failpoint("scale.before-remove")
        _remove(calls, replica.id, volumes=bool(replica.request))
    except EngineNotFound:
        return
    failpoint("scale.after-remove")


def discard(calls: Calls, container_id: str) -> None:
    """Remove a clone that never ran; nothing happens to one that is gone or runs by now."""
    with suppress(EngineNotFound):
        _remove(calls, container_id, volumes=True)


def not_started(name: str, reason: str, status: int) -> EngineRefused:
    """Return the error about a clone that the Engine could not start."""
    return EngineRefused(
        f"{name} was made but could not be started, and is removed again: {reason}", status=status
    )


def _remove(calls: Calls, container_id: str, *, volumes: bool) -> None:
    try:
        calls.remove(container_id, volumes=volumes)
    except EngineRefused as error:
        # It runs again, or somebody else is at removing it: the next look tells.
        if error.status != CONFLICT:
            raise
