"""The actor behind the broker's act socket."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from compose_agent.dockerd.verbs.contract import ActorUnavailable
from compose_agent.dockerd.verbs.model import Outcome, Result, Standing, VerbRequest
from compose_agent.errors import ComposeAgentError
from compose_agent.typed import from_json
from compose_agent.web.localclient import LocalClient

PATH = "/v1/verbs"
# Above the longest time that a container may be given to stop; a broker that dies is noticed at once.
PERFORM_SECONDS = 1800.0
STANDING_SECONDS = 10.0
_JSON = {"Content-Type": "application/json"}
_SHOWN_BYTES = 500

T = TypeVar("T")


class _Said(msgspec.Struct):
    standing: Standing


class RemoteActor:
    """An Actor (see contract) over the unix socket at ``path``. Thread-safe; each call has its connection.

    Nothing is tried twice here: after ActorUnavailable ask again with the same id.
    """

    def __init__(self, path: Path, perform_seconds: float = PERFORM_SECONDS) -> None:
        self._patient = LocalClient(path.parent, "broker", perform_seconds, path=path)
        self._quick = LocalClient(path.parent, "broker", STANDING_SECONDS, path=path)

    def perform(self, request: VerbRequest) -> Outcome:
        """Have it done and wait for the outcome; raises ActorUnavailable.

        What the broker does not take at all (an unknown verb, a target without its form) is refused: nothing
        was done.
        """
        status, body = _asked(self._patient, "POST", PATH, msgspec.json.encode(request))
        if status == 400:
            return Outcome(result=Result.REFUSED, reason=_sentence(body))
        return _decoded(status, body, Outcome)

    def standing(self, request_id: str) -> Standing:
        """Return what the broker knows of an id; raises ActorUnavailable."""
        status, body = _asked(self._quick, "GET", f"{PATH}/{request_id}")
        return _decoded(status, body, _Said).standing


def _asked(client: LocalClient, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    try:
        return client.request(method, path, body, _JSON if body else None)
    except ComposeAgentError as error:
        raise ActorUnavailable(str(error)) from error


def _decoded(status: int, body: bytes, shape: type[T]) -> T:
    if status != 200:
        raise ActorUnavailable(f"the broker answered {status}: {_sentence(body)}")
    try:
        return from_json(body, shape)
    except (msgspec.DecodeError, ValueError) as error:
        raise ActorUnavailable(f"the broker's answer cannot be read: {error}") from error


def _sentence(body: bytes) -> str:
    try:
        return str(from_json(body, dict[str, str])["message"])
    except (msgspec.DecodeError, ValueError, KeyError):
        return body[:_SHOWN_BYTES].decode("utf-8", "replace")
