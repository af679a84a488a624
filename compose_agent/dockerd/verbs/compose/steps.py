"""The two steps of scaling: one replica more, one replica less."""

from __future__ import annotations

from contextlib import suppress

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.verbs.compose.clone import clone_body, version_of
from compose_agent.dockerd.verbs.compose.plan import Add
from compose_agent.dockerd.verbs.compose.siblings import Replica
from compose_agent.dockerd.verbs.containers import ANSWER_SECONDS, DEFAULT_STOP_SECONDS, MAX_STOP_SECONDS
from compose_agent.errors import EngineNotFound, EngineRefused
from compose_agent.failpoints import failpoint

# A start waits for networks, volumes and the runtime, on a disk that is shared with everything else.
START_SECONDS = 60.0
_CONFLICT = 409


def add(client: EngineClient, step: Add, request_id: str) -> bool:
    """Make one more replica and start it; False when somebody else was faster with its name.

    The name is the lock: the Engine gives it once, and whoever comes second looks again. Raises
    EngineRefused, with the Engine's words, when it cannot be made or started; then nothing is left of it.
    """
    plan = clone_body(step.source, step.number, request_id, _spoken(client))
    failpoint("scale.before-create")
    try:
        container_id = client.create(plan.name, plan.body)
    except EngineRefused as error:
        if error.status == _CONFLICT:
            return False
        raise
    failpoint("scale.after-create")
    try:
        for network, endpoint in plan.networks.items():
            client.network_connect(network, container_id, endpoint)
        failpoint("scale.before-start")
        client.start(container_id, timeout=START_SECONDS)
    except EngineRefused as error:
        discard(client, container_id)
        raise not_started(plan.name, error.message, error.status) from error
    failpoint("scale.after-start")
    return True


def remove(client: EngineClient, replica: Replica) -> None:
    """Stop a replica in its own time and remove it; nothing happens to one that is gone.

    Volumes without a name go with a clone, which nobody could reach any more. Those of Compose's own replicas
    stay, as with Compose. One that somebody started meanwhile stays, too.
    """
    failpoint("scale.before-stop")
    try:
        seconds = _stop_seconds(replica)
        client.stop(replica.id, seconds, timeout=seconds + ANSWER_SECONDS)
        failpoint("scale.before-remove")
        _remove(client, replica.id, volumes=bool(replica.request))
    except EngineNotFound:
        return
    failpoint("scale.after-remove")


def discard(client: EngineClient, container_id: str) -> None:
    """Remove a clone that never ran; nothing happens to one that is gone or runs by now."""
    with suppress(EngineNotFound):
        _remove(client, container_id, volumes=True)


def not_started(name: str, reason: str, status: int) -> EngineRefused:
    """Return the error about a clone that the Engine could not start."""
    return EngineRefused(
        f"{name} was made but could not be started, and is removed again: {reason}", status=status
    )


def _spoken(client: EngineClient) -> tuple[int, int]:
    if client.api_version is None:
        client.negotiate()
    return version_of(client.api_version or "")


def _stop_seconds(replica: Replica) -> int:
    own = replica.raw["Config"].get("StopTimeout")
    if own is None:
        return DEFAULT_STOP_SECONDS
    # Less than 0 asks for a stop that waits without end, and somebody waits for this one.
    return int(own) if 0 <= own <= MAX_STOP_SECONDS else MAX_STOP_SECONDS


def _remove(client: EngineClient, container_id: str, *, volumes: bool) -> None:
    try:
        client.remove(container_id, force=False, volumes=volumes, timeout=ANSWER_SECONDS)
    except EngineRefused as error:
        # It runs again, or somebody else is at removing it: the next look tells.
        if error.status != _CONFLICT:
            raise
