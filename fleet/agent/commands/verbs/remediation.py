"""What acts on containers: handed to this host's remediation role, which guards, journals and audits it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import msgspec

from compose_agent.errors import ComposeAgentError
from compose_agent.web.localclient import LocalClient, RoleNotRunning
from fleet.agent.commands.verbs.contract import Again, Means, Outcome, Refused
from fleet.envelopes.command import Command, Stage

# Where the role takes commands; see remediation/commands.
PATH = "/v1/commands"
ROLE = "remediation"
# Words of the role for an end, and ours.
_ENDS = {
    "done": Stage.DONE,
    "failed": Stage.FAILED,
    "refused": Stage.REFUSED,
    "expired": Stage.EXPIRED,
    "unknown": Stage.UNKNOWN,
}
# A restart takes milliseconds or as long as a container needs to stop.
_FIRST_LOOK_SECONDS, _LAST_LOOK_SECONDS = 0.01, 0.5
_PAUSE_SECONDS = 1.0
_WHY = "why"


class ByRemediation:
    """See :class:`fleet.agent.commands.verbs.contract.Verb`; ``configured``: whether the role runs here."""

    repeatable = True

    def __init__(self, name: str, client: LocalClient, configured: Callable[[], bool]) -> None:
        self.name = name
        self._client = client
        self._configured = configured

    def check(self, command: Command) -> None:
        """Refuse where nobody could do it; what is asked for the role itself judges."""
        if not self._configured():
            raise Refused(f"{self.name} needs the remediation role, which does not run on this host")

    def run(self, command: Command, means: Means) -> Outcome:
        """Hand it over, and wait for its end."""
        standing = self._hand_over(command, means)
        pause, said = _FIRST_LOOK_SECONDS, ""
        while (stage := _ENDS.get(standing["stage"])) is None:
            if standing["detail"] != said:
                said = standing["detail"]
                means.progress(said)
            self._pause(means, pause)
            pause = min(pause * 1.5, _LAST_LOOK_SECONDS)
            standing = self._standing(command, means)
        result = {"action": standing["intent"]} if standing["intent"] else {}
        return Outcome(stage, standing["detail"], {**result, **standing["details"]})

    def _hand_over(self, command: Command, means: Means) -> dict[str, Any]:
        """Have the role write it down; asked until it is clear whether it has."""
        body, unsure = json.dumps(_asked(command, means)).encode(), False
        while True:
            try:
                status, answer = self._client.request("POST", PATH, body)
            except RoleNotRunning as error:
                if not unsure:
                    raise Again(error.message) from error
            except ComposeAgentError:
                unsure = True  # it may be in the journal, or not
            else:
                if status == 200:
                    return _decoded(answer)
                self._refuse(status, answer, unsure=unsure)
            self._pause(means, _PAUSE_SECONDS)

    def _refuse(self, status: int, answer: bytes, *, unsure: bool) -> None:
        """Raise what an answer means; return for one after which it must be asked again."""
        error = str(_decoded(answer).get("error") or f"remediation answers with {status}")
        if status == 400:
            raise Refused(error)
        if status == 409 or not unsure:  # 409: it knows its commands, and this is none of them
            raise Again(error)

    def _standing(self, command: Command, means: Means) -> dict[str, Any]:
        """Return how it stands; a role that is away is waited for, as only it can tell."""
        while True:
            try:
                status, answer = self._client.request("GET", f"{PATH}?{urlencode({'id': command.id})}")
                if status == 200:
                    return _decoded(answer)
            except ComposeAgentError:
                status = 0
            if status == 404:
                raise ComposeAgentError("remediation has lost its journal, and with it what became of this")
            self._pause(means, _PAUSE_SECONDS)

    def _pause(self, means: Means, seconds: float) -> None:
        if means.pause(seconds):
            raise Again("the agent ends")


def _asked(command: Command, means: Means) -> dict[str, Any]:
    arguments = dict(command.arguments)
    return {
        "id": command.id,
        "action": command.verb,
        "target": command.target,
        "why": arguments.pop(_WHY, ""),
        "arguments": arguments,
        "by": command.actor,
        "dry_run": command.dry_run,
        "begin_by": msgspec.to_builtins(means.begin_by),
        "traceparent": command.traceparent,
    }


def _decoded(answer: bytes) -> dict[str, Any]:
    try:
        document = json.loads(answer)
    except ValueError:
        document = None
    return document if isinstance(document, dict) else {}
