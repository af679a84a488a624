"""The calls to the Engine that scaling needs beside those of the client itself."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from compose_agent.dockerd.client import EngineClient
from compose_agent.dockerd.failures import decoded
from compose_agent.dockerd.model import parse_time
from compose_agent.errors import EngineGarbage, EngineNotFound

if TYPE_CHECKING:
    import requests

# What the Engine has to do around the stop timeout of a container: signals, unmounting, networks.
STOP_MARGIN_SECONDS = 30.0
# A start waits for networks, volumes and the runtime, on a disk that is shared with everything else.
START_TIMEOUT_SECONDS = 60.0
# Docker's own time between SIGTERM and SIGKILL, where the container has no other.
DEFAULT_STOP_SECONDS = 10
# Of a container that asks to be waited for without end; the Engine itself goes on waiting.
LONGEST_STOP_SECONDS = 600
_PATH_STAT = "X-Docker-Container-Path-Stat"

Json = Mapping[str, Any]


class Calls:
    """Everything that scaling asks of one Engine; every method raises an EngineError."""

    def __init__(self, client: EngineClient) -> None:
        self._client = client

    @property
    def api_version(self) -> str:
        """The version of the API that is spoken."""
        return self._client.api_version or self._client.negotiate().api_version

    @property
    def host(self) -> str:
        """The Engine's address as in DOCKER_HOST."""
        return self._client.endpoint.host

    def now(self) -> float:
        """Return the Engine's own time, in Unix seconds."""
        return parse_time(str(self._client.info().get("SystemTime") or "")) or 0.0

    def listed(self) -> list[dict[str, Any]]:
        """Return every container in the list's short form."""
        return self._client.list_containers()

    def inspected(self, container_id: str) -> dict[str, Any] | None:
        """Return everything about a container, None when it is gone."""
        try:
            return self._client.inspect(container_id)
        except EngineNotFound:
            return None

    def create(self, name: str, body: Json) -> str:
        """Make a container and return its id; EngineRefused (409) when the name is taken."""
        return self._client.create(name, body)

    def connect(self, network: str, container_id: str, endpoint: Json) -> None:
        """Give a container one more network."""
        body = {"Container": container_id, "EndpointConfig": endpoint}
        self._post("network_connect", f"/networks/{quote(network, safe='')}/connect", body=body)

    def start(self, container_id: str) -> None:
        """Start a container; one that runs goes on."""
        self._post("container_start", f"{_of(container_id)}/start", timeout=START_TIMEOUT_SECONDS)

    def stop(self, container_id: str, stop_timeout: int | None) -> None:
        """Stop a container in its own time, ``stop_timeout`` being what inspect says of it."""
        seconds = DEFAULT_STOP_SECONDS if stop_timeout is None else stop_timeout
        patience = (seconds if seconds >= 0 else LONGEST_STOP_SECONDS) + STOP_MARGIN_SECONDS
        self._post("container_stop", f"{_of(container_id)}/stop", timeout=patience)

    def remove(self, container_id: str, *, volumes: bool) -> None:
        """Remove a container that does not run; EngineRefused (409) of one that does.

        ``volumes``: those that nobody gave a name go with it.
        """
        params = {"v": "1"} if volumes else None
        self._client.exchange("container_remove", "DELETE", _of(container_id), _nothing, params=params)

    def changes(self, container_id: str) -> list[str]:
        """Return the paths that were added or changed in a container's own layer, folders too."""
        path = f"{_of(container_id)}/changes"
        answer = self._client.exchange("container_changes", "GET", path, decoded)
        # Kinds are 0 for changed, 1 for added, 2 for deleted; an empty list travels as null.
        return [str(each["Path"]) for each in answer or () if each.get("Kind") != 2]

    def stat(self, container_id: str, path: str) -> dict[str, Any] | None:
        """Return ``name``, ``size``, ``mode`` and ``mtime`` of a path; None when it is gone."""
        try:
            return self._client.exchange(
                "container_stat", "HEAD", f"{_of(container_id)}/archive", _path_stat, params={"path": path}
            )
        except EngineNotFound:
            return None

    def events_of(self, label: str, since: float) -> list[dict[str, Any]]:
        """Return what happened, since a time of the Engine, to containers with a label (``key=value``)."""
        filters = json.dumps({"type": ["container"], "label": [label]})
        params = {"since": f"{since:.6f}", "until": f"{self.now():.6f}", "filters": filters}
        return self._client.exchange("events", "GET", "/events", _lines, params=params)

    def _post(self, call: str, path: str, *, body: Json | None = None, timeout: float | None = None) -> None:
        self._client.exchange(call, "POST", path, _nothing, body=body, timeout=timeout)


def _of(container_id: str) -> str:
    return f"/containers/{quote(container_id, safe='')}"


def _nothing(response: requests.Response) -> None:
    response.content  # noqa: B018 - read to its end, so that the connection is kept


def _path_stat(response: requests.Response) -> dict[str, Any]:
    _nothing(response)
    try:
        found = json.loads(base64.b64decode(response.headers.get(_PATH_STAT, ""), validate=True))
    except (binascii.Error, ValueError) as error:
        raise EngineGarbage(f"the Engine describes a file in a way that cannot be read ({error})") from error
    if not isinstance(found, dict):
        raise EngineGarbage("the Engine describes a file in a way that cannot be read")
    return found


def _lines(response: requests.Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in response.iter_lines() if line.strip()]
