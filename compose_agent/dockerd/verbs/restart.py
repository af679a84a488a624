"""Restart a container, whatever state it is in."""

from __future__ import annotations

from typing import Any

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.verbs.containers import ANSWER_SECONDS, Look, facts_of, gone, look, must_look
from compose_agent.dockerd.verbs.contract import (
    Done,
    Facts,
    Failed,
    InProgress,
    NeverSent,
    Observation,
)
from compose_agent.dockerd.verbs.evidence import Evidence, gather
from compose_agent.dockerd.verbs.model import VerbRequest
from compose_agent.dockerd.verbs.optin import RESTART
from compose_agent.dockerd.verbs.stopping import NEVER_ENDS, stop_facts


class Restart:
    """Arguments: ``timeout`` (seconds until SIGKILL), ``signal`` (instead of the container's stop signal).

    The Engine's answer tells too little: several restarts at once become one, a client that has gone stops
    nothing, and a start that fails has no event. So what was started, and when, is what decides.
    """

    name = "restart"
    action = RESTART

    def prepare(self, client: EngineClient, request: VerbRequest) -> Facts:
        """Note how the container is before; raises Refused when there is none."""
        seen = must_look(client, request)
        return facts_of(client, seen, **stop_facts(client, seen, request))

    def call(self, client: EngineClient, request: VerbRequest, facts: Facts) -> None:
        """Have the Engine restart it, and wait longer than the stop may take."""
        seconds = int(facts["stop_seconds"])
        client.restart(facts["id"], seconds, signal=facts["signal"], timeout=seconds + ANSWER_SECONDS)

    def observe(self, client: EngineClient, request: VerbRequest, facts: Facts) -> Observation:
        """Judge by when it was last started, then by how its start failed, then by events."""
        seen = look(client, facts["id"])
        if seen is None:
            return Failed(gone())
        return judge_state(facts, seen) or judge_events(facts, seen, gather(client, facts))


def judge_state(facts: Facts, seen: Look) -> Observation | None:
    """Return what the container's state proves; None when it is as it was or stopped."""
    if seen.started_since(facts):
        return Done(_details(facts, seen))
    return Failed(seen.why) if seen.start_failed_since(facts) else None


def judge_events(facts: Facts, seen: Look, evidence: Evidence) -> Observation:
    """Return what the events prove of a container that was not started since."""
    begun = evidence.stop_begun(facts)
    if begun is not None:
        if not evidence.is_overdue(begun.time_ns, facts):
            return InProgress()
        if seen.running:
            return NEVER_ENDS
        return Failed("it was stopped and not started again")
    # Without any sign of it the stop was not begun, unless the sign was lost and it is under way.
    if evidence.complete or evidence.is_overdue(int(facts["engine_ns"]), facts):
        return NeverSent()
    return InProgress()


def _details(facts: Facts, seen: Look) -> dict[str, Any]:
    details = {"started_at": seen.started_at, "started_before": facts["started_at"], "status": seen.status}
    return details if seen.running else details | {"exit_code": seen.exit_code}
