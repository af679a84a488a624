"""Run a command in a container that the container's own label declares.

::

    labels:
      compose-agent.exec.reload: nginx -s reload

The caller names the label, never the command. There is no shell in between.
"""

from __future__ import annotations

import shlex

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.verbs.containers import Look, engine_clock, facts_of, must_look
from compose_agent.dockerd.verbs.contract import (
    Done,
    Facts,
    Failed,
    InProgress,
    NeverSent,
    Observation,
    Refused,
    Unknown,
)
from compose_agent.dockerd.verbs.model import VerbRequest
from compose_agent.dockerd.verbs.optin import RESTART
from compose_agent.errors import EngineNotFound

LABEL_PREFIX = "compose-agent.exec."
DEFAULT_SECONDS = 30
MAX_SECONDS = 3600
_NANOSECONDS = 10**9


class Exec:
    """Arguments: ``name`` of the label behind ``compose-agent.exec.``, ``timeout`` in seconds.

    The Engine runs a prepared command at most once and remembers how it ended. So it is prepared before
    anything is written down, which does nothing by itself, and its id tells all the rest.
    """

    name = "exec"
    action = RESTART

    def prepare(self, client: EngineClient, request: VerbRequest) -> Facts:
        """Prepare the command; raises Refused without its label, and when the container does not run."""
        seen = must_look(client, request)
        command = declared(seen, str(request.arguments.get("name") or ""))
        seconds = _seconds(request)
        if not seen.running or seen.paused:
            raise Refused(f"{seen.name} is {seen.status}, so nothing can be run in it")
        return facts_of(client, seen, exec_id=client.create_exec(seen.id, command), seconds=seconds)

    def call(self, client: EngineClient, request: VerbRequest, facts: Facts) -> None:
        """Have the Engine run it, without waiting for its end."""
        client.start_exec(facts["exec_id"])

    def observe(self, client: EngineClient, request: VerbRequest, facts: Facts) -> Observation:
        """Ask the Engine how the command fares."""
        try:
            state = client.inspect_exec(facts["exec_id"])
        except EngineNotFound:
            return Unknown("the Engine has forgotten the command, so nobody can tell whether it was run")
        code = state.get("ExitCode")
        if state.get("Running"):
            limit = int(facts["engine_ns"]) + int(facts["seconds"]) * _NANOSECONDS
            if engine_clock(client) < limit:
                return InProgress()
            return Failed(f"the command has not ended within {facts['seconds']} s and goes on")
        if code is None:
            return NeverSent()
        return Failed(f"the command ended with exit code {code}") if code else Done({"exit_code": 0})


def declared(seen: Look, name: str) -> list[str]:
    """Return the command that a container's label declares, in words; raises Refused."""
    label = LABEL_PREFIX + name
    text = seen.labels.get(label)
    if not name or text is None:
        known = sorted(
            each.removeprefix(LABEL_PREFIX) for each in seen.labels if each.startswith(LABEL_PREFIX)
        )
        hint = f"; there is {', '.join(known)}" if known else ""
        raise Refused(f"{seen.name} has no label {label} that declares a command{hint}")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise Refused(f"the label {label} of {seen.name} cannot be read: {error}") from error
    if not words:
        raise Refused(f"the label {label} of {seen.name} is empty")
    return words


def _seconds(request: VerbRequest) -> int:
    given = request.arguments.get("timeout", DEFAULT_SECONDS)
    if not isinstance(given, int) or isinstance(given, bool) or not 0 < given <= MAX_SECONDS:
        raise Refused(f"the timeout '{given}' is no number of seconds from 1 to {MAX_SECONDS}")
    return given
