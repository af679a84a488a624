"""The namespaces of one private Engine.

A sandbox is a mount namespace and a network namespace, kept open by a sleeping process.  Whatever
an Engine mounts, or creates as bridge, route or packet filter rule, stays inside and vanishes with
the last process; nothing needs to be undone on the host.  (With ``share_network`` there is no
network namespace, and lab.network keeps the order.)  There is no PID namespace: process ids are
those of the host, so ``/proc/<pid>`` and cgroups look as on any Docker host.

Traps this module knows about:

- dockerd takes the system's containerd when it finds ``/run/containerd/containerd.sock``, and every
  shim puts its socket into ``/run/containerd/s``: a private tmpfs lies over ``/run/containerd``.
- ``-v /:/host:ro,rslave`` is refused unless ``/`` is a shared mount, as systemd makes it.
- ``ip netns exec`` mounts a new /sys, in which no cgroups are; ``unshare`` leaves /sys alone.
"""

from __future__ import annotations

import os
import subprocess
from typing import Any

from lab import LabError, network
from lab.scratch import Scratch

_SETUP = """
mount --make-rshared /
mkdir -p /run/containerd
mount -t tmpfs tmpfs /run/containerd
ip link set lo up
echo ready
exec cat
"""


class Sandbox:
    """The namespaces for what runs in ``scratch``; ``share_network`` keeps the host's network."""

    def __init__(self, scratch: Scratch, *, share_network: bool = False) -> None:
        self._scratch = scratch
        self._share_network = share_network
        self._keeper = self._keep_open()

    @property
    def pid(self) -> int:
        """A process whose namespaces are those of the sandbox."""
        return self._keeper.pid

    def network_settings(self) -> dict[str, Any]:
        """Return what dockerd has to know about its network: nothing when it has one of its own."""
        return network.claim(self._scratch.pool()) if self._share_network else {}

    def enter(self) -> list[str]:
        """Return the words to put before a command that shall run inside."""
        return ["nsenter", f"--target={self._keeper.pid}", *self._namespaces(), "--"]

    def close(self) -> None:
        """End the process that keeps the namespaces; they go with the last process inside."""
        self._keeper.kill()
        self._keeper.communicate()

    def _namespaces(self) -> list[str]:
        return ["--mount"] if self._share_network else ["--mount", "--net"]

    def _keep_open(self) -> subprocess.Popen[bytes]:
        keeper = subprocess.Popen(
            ["unshare", *self._namespaces(), "--propagation=slave", "--", "/bin/sh", "-ec", _SETUP],
            env={**os.environ, **self._scratch.environment()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        assert keeper.stdout is not None
        if keeper.stdout.readline() != b"ready\n":
            reason = keeper.communicate()[1].decode().strip()
            raise LabError(
                f"no private namespace could be made: {reason}", remedy="run as root, with CAP_SYS_ADMIN"
            )
        return keeper
