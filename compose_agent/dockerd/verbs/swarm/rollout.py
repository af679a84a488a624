"""How far Swarm has come with an update that was asked for. Pure."""

from __future__ import annotations

from compose_agent.dockerd.verbs.contract import Done, Facts, Failed, InProgress, Observation
from compose_agent.dockerd.verbs.swarm.services import SwarmService


def new_rollout(service: SwarmService, facts: Facts) -> bool:
    """Tell whether an update began after the facts were noted."""
    return service.update_started_at not in ("", facts["update_started_at"])


def followed(service: SwarmService, wanted: str) -> Observation:
    """Return how an update ends; ``wanted`` is its good end: ``completed`` or ``rollback_completed``."""
    if service.busy:
        return InProgress()
    if service.update_state == wanted:
        return Done({"update": service.update_state})
    return Failed(f"the update of {service.name} is {service.update_state}: {service.update_message}")
