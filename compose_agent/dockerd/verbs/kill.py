"""Send a signal to a container's main process."""

from __future__ import annotations

import signal

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.verbs.containers import Look, facts_of, gone, look, must_look
from compose_agent.dockerd.verbs.contract import (
    Done,
    Facts,
    Failed,
    NeverSent,
    Observation,
    Refused,
    Unknown,
)
from compose_agent.dockerd.verbs.evidence import Evidence, gather, signal_number
from compose_agent.dockerd.verbs.model import VerbRequest
from compose_agent.dockerd.verbs.optin import RESTART

_DEFAULT = "SIGKILL"


class Kill:
    """Arguments: ``signal``, SIGKILL unless given. It is done when the signal is sent."""

    name = "kill"
    action = RESTART

    def prepare(self, client: EngineClient, request: VerbRequest) -> Facts:
        """Note how the container is before; raises Refused when it does not run."""
        seen = must_look(client, request)
        given = str(request.arguments.get("signal") or _DEFAULT)
        number = signal_number(given)
        if number is None:
            raise Refused(f"there is no signal '{given}'")
        if not seen.running:
            raise Refused(f"{seen.name} does not run, so there is nobody to send a signal to")
        return facts_of(client, seen, signal=number)

    def call(self, client: EngineClient, request: VerbRequest, facts: Facts) -> None:
        """Have the Engine send it."""
        client.kill(facts["id"], str(facts["signal"]))

    def observe(self, client: EngineClient, request: VerbRequest, facts: Facts) -> Observation:
        """Look for the Engine's event of it; a signal leaves no other trace that is its own."""
        seen = look(client, facts["id"])
        return Failed(gone()) if seen is None else judge(facts, seen, gather(client, facts))


def judge(facts: Facts, seen: Look, evidence: Evidence) -> Observation:
    """Return what state and events prove."""
    sent = any(
        event.action == "kill" and event.attributes.get("signal") == str(facts["signal"])
        for event in evidence.events
    )
    ended = not seen.running or seen.started_since(facts)
    if sent or (ended and facts["signal"] == signal.SIGKILL):
        return Done({"signal": facts["signal"], "status": seen.status})
    if not evidence.complete:
        return Unknown("the Engine's events since then are lost, so nobody can tell whether it was sent")
    return Failed(seen.why) if not seen.running else NeverSent()
