"""The probes of a container, made now; by the remediation role, which makes them all the time."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import urlencode

from compose_agent.errors import ComposeAgentError
from compose_agent.web.localclient import LocalClient, RoleNotRunning
from fleet.agent.commands.verbs.contract import Again, Means, Outcome, Refused
from fleet.envelopes.command import Command, Stage

# See remediation/commands/probing.py.
PATH = "/v1/probe"
_UNHEALTHY = "unhealthy"


class Probe:
    """The probes that a container's labels declare, and what its own health check says.

    ``configured`` tells whether the role runs here.
    """

    name = "probe"
    repeatable = False

    def __init__(self, remediation: LocalClient, configured: Callable[[], bool]) -> None:
        self._remediation = remediation
        self._configured = configured

    def check(self, command: Command) -> None:
        """Refuse without a container, and where nobody could do it."""
        if not command.target:
            raise Refused("probe needs a container")
        if not self._configured():
            raise Refused("probe needs the remediation role, which does not run on this host")

    def run(self, command: Command, _means: Means) -> Outcome:
        """Ask the role; what is ill is a failure."""
        try:
            status, answer = self._remediation.request(
                "GET", f"{PATH}?{urlencode({'container': command.target})}"
            )
        except RoleNotRunning as error:
            raise Again(error.message) from error
        found = json.loads(answer)
        if status == 503:
            raise ComposeAgentError(found["error"])
        if status != 200:
            raise Refused(found["error"])
        ill = [f"{probe}: {error}" for probe, error in found["probes"].items() if error]
        if found["health"] == _UNHEALTHY:
            ill.append("its health check fails")
        return Outcome(Stage.FAILED if ill else Stage.DONE, "; ".join(ill) or "it is well", found)
