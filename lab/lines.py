"""The Engine lines that the lab can start, and where their programs come from.

- ``20.10`` (API 1.41): Debian bookworm's docker.io, the oldest line that is served.
- ``28`` (API 1.51): Debian forky's docker.io with Compose and buildx, beside bookworm's runc and
  tini, because forky's own need a newer libc than bookworm has.

An installed dockerd of the wanted line is used as it stands; otherwise packages are unpacked, so
that no service of the machine's is ever started or replaced.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import LabError, packages

_PLUGINS = "usr/libexec/docker/cli-plugins"
_VERSION_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True)
class Programs:
    """Programs of one Engine line: folders to search first, libraries to load, plug-ins of the CLI."""

    folders: tuple[Path, ...] = ()
    libraries: tuple[Path, ...] = ()
    plugins: Path | None = None

    def environment(self) -> dict[str, str]:
        """Return PATH and, where needed, LD_LIBRARY_PATH for a process that uses the programs."""
        path = os.pathsep.join([*map(str, self.folders), packages.SEARCH_PATH])
        libraries = os.pathsep.join(map(str, self.libraries))
        return {"PATH": path, **({"LD_LIBRARY_PATH": libraries} if libraries else {})}


@dataclass(frozen=True, slots=True)
class _Bundle:
    suite: str
    names: tuple[str, ...]


_RUNTIME = _Bundle("bookworm", ("runc", "tini", "libseccomp2"))

_LINES: dict[str, tuple[_Bundle, ...]] = {
    "20.10": (_Bundle("bookworm", ("docker.io", "containerd", "libdevmapper1.02.1")), _RUNTIME),
    "28": (
        _Bundle("forky", ("docker.io", "docker-cli", "containerd", "docker-compose", "docker-buildx")),
        _RUNTIME,
    ),
}

LINES = tuple(_LINES)


def programs(line: str) -> Programs:
    """Return the programs of an Engine line, fetching them when they are not there.

    Raises LabError for an unknown line, or when the distribution offers another one by now.
    """
    if line not in _LINES:
        raise LabError(f"there is no Engine line {line!r}", remedy=f"choose one of {', '.join(LINES)}")
    packages.ensure_installed({"iptables": "iptables", "ip": "iproute2"})
    if f" {line}." in _version(Programs()) and all(
        map(packages.which, ("containerd", "runc", "docker-init"))
    ):
        return Programs()
    found = _programs_in([packages.unpack(bundle.names, bundle.suite) for bundle in _LINES[line]])
    if f" {line}." not in (version := _version(found)):
        raise LabError(
            f"the docker.io of {_LINES[line][0].suite} is not {line} but {version!r}",
            remedy="choose another line",
        )
    return found


def _programs_in(trees: Sequence[Path]) -> Programs:
    plugins = (tree / _PLUGINS for tree in trees)
    return Programs(
        folders=tuple(tree / folder for tree in trees for folder in ("usr/sbin", "usr/bin")),
        libraries=tuple(
            folder for tree in trees for top in ("", "usr/") for folder in tree.glob(f"{top}lib/*-linux-*")
        ),
        plugins=next((folder for folder in plugins if folder.is_dir()), None),
    )


def _version(candidate: Programs) -> str:
    """Return what ``dockerd --version`` says, or why it says nothing."""
    try:
        done = subprocess.run(
            ["dockerd", "--version"],
            env={**os.environ, **candidate.environment()},
            capture_output=True,
            text=True,
            timeout=_VERSION_TIMEOUT_S,
            check=False,
        )
    except OSError as error:
        return str(error)
    return (done.stdout or done.stderr).strip()
