"""The verb that gives a Swarm service so many replicas."""

from __future__ import annotations

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.verbs.contract import Done, Facts, Failed, NeverSent, Observation, Refused
from compose_agent.dockerd.verbs.counts import resolved_count
from compose_agent.dockerd.verbs.model import VerbRequest
from compose_agent.dockerd.verbs.swarm.services import (
    Spec,
    SwarmService,
    change,
    facts_of,
    find,
    must_find,
)


class SwarmScale:
    """Changes ``Replicas`` of a service's specification and nothing else.

    Arguments: ``to``, a number, ``min`` or ``max``; or ``by``, a difference to what there is when the request
    is begun; within ``min`` and ``max``, or what the service's labels say instead.

    It is done when the specification says so: Swarm then starts and stops tasks until they are so many.
    """

    name = "swarm_scale"
    action = "scale"

    def prepare(self, client: EngineClient, request: VerbRequest) -> Facts:
        """Look at the service; one with a task on each node, or a job, cannot be scaled."""
        service = must_find(client, request.target)
        if service.replicas is None:
            mode = next(iter(service.spec["Mode"]), "unknown")
            raise Refused(f"{service.name} has the mode {mode}, in which the number of tasks is not chosen")
        to = resolved_count(request.arguments, service.replicas, service.spec.get("Labels") or {})
        return facts_of(service, to=to, before=service.replicas)

    def call(self, client: EngineClient, request: VerbRequest, facts: Facts) -> None:
        """Send the specification with the other number."""
        change(client, str(facts["id"]), lambda service: _scaled(service, facts))

    def observe(self, client: EngineClient, request: VerbRequest, facts: Facts) -> Observation:
        """Compare the number with that before and the wanted one."""
        service = find(client, str(facts["id"]))
        if service.replicas == facts["to"]:
            return Done({"replicas": service.replicas, "before": facts["before"]})
        if service.replicas == facts["before"]:
            return NeverSent()
        return Failed(
            f"somebody else gave {service.name} {service.replicas} replicas meanwhile, and that is left as "
            "it is"
        )


def _scaled(service: SwarmService, facts: Facts) -> Spec | None:
    if service.replicas != facts["before"] or service.replicas == facts["to"] or service.busy:
        return None
    mode = {"Replicated": {**service.spec["Mode"]["Replicated"], "Replicas": facts["to"]}}
    return {**service.spec, "Mode": mode}
