"""The verb that has Swarm replace every task of a service, as its update settings say: its restart."""

from __future__ import annotations

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.verbs.contract import Facts, InProgress, NeverSent, Observation, Refused
from compose_agent.dockerd.verbs.model import VerbRequest
from compose_agent.dockerd.verbs.swarm.rollout import followed, new_rollout
from compose_agent.dockerd.verbs.swarm.services import (
    Spec,
    SwarmService,
    change,
    facts_of,
    find,
    must_find,
)


class ForceUpdate:
    """Adds one to ``ForceUpdate`` of a service's specification and follows the update to its end."""

    name = "swarm_update"
    action = "restart"

    def prepare(self, client: EngineClient, request: VerbRequest) -> Facts:
        """Look at the service; a job runs once and cannot be updated so."""
        service = must_find(client, request.target)
        if {"ReplicatedJob", "GlobalJob"} & set(service.spec["Mode"]):
            raise Refused(f"{service.name} is a job, which runs once and is not updated")
        return facts_of(service, before=service.force_update)

    def call(self, client: EngineClient, request: VerbRequest, facts: Facts) -> None:
        """Send the specification with the next number."""
        change(client, str(facts["id"]), lambda service: _forced(service, facts))

    def observe(self, client: EngineClient, request: VerbRequest, facts: Facts) -> Observation:
        """Follow the update, which may end with a rollback that takes the number back as well."""
        service = find(client, str(facts["id"]))
        if new_rollout(service, facts):
            return followed(service, "completed")
        return NeverSent() if service.force_update == facts["before"] else InProgress()


def _forced(service: SwarmService, facts: Facts) -> Spec | None:
    if service.force_update != facts["before"] or new_rollout(service, facts):
        return None  # it is done, or somebody else is at an update
    template = {**service.spec["TaskTemplate"], "ForceUpdate": service.force_update + 1}
    return {**service.spec, "TaskTemplate": template}
