"""Let a frozen container go on. To ask twice for it does no harm."""

from __future__ import annotations

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.verbs.containers import facts_of, gone, look, must_look
from compose_agent.dockerd.verbs.contract import Done, Facts, Failed, NeverSent, Observation, Refused
from compose_agent.dockerd.verbs.model import VerbRequest
from compose_agent.dockerd.verbs.optin import RESTART


class Unpause:
    """Let a frozen container go on."""

    name = "unpause"
    action = RESTART

    def prepare(self, client: EngineClient, request: VerbRequest) -> Facts:
        """Note how the container is before; raises Refused when it does not run."""
        seen = must_look(client, request)
        if not seen.running:
            raise Refused(f"{seen.name} does not run, so it cannot be unpaused")
        return facts_of(client, seen)

    def call(self, client: EngineClient, request: VerbRequest, facts: Facts) -> None:
        """Have the Engine let it go on."""
        client.unpause(facts["id"])

    def observe(self, client: EngineClient, request: VerbRequest, facts: Facts) -> Observation:
        """Look whether it goes on."""
        seen = look(client, facts["id"])
        if seen is None:
            return Failed(gone())
        if seen.paused:
            return NeverSent()
        return Done({"status": seen.status}) if seen.running else Failed(seen.why)
