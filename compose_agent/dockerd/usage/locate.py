"""Finding and opening a container's files below the host's mounts."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

from compose_agent.dockerd.model import Container
from compose_agent.dockerd.usage import parse
from compose_agent.dockerd.usage.cgroup import (
    Descriptors,
    Files,
    Mounts,
    Reopened,
    V1Files,
    V2Files,
    candidates,
)

_V1_CONTROLLERS = ("cpuacct", "cpu", "memory", "blkio", "pids")
_TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)


def open_files(container: Container, mounts: Mounts, devices: Mapping[str, str]) -> Files | None:
    """Return the container's files opened, or None when its cgroup cannot be found or read."""
    proc = mounts.procfs / str(container.pid)
    try:
        in_proc = parse.proc_cgroup((proc / "cgroup").read_bytes())
    except (OSError, ValueError):
        in_proc = {}
    own_network = container.owns_network
    net_dev = proc / "net/dev" if own_network and in_proc else None
    try:
        if mounts.unified:
            return _open_v2(container, mounts, devices, in_proc.get(""), net_dev)
        return _open_v1(container, mounts, devices, in_proc, net_dev)
    except OSError:
        return None


def _open_v2(
    container: Container,
    mounts: Mounts,
    devices: Mapping[str, str],
    in_proc: str | None,
    net_dev: Path | None,
) -> Files | None:
    folder = _folder(container, mounts.cgroupfs, in_proc, "memory.current")
    if folder is None:
        return None
    return V2Files(_opened(V2Files.paths(folder, net_dev)), devices, container.owns_network)


def _open_v1(
    container: Container,
    mounts: Mounts,
    devices: Mapping[str, str],
    in_proc: Mapping[str, str],
    net_dev: Path | None,
) -> Files | None:
    folders: dict[str, Path] = {}
    for controller in _V1_CONTROLLERS:
        root = mounts.cgroupfs / controller
        if folder := _folder(container, root, in_proc.get(controller), "cgroup.procs"):
            folders[controller] = folder
    if "cpuacct" not in folders or "memory" not in folders:
        return None
    return V1Files(_opened(V1Files.paths(folders, net_dev)), devices, container.owns_network)


def _folder(container: Container, root: Path, in_proc: str | None, file: str) -> Path | None:
    for below in candidates(container.id, container.cgroup_parent, in_proc):
        if (root / below / file).exists():
            return root / below
    return None


def _opened(paths: list[Path | None]) -> Descriptors | Reopened:

    try:
        return Descriptors(paths)
    except OSError as error:
        if error.errno not in _TOO_MANY_FILES:
            raise
        return Reopened(paths)
