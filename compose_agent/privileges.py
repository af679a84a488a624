"""Becoming an ordinary user at the start of a container.

The image starts as root for one reason: only then can the program join the group of whatever socket of the
Engine was mounted, whose number differs from host to host. It does that and becomes the user of
``COMPOSE_AGENT_CONTAINER_USER`` before anything else is done; what it starts is that user as well.

Nothing is done without that variable, by a user other than root (``user:`` in a Compose file), or where the
right to change users is not given: root without capabilities, as the log forwarder is.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from compose_agent.errors import ConfigError, Problem

VARIABLE = "COMPOSE_AGENT_CONTAINER_USER"
_ENGINE_VARIABLES = ("COMPOSE_AGENT_DOCKER_HOST", "DOCKER_HOST")
_USUAL_SOCKET = "/var/run/docker.sock"
# May write into everything of root's; it is left unless the socket itself belongs to it.
_ROOTS_GROUP = 0


class System(Protocol):
    """The part of :mod:`os` that changes who a process is."""

    def geteuid(self) -> int: ...  # noqa: D102
    def getgroups(self) -> list[int]: ...  # noqa: D102
    def setgroups(self, groups: list[int], /) -> None: ...  # noqa: D102
    def setgid(self, gid: int, /) -> None: ...  # noqa: D102
    def setuid(self, uid: int, /) -> None: ...  # noqa: D102


def become_container_user(environ: Mapping[str, str] = os.environ, system: System = os) -> None:
    """Become the user that the image names; ConfigError when it is not named as ``UID:GID``."""
    text = environ.get(VARIABLE, "")
    if not text or system.geteuid() != 0:
        return
    uid, gid = _user(text)
    inherited = set(system.getgroups()) - {_ROOTS_GROUP}
    try:
        system.setgroups(sorted(inherited | _groups_of(_sockets(environ)) | {gid}))
    except PermissionError:
        return
    system.setgid(gid)
    system.setuid(uid)


def _user(text: str) -> tuple[int, int]:
    uid, _, gid = text.partition(":")
    try:
        return int(uid), int(gid)
    except ValueError as error:
        where = f"environment {VARIABLE}"
        raise ConfigError(Problem(where, f"expected numbers such as 65532:65532, not '{text}'")) from error


def _sockets(environ: Mapping[str, str]) -> Iterator[str]:
    named = (environ.get(name, "").removeprefix("unix://") for name in _ENGINE_VARIABLES)
    yield from (path for path in (*named, _USUAL_SOCKET) if path.startswith("/"))


def _groups_of(paths: Iterable[str]) -> set[int]:
    """Return the groups of those paths that are there."""
    found = set()
    for path in paths:
        with suppress(OSError):  # no socket there, or no path at all
            found.add(Path(path).stat().st_gid)
    return found
