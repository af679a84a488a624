"""What scaling asks of the Engine that nothing else asks for."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.failures import decoded
from compose_agent.dockerd.verbs.compose.siblings import REQUEST_LABEL
from compose_agent.dockerd.verbs.containers import engine_clock
from compose_agent.errors import EngineGarbage, EngineNotFound

if TYPE_CHECKING:
    from compose_agent.dockerd.answer import Answer

_PATH_STAT = "X-Docker-Container-Path-Stat"
# Engine API: the kinds of changes are 0 for changed, 1 for added, 2 for deleted.
_DELETED = 2


def inspected(client: EngineClient, container_id: str) -> dict[str, Any] | None:
    """Return everything about a container, None when it is gone."""
    try:
        return client.inspect(container_id)
    except EngineNotFound:
        return None


def changed_paths(client: EngineClient, container_id: str) -> list[str]:
    """Return the paths that were added or changed in a container's own layer, folders too."""
    answer = client.exchange("container_changes", "GET", f"{_path(container_id)}/changes", decoded)
    try:
        # No change at all travels as null.
        return [str(each["Path"]) for each in answer or () if each["Kind"] != _DELETED]
    except (TypeError, KeyError) as error:
        raise EngineGarbage("the Engine listed something that is no change of a file") from error


def path_stat(client: EngineClient, container_id: str, path: str) -> dict[str, Any] | None:
    """Return ``name``, ``size``, ``mode`` and ``mtime`` of a path in a container, None when it is gone."""
    try:
        return client.exchange(
            "container_stat", "HEAD", f"{_path(container_id)}/archive", _stat, params={"path": path}
        )
    except EngineNotFound:
        return None


def vanished_clones(client: EngineClient, request_id: str, since_ns: int) -> frozenset[str]:
    """Return the names of a request's clones that ran and are gone, as far as the Engine remembers."""
    history = client.past_events(since_ns, engine_clock(client))
    own = [event for event in history.events if event.attributes.get(REQUEST_LABEL) == request_id]
    ran = {event.container_id for event in own if event.action == "start"}
    gone = [event for event in own if event.action == "destroy" and event.container_id in ran]
    return frozenset(event.attributes.get("name", event.container_id) for event in gone)


def _path(container_id: str) -> str:
    return f"/containers/{quote(container_id, safe='')}"


def _stat(answer: Answer) -> dict[str, Any]:
    try:
        found = json.loads(base64.b64decode(answer.headers.get(_PATH_STAT, ""), validate=True))
    except (binascii.Error, ValueError) as error:
        raise EngineGarbage(f"the Engine describes a file in a way that cannot be read ({error})") from error
    if not isinstance(found, dict):
        raise EngineGarbage("the Engine describes a file in a way that cannot be read")
    return found
