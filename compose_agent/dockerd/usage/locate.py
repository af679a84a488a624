"""Finding and opening a container's files below the host's mounts."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path

from compose_agent.dockerd.model import Container
from compose_agent.dockerd.usage import parse
from compose_agent.dockerd.usage.cgroup import (
    Files,
    Mounts,
    V1Files,
    V2Files,
    candidates,
)
from compose_agent.dockerd.usage.descriptors import Descriptors, Reopened
from compose_agent.dockerd.usage.namespace import Namespace

_V1_CONTROLLERS = ("cpuacct", "cpu", "memory", "blkio", "pids")
_TOO_MANY_FILES = (errno.EMFILE, errno.ENFILE)


def open_files(
    container: Container,
    mounts: Mounts,
    devices: Mapping[str, str],
    *,
    keep: bool = True,
    namespace: Namespace | None = None,
) -> Files | None:
    """Return the container's files, or None when its cgroup cannot be found or read.

    With ``keep`` they are held open, else opened for each reading. ``namespace`` tells what the paths in
    ``/proc`` mean on the host; without it they are taken as they are.
    """
    proc = mounts.procfs / str(container.pid)
    in_proc = _paths_in(proc, container.id, namespace)
    net_dev = proc / "net/dev" if in_proc and container.owns_network else None
    try:
        unified = mounts.unified
        if unified:
            paths = _v2_paths(container, mounts, in_proc.get(""), net_dev)
        else:
            paths = _v1_paths(container, mounts, in_proc, net_dev)
        if not paths:
            return None
        kind = V2Files if unified else V1Files
        return kind(_opened(paths, keep=keep), devices, container.owns_network)
    except OSError:
        return None


def process_ended(container: Container, mounts: Mounts) -> bool:
    """Tell whether the container's first process is gone, or waits for its parent only (proc(5), stat)."""
    proc = mounts.procfs / str(container.pid)
    try:
        state = (proc / "stat").read_bytes().rpartition(b")")[2].split()[:1]
    except FileNotFoundError:
        # Where processes are hidden from us (proc(5), hidepid) the first one is, too.
        return not proc.exists() and (mounts.procfs / "1").exists()
    except OSError:
        return False
    return state in ([b"Z"], [b"X"])


def _paths_in(proc: Path, container_id: str, namespace: Namespace | None) -> dict[str, str]:
    """Return the cgroup paths of a process; nothing if they are evidently not those of the container.

    A number may be another process's by now, or in this /proc at all. Where the namespace is not known, only
    ``/`` everywhere may be ours too: what a process sees of its own container.
    """
    try:
        seen = parse.proc_cgroup((proc / "cgroup").read_bytes())
    except (OSError, ValueError):
        return {}
    known = {name: path for name in seen if namespace and (path := namespace.on_host(name, seen[name]))}
    if any(container_id in path for path in known.values()):
        return known
    ours = any(container_id in path for path in seen.values()) or set(seen.values()) == {"/"}
    return seen if ours and not known else {}


def _v2_paths(
    container: Container, mounts: Mounts, in_proc: str | None, net_dev: Path | None
) -> list[Path | None] | None:
    folder = _folder(container, mounts.cgroupfs, in_proc)
    return V2Files.paths(folder, net_dev) if folder else None


def _v1_paths(
    container: Container, mounts: Mounts, in_proc: Mapping[str, str], net_dev: Path | None
) -> list[Path | None] | None:
    folders: dict[str, Path] = {}
    for controller in _V1_CONTROLLERS:
        if folder := _folder(container, mounts.cgroupfs / controller, in_proc.get(controller)):
            folders[controller] = folder
    return V1Files.paths(folders, net_dev) if "cpuacct" in folders else None


def _folder(container: Container, root: Path, in_proc: str | None) -> Path | None:
    for below in candidates(container.id, container.cgroup_parent, in_proc):
        if (root / below / "cgroup.procs").exists():
            return root / below
    return None


def _opened(paths: list[Path | None], *, keep: bool) -> Descriptors | Reopened:
    if not keep:
        return Reopened(paths)
    try:
        return Descriptors(paths)
    except OSError as error:
        if error.errno not in _TOO_MANY_FILES:
            raise
        return Reopened(paths)
