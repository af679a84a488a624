"""Stop a container. To ask twice for it does no harm."""

from __future__ import annotations

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.verbs.containers import ANSWER_SECONDS, facts_of, gone, look, must_look
from compose_agent.dockerd.verbs.contract import (
    Done,
    Facts,
    Failed,
    InProgress,
    NeverSent,
    Observation,
)
from compose_agent.dockerd.verbs.evidence import gather
from compose_agent.dockerd.verbs.model import VerbRequest
from compose_agent.dockerd.verbs.optin import RESTART
from compose_agent.dockerd.verbs.stopping import NEVER_ENDS, stop_facts


class Stop:
    """Stop a container. Arguments: ``timeout`` (seconds until SIGKILL), ``signal``."""

    name = "stop"
    action = RESTART

    def prepare(self, client: EngineClient, request: VerbRequest) -> Facts:
        """Note how the container is before; raises Refused when there is none."""
        seen = must_look(client, request)
        return facts_of(client, seen, **stop_facts(client, seen, request))

    def call(self, client: EngineClient, request: VerbRequest, facts: Facts) -> None:
        """Have the Engine stop it, and wait longer than that may take."""
        seconds = int(facts["stop_seconds"])
        client.stop(facts["id"], seconds, signal=facts["signal"], timeout=seconds + ANSWER_SECONDS)

    def observe(self, client: EngineClient, request: VerbRequest, facts: Facts) -> Observation:
        """Look whether it stands still; one that somebody has started since is not stopped again."""
        seen = look(client, facts["id"])
        if seen is None:
            return Failed(gone())
        if not seen.running:
            return Done({"finished_at": seen.finished_at, "exit_code": seen.exit_code})
        evidence = gather(client, facts)
        if seen.started_since(facts) and evidence.happened("stop"):
            return Failed("it was stopped, and has been started again since")
        begun = evidence.stop_begun(facts)
        if begun is None:
            return NeverSent()
        if not evidence.is_overdue(begun.time_ns, facts):
            return InProgress()
        return NEVER_ENDS
