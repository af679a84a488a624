"""Inspect's answers about the replicas of a service, as small as the tests allow."""

from __future__ import annotations

from typing import Any

from compose_agent.dockerd.verbs.compose.siblings import (
    HASH_LABEL,
    REQUEST_LABEL,
    Replica,
    Service,
    replica_from,
    service_from,
)

TARGET = "shop/web"
CREATED = "2026-11-22T10:00:00.250000001Z"
STARTED = "2026-11-22T10:00:01.5Z"
NEVER = "0001-01-01T00:00:00Z"
IMAGE = "sha256:" + "1" * 64


def identity(number: int) -> str:
    """Return the id of the replica with this number: its digits are not those of a decimal number alone."""
    return f"{number:x}".rjust(2, "a") * 32


def inspected(
    number: int = 1,
    *,
    name: str = "",
    status: str = "running",
    health: str = "",
    started: str = STARTED,
    error: str = "",
    request: str = "",
    labels: dict[str, str] | None = None,
    config: dict[str, Any] | None = None,
    host: dict[str, Any] | None = None,
    networks: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the answer about one replica of shop/web."""
    own = {
        "com.docker.compose.project": "shop",
        "com.docker.compose.service": "web",
        "com.docker.compose.oneoff": "False",
        "com.docker.compose.container-number": str(number),
        HASH_LABEL: "h1",
    }
    marked = {REQUEST_LABEL: request} if request else {}
    alias = {"Aliases": [f"shop-web-{number}", "web", "www"], "IPAMConfig": {}, "IPAddress": "10.0.0.2"}
    return {
        "Id": identity(number),
        "Name": f"/{name or f'shop-web-{number}'}",
        "Created": CREATED,
        "Image": IMAGE,
        "State": {
            "Status": status,
            "Pid": 7 if status == "running" else 0,
            "StartedAt": started,
            "FinishedAt": NEVER,
            "Error": error,
            "Health": {"Status": health or "none"},
        },
        "Config": {
            "Hostname": identity(number)[:12],
            "Image": "web:1",
            "Env": ["A=1"],
            "Labels": own | marked | (labels or {}),
            "Volumes": None,
        }
        | (config or {}),
        "HostConfig": {"NetworkMode": "shop_front", "Binds": None, "PortBindings": {}} | (host or {}),
        "NetworkSettings": {"Networks": {"shop_front": alias} if networks is None else networks},
    }


def replica(number: int = 1, **more: Any) -> Replica:
    """Return one replica."""
    return replica_from(inspected(number, **more))


def service(*raws: dict[str, Any], listed: list[dict[str, Any]] | None = None) -> Service:
    """Return shop/web with these replicas."""
    return service_from(TARGET, raws, listed or [])
