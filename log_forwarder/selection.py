"""Which containers are read: what the configuration says, what their labels say, and no feedback loops."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from compose_agent.address import Address
from compose_agent.config import kinds
from compose_agent.dockerd.model import Container

LOGS_LABEL = "compose-agent.logs"
# The Dockerfile sets it, so it is on every container of our image, whatever that is called.
IMAGE_LABEL = "org.opencontainers.image.title"
IMAGE_TITLE = "Compose Agent"

# What Docker mounts into each container from the container's own folder, by its path on that file system;
# Podman's folders are called overlay-containers/ID/userdata.
_MOUNTED = re.compile(r"containers/([0-9a-f]{64})/(?:userdata/)?(?:hostname|hosts|resolv\.conf)")
# A control group of the container's: /docker/ID, docker-ID.scope, libpod-ID.scope, …
_GROUP = re.compile(r"(?<![0-9a-f])([0-9a-f]{64})(?![0-9a-f])")
# Names of the host as seen from it, and from a container on it.
_HOST_NAMES = ("", "localhost", "host.docker.internal", "host.containers.internal")


@dataclass(frozen=True, slots=True)
class SelectionSettings:
    """What the configuration says: globs of container names, and Compose projects; empty means all.

    A container must match ``include``, must not match ``exclude``, and must be of one of ``projects``.
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """Decides for each container; ``own_id`` is that of the agent's container, ``sinks`` where events go.

    ``own_service`` is the agent's Compose project and service, when it is known.
    """

    settings: SelectionSettings = SelectionSettings()
    own_id: str | None = None
    sinks: tuple[Address, ...] = ()
    own_service: tuple[str, str] | None = None

    def knowing(self, container: Container) -> Selection:
        """Return the selection that has seen ``container`` too: the agent's own tells its Compose service."""
        service = (container.compose_project, container.compose_service)
        if container.id != self.own_id or not all(service) or service == self.own_service:
            return self
        return replace(self, own_service=service)

    def reason_against(self, container: Container) -> str | None:
        """Return why a container is not read, None if it is."""
        wish = _wish(container.labels)
        if wish is False:
            return f"its label {LOGS_LABEL} is false"
        if reason := self._against_by_settings(container):
            return reason
        # Who asks for a container by name takes the loop upon himself.
        return None if wish else self._loop(container)

    def _against_by_settings(self, container: Container) -> str | None:
        settings = self.settings
        if settings.include and not _matches(container.name, settings.include):
            return "its name is not among those to include"
        if _matches(container.name, settings.exclude):
            return "its name is among those to exclude"
        if settings.projects and container.compose_project not in settings.projects:
            return "its Compose project is not among those to include"
        return None

    def _loop(self, container: Container) -> str | None:
        service = (container.compose_project, container.compose_service)
        if container.id == self.own_id or service == self.own_service:
            return "it is the agent's own"
        if container.labels.get(IMAGE_LABEL) == IMAGE_TITLE:
            return "it runs the agent's image"
        for sink in self.sinks:
            if _stands_behind(container, sink):
                return f"it is the sink {sink}"
        return None


def own_container_id(proc: Path = Path("/proc/self")) -> str | None:
    """Return the id of the container that this process runs in, None outside containers.

    Read from ``mountinfo``, which has it with both versions of cgroups and in namespaces of any kind; from
    ``cgroup`` (the innermost group) where a container has its own hosts, hostname and resolv.conf.
    """
    for line in _lines(proc / "mountinfo"):
        # proc(5): id, parent, device, root on the file system, mount point, …
        fields = line.split(" ")
        if len(fields) > 4 and fields[4].startswith("/etc/") and (found := _MOUNTED.search(fields[3])):
            return found[1]
    for line in _lines(proc / "cgroup"):
        if groups := _GROUP.findall(line):
            return str(groups[-1])
    return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _wish(labels: Mapping[str, str]) -> bool | None:
    try:
        return kinds.boolean.read(labels[LOGS_LABEL])
    except (KeyError, ValueError):
        return None


def _matches(name: str, globs: Iterable[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _stands_behind(container: Container, sink: Address) -> bool:
    """Tell whether a container answers at an address: by name, alias or IP, or through a port of the host."""
    host = _plain(sink.host)
    if _is_host(host):
        return sink.port in container.published_ports
    return host in map(_plain, (container.name, container.id, container.short_id, *container.addresses))


def _is_host(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in _HOST_NAMES


def _plain(host: str) -> str:
    """Return a host in the one form in which two that are the same are equal."""
    host = host.lower().rstrip(".")
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return host
