"""Our own cgroup namespace: what the paths that we see mean on the host.

A process in a container has, on cgroup v2 by default, a cgroup namespace of its own (cgroup_namespaces(7)).
To it every path in ``/proc/<pid>/cgroup`` counts from its own cgroup: ``/`` is its container, ``/../<id>`` a
neighbour. In the host's hierarchy, which is mounted beside, the way from the top to ours belongs in front.
The kernel does not tell it; but our own mount of the hierarchy and our folder in the host's are one inode.
"""

from __future__ import annotations

import os
import posixpath
from pathlib import Path

from compose_agent.dockerd.usage import parse

OWN_CGROUPFS = Path("/sys/fs/cgroup")
_SELF = Path("/proc/self/cgroup")


class Namespace:
    """Translates cgroup paths for the hierarchies at ``cgroupfs``, the host's.

    ``own`` is our own mount of them, ``seen`` our own ``/proc/<pid>/cgroup``. Not thread-safe.
    """

    def __init__(self, cgroupfs: Path, own: Path = OWN_CGROUPFS, seen: Path = _SELF) -> None:
        self._cgroupfs = cgroupfs
        self._own = own
        self._seen = seen
        self._tops: dict[str, str | None] = {}

    def on_host(self, controller: str, path: str) -> str | None:
        """Return the path from the top of a controller's hierarchy, or None when that cannot be known.

        ``controller`` is empty for the v2 hierarchy, as in ``/proc/<pid>/cgroup``.
        """
        if controller not in self._tops:
            self._tops[controller] = self._find_top(controller)
        top = self._tops[controller]
        return None if top is None else posixpath.normpath(f"/{top}/{path}")

    def _find_top(self, controller: str) -> str | None:
        """Return where the namespace begins; a look at every cgroup of the host, once."""
        try:
            seen = parse.proc_cgroup(self._seen.read_bytes()).get(controller)
            if seen != "/":
                return None if seen is None else ""  # whoever sees a way to himself sees it from the top
            own = (self._own / controller).stat()
            if not (self._own / controller / "cgroup.procs").exists():
                return None  # v1: the unified hierarchy is not mounted here, or the controller is not
        except (OSError, ValueError):
            return None
        host = self._cgroupfs / controller
        for folder, _, _ in os.walk(host):
            if _is_same(Path(folder), own):
                return os.path.relpath(folder, host)
        return None


def _is_same(folder: Path, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(folder.stat(), wanted)
    except OSError:
        return False  # it went away meanwhile
