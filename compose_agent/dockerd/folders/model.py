"""A container as its folder tells it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from compose_agent.dockerd.model import Container, container_from_inspect, parse_time
from compose_agent.errors import EngineGarbage

CONFIG = "config.v2.json"
HOST_CONFIG = "hostconfig.json"
LOCAL_LOGS = "local-logs"

_ID = re.compile(r"[0-9a-f]{64}")
# What dockerd itself keeps in a container's folder (moby container/container_unix.go).
_OWN_FILES = frozenset({CONFIG, HOST_CONFIG, "hostname", "hosts", "resolv.conf", "resolv.conf.hash"})
_HALF_WRITTEN = re.compile(r"\..*|hash[0-9]+|.*\.tmp")


def is_container_id(name: str) -> bool:
    """Tell whether a folder of this name is a container's."""
    return _ID.fullmatch(name) is not None


def is_log(name: str) -> bool:
    """Tell whether a file in a container's folder is a log: neither one of dockerd's own nor half-written.

    dockerd writes its own files as ``.tmp-NAME…`` and ``hash123…`` (libnetwork, for resolv.conf.hash) first,
    and some versions compress logs into ``NAME.tmp``.
    """
    return name not in _OWN_FILES and not _HALF_WRITTEN.fullmatch(name)


def container_from_folder(config: Mapping[str, Any], hostconfig: Mapping[str, Any]) -> Container:
    """Return the container in config.v2.json and hostconfig.json; EngineGarbage if there is none.

    The fields are those of ``GET /containers/{id}/json`` but for the id's spelling, HostConfig, which
    stands in its own file, and State.Status, which the Engine derives when it is asked.
    """
    try:
        state = {**config["State"], "Status": _status(config["State"])}
        return container_from_inspect(
            {**config, "Id": config["ID"], "State": state, "HostConfig": hostconfig}
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EngineGarbage(f"not a container: {type(error).__name__} {error}") from error


def unknown_container(container_id: str) -> Container:
    """Return a container of which nothing is known but that it has a log, so that it was started."""
    return Container(id=container_id, name="", image="", image_id="", state="running")


def _status(state: Mapping[str, Any]) -> str:
    """Derive the status as the Engine does (moby container/state.go): paused and restarting ones run too."""
    if state.get("Running"):
        return "paused" if state.get("Paused") else "restarting" if state.get("Restarting") else "running"
    if state.get("RemovalInProgress"):
        return "removing"
    if state.get("Dead"):
        return "dead"
    return "exited" if parse_time(state.get("StartedAt")) else "created"
