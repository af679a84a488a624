"""The folder that dockerd keeps for a container: its configuration and its log."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.jsonfile_driver import Rotation

_CREATED = "2026-01-02T03:04:05.678901234Z"
PROJECT = "bench"


@dataclass(frozen=True, slots=True)
class Identity:
    """A container's id (64 digits), its name without slash, and its Compose service."""

    id: str
    name: str
    service: str


def identity(number: int, seed: int) -> Identity:
    """Return the same container for the same number and seed."""
    digits = hashlib.sha256(f"{seed}/{number}".encode()).hexdigest()
    return Identity(digits, f"{PROJECT}-service-{number}-1", f"service-{number}")


def make_folder(root: Path, who: Identity, rotation: Rotation) -> Path:
    """Write the files that dockerd has for a running container, and return the path of its log."""
    folder = root / "containers" / who.id
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{who.id}-json.log"
    # dockerd writes its files aside and renames them.
    for name, content in (
        ("config.v2.json", config(who, log)),
        ("hostconfig.json", host_config(rotation)),
    ):
        partial = folder / f".tmp-{name}"
        partial.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
        partial.rename(folder / name)
    return log


def config(who: Identity, log: Path) -> dict[str, Any]:
    """Return config.v2.json, with the fields that matter to somebody who reads along."""
    return {
        "StreamConfig": {},
        "State": {
            "Running": True,
            "Paused": False,
            "Restarting": False,
            "OOMKilled": False,
            "Dead": False,
            "Pid": 1,
            "ExitCode": 0,
            "Error": "",
            "StartedAt": _CREATED,
            "FinishedAt": "0001-01-01T00:00:00Z",
            "Health": None,
        },
        "ID": who.id,
        "Created": _CREATED,
        "Managed": False,
        "Path": "sh",
        "Args": [],
        "Config": {
            "Hostname": who.id[:12],
            "Env": ["PATH=/usr/bin:/bin"],
            "Cmd": ["sh"],
            "Image": "bench/writer:1",
            "Labels": {
                "com.docker.compose.project": PROJECT,
                "com.docker.compose.service": who.service,
                "com.docker.compose.container-number": "1",
                "com.docker.compose.oneoff": "False",
            },
        },
        "Image": f"sha256:{who.id}",
        "LogPath": str(log),
        "Name": f"/{who.name}",
        "Driver": "overlay2",
        "OS": "linux",
        "RestartCount": 0,
    }


def host_config(rotation: Rotation) -> dict[str, Any]:
    """Return hostconfig.json."""
    return {
        "NetworkMode": "default",
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "LogConfig": {"Type": "json-file", "Config": rotation.options()},
    }
