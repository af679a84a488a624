"""The verb that gives a Swarm service the specification that it had before its last update."""

from __future__ import annotations

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.verbs.contract import Facts, Failed, NeverSent, Observation, Refused
from compose_agent.dockerd.verbs.model import VerbRequest
from compose_agent.dockerd.verbs.swarm.rollout import followed, new_rollout
from compose_agent.dockerd.verbs.swarm.services import change, facts_of, find, must_find


class Rollback:
    """Has Swarm go back by one update and follows it to its end. A number of replicas goes back, too."""

    name = "swarm_rollback"
    action = "restart"

    def prepare(self, client: EngineClient, request: VerbRequest) -> Facts:
        """Look at the service; one that was never updated has nothing to go back to."""
        service = must_find(client, request.target)
        if not service.has_previous:
            raise Refused(f"{service.name} was never updated, so there is nothing to go back to")
        return facts_of(service)

    def call(self, client: EngineClient, request: VerbRequest, facts: Facts) -> None:
        """Ask for the rollback of the version that was looked at: after another one it would be another."""
        change(
            client,
            str(facts["id"]),
            lambda service: service.spec if service.version == facts["version"] else None,
            rollback=True,
        )

    def observe(self, client: EngineClient, request: VerbRequest, facts: Facts) -> Observation:
        """Follow the rollback."""
        service = find(client, str(facts["id"]))
        if new_rollout(service, facts):
            return followed(service, "rollback_completed")
        if service.version == facts["version"]:
            return NeverSent()
        return Failed(f"somebody else has changed {service.name} meanwhile, and that is left as it is")
