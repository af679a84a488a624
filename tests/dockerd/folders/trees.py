"""Docker's container folders as the tests make them, and a listener that keeps what it hears."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compose_agent.dockerd.folders.contract import FolderListener
from compose_agent.dockerd.folders.watch import FolderWatch
from compose_agent.dockerd.model import Container

ID = "ab" * 32
NEVER = "0001-01-01T00:00:00Z"
STARTED = "2026-11-22T18:39:07.08414308Z"


def config(container_id: str = ID, name: str = "web", **parts: Any) -> dict[str, Any]:
    """Return a config.v2.json as Engine 20.10 writes it, with other parts of its State."""
    state = {
        "Running": True,
        "Paused": False,
        "Restarting": False,
        "OOMKilled": False,
        "RemovalInProgress": False,
        "Dead": False,
        "Pid": 123,
        "ExitCode": 0,
        "StartedAt": STARTED,
        "FinishedAt": NEVER,
        "Health": None,
    }
    return {
        "State": {**state, **parts},
        "ID": container_id,
        "Created": "2026-11-22T18:39:06.5Z",
        "Config": {"Hostname": container_id[:12], "Image": "nginx:1", "Tty": True, "Labels": {"a": "b"}},
        "Image": "sha256:1",
        "NetworkSettings": {
            "Networks": {"shop": {"Aliases": ["front"], "IPAddress": "172.18.0.2", "GlobalIPv6Address": ""}},
            "Ports": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}], "81/tcp": None},
        },
        "Name": f"/{name}",
        "RestartCount": 1,
    }


def hostconfig() -> dict[str, Any]:
    """Return a hostconfig.json."""
    return {
        "NetworkMode": "shop",
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
        "RestartPolicy": {"Name": "always", "MaximumRetryCount": 0},
        "Memory": 0,
        "NanoCpus": 0,
        "CgroupParent": "",
    }


class Tree:
    """``ROOT/containers`` with folders that are written as dockerd writes them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.containers = root / "containers"
        self.containers.mkdir(parents=True)

    def folder(self, container_id: str = ID) -> Path:
        return self.containers / container_id

    def make(self, container_id: str = ID) -> Path:
        self.folder(container_id).mkdir()
        return self.folder(container_id)

    def write(self, container_id: str = ID, **parts: Any) -> None:
        """Put both files in place by renaming them, hostconfig.json first."""
        self.put("hostconfig.json", json.dumps(hostconfig()), container_id)
        self.put("config.v2.json", json.dumps(config(container_id, **parts)), container_id)

    def put(self, name: str, text: str, container_id: str = ID) -> None:
        temporary = self.folder(container_id) / f".tmp-{name}123"
        temporary.write_text(text)
        temporary.rename(self.folder(container_id) / name)

    def log(self, container_id: str = ID, text: str = "") -> Path:
        path = self.folder(container_id) / f"{container_id}-json.log"
        path.write_text(text)
        return path

    def remove(self, container_id: str = ID) -> None:
        shutil.rmtree(self.folder(container_id))


class Heard:
    """A listener that keeps what it hears; appends are seen by other threads in their order."""

    def __init__(self) -> None:
        self.all: list[tuple[str, str, Any]] = []

    def appeared(self, container: Container, folder: Path) -> None:
        assert folder.name == container.id
        self.all.append(("appeared", container.id, container))

    def changed(self, container: Container) -> None:
        self.all.append(("changed", container.id, container))

    def file_created(self, container_id: str, name: str) -> None:
        self.all.append(("file", container_id, name))

    def vanished(self, container_id: str) -> None:
        self.all.append(("vanished", container_id, None))

    def kinds(self, container_id: str = ID) -> list[str]:
        return [kind for kind, which, _ in self.all if which == container_id]

    def files(self, container_id: str = ID) -> list[str]:
        return [what for kind, which, what in self.all if kind == "file" and which == container_id]

    def latest(self, container_id: str = ID) -> Container:
        told = [
            what
            for kind, which, what in self.all
            if which == container_id and kind in ("appeared", "changed")
        ]
        container = told[-1]
        assert isinstance(container, Container)
        return container


@contextmanager
def watching(tree: Tree, heard: FolderListener, **options: Any) -> Iterator[FolderWatch]:
    """Run a watch over a tree."""
    watch = FolderWatch(tree.root, heard, **options)
    watch.start()
    try:
        yield watch
    finally:
        watch.stop()
