"""Start a container. To ask twice for it does no harm."""

from __future__ import annotations

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.verbs.containers import ANSWER_SECONDS, facts_of, gone, look, must_look
from compose_agent.dockerd.verbs.contract import Done, Facts, Failed, NeverSent, Observation, Refused
from compose_agent.dockerd.verbs.model import VerbRequest
from compose_agent.dockerd.verbs.optin import RESTART


class Start:
    """Start a container that does not run."""

    name = "start"
    action = RESTART

    def prepare(self, client: EngineClient, request: VerbRequest) -> Facts:
        """Note how the container is before; raises Refused when it is gone or paused."""
        seen = must_look(client, request)
        if seen.paused:
            raise Refused(f"{seen.name} is paused; unpause it instead")
        return facts_of(client, seen)

    def call(self, client: EngineClient, request: VerbRequest, facts: Facts) -> None:
        """Have the Engine start it."""
        client.start(facts["id"], timeout=ANSWER_SECONDS)

    def observe(self, client: EngineClient, request: VerbRequest, facts: Facts) -> Observation:
        """Look whether it runs, or has run since."""
        seen = look(client, facts["id"])
        if seen is None:
            return Failed(gone())
        if seen.running or seen.started_since(facts):
            return Done({"started_at": seen.started_at, "status": seen.status})
        return Failed(seen.why) if seen.start_failed_since(facts) else NeverSent()
