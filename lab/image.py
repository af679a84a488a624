"""The project's image, built from the checkout on a host without any image registry.

::

    with PrivateEngine("28", share_network=True) as engine:
        tag = image.build(engine)

The base image is a small Debian with Python, made by debootstrap once and kept in the lab's cache.
The Engine has to share the host's network, because the build fetches the locked libraries.

Traps this module knows about:

- Package clients may trust a certificate authority of the machine only, as in many companies: the
  machine's own bundle goes into the build as the secret ``ca``.
- A tarball that is killed half-way would be taken for a base, so it gets its name when it is whole.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import tempfile
from pathlib import Path
from typing import Protocol

import docker

from lab import LabError, packages
from lab.lines import programs
from lab.packages import progress

TAG = "compose-agent-lab/compose-agent:latest"
BASE = "compose-agent-lab/base:latest"

_SUITE = "bookworm"
_PACKAGES = ("python3", "python3-venv", "ca-certificates")
# Raised when the recipe changes, so that an older base is not used any more.
_RECIPE = "1"
# What a base image leaves out; nothing there is read by a program.
_LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists")

# 100 packages from a mirror on a slow line; a hanging mirror must not hang the tests for ever.
_DEBOOTSTRAP_TIMEOUT_S = 900
_TAR_TIMEOUT_S = 300
# The libraries are 30 MB; the wheel is made in seconds.
_BUILD_TIMEOUT_S = 600
_IMPORT_TIMEOUT_S = 300

_CHECKOUT = Path(__file__).resolve().parent.parent


class Engine(Protocol):
    """An Engine that can build: a :class:`~lab.engine.PrivateEngine`, or the host's."""

    @property
    def host(self) -> str: ...  # noqa: D102
    @property
    def environment(self) -> dict[str, str]: ...  # noqa: D102


def build(engine: Engine, tag: str = TAG, *, pip: Path | None = None) -> str:
    """Build the checkout's Dockerfile in the Engine, and return the image's tag.

    ``pip`` is a configuration file of pip for a build that fetches everything anew.  Raises LabError with the
    end of the build's output when it fails.
    """
    import_base(engine)
    progress("building the image")
    command = [*_builder(), "--network=host", f"--build-arg=BASE={BASE}", f"--tag={tag}"]
    if bundle := _certificates():
        command += ["--secret", f"id=ca,src={bundle}"]
    if pip:
        # What a secret says is no part of what the cache goes by.
        command += ["--secret", f"id=pip,src={pip}", "--no-cache-filter=builder"]
    environment = {**engine.environment, "BUILDKIT_PROGRESS": "plain"}
    _run([*command, str(_CHECKOUT)], _BUILD_TIMEOUT_S, environment)
    return tag


def base_archive() -> Path:
    """Return the base image's file system as a tar archive, made when it is not in the cache."""
    archive = packages.cache_folder() / f"{_SUITE}-base-{_RECIPE}.tar"
    if not archive.is_file():
        packages.ensure_installed({"debootstrap": "debootstrap"})
        archive.parent.mkdir(parents=True, exist_ok=True)
        progress("making a base image (this takes a minute or two, once)")
        with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".base-") as temporary:
            whole = _make_base(Path(temporary))
            whole.rename(archive)
    return archive


def _make_base(work: Path) -> Path:
    root, archive = work / "root", work / "base.tar"
    include = f"--include={','.join(_PACKAGES)}"
    _run(["debootstrap", "--variant=minbase", include, _SUITE, str(root)], _DEBOOTSTRAP_TIMEOUT_S)
    left_out = [f"--exclude=./{folder}/*" for folder in _LEFT_OUT]
    _run(
        ["tar", "--directory", str(root), *left_out, "--create", "--file", str(archive), "."], _TAR_TIMEOUT_S
    )
    return archive


def import_base(engine: Engine) -> None:
    """Put the base image into the Engine unless it is there."""
    archive = base_archive()
    client = docker.DockerClient(base_url=engine.host, timeout=_IMPORT_TIMEOUT_S)
    try:
        repository, _, version = BASE.rpartition(":")
        if not client.images.list(name=BASE):
            client.api.import_image_from_file(str(archive), repository=repository, tag=version)
    finally:
        client.close()


def _builder() -> list[str]:
    """Return the command of a buildx, which builds on both lines of the Engine."""
    plugins = programs("28").plugins
    return [str(plugins / "docker-buildx"), "build"] if plugins else ["docker", "buildx", "build"]


def _certificates() -> str | None:
    """Return the machine's bundle of certificate authorities, if it has one."""
    bundle = os.environ.get("PIP_CERT") or ssl.get_default_verify_paths().cafile
    return bundle if bundle and Path(bundle).is_file() else None


def _run(command: list[str], timeout: float, environment: dict[str, str] | None = None) -> None:
    own = environment or {**os.environ, "PATH": packages.SEARCH_PATH}
    try:
        done = subprocess.run(
            command, env=own, capture_output=True, text=True, timeout=timeout, errors="replace", check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{command[0]} was not done after {timeout:g} s") from error
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise LabError(f"{' '.join(command[:2])} failed:\n" + "\n".join(lines[-30:]))
