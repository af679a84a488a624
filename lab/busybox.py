"""A tiny image out of Debian's static busybox, for hosts without any registry.

One layer of 2 MB: busybox with a link for each of its programs, and the few files that a container
is expected to have.  Docker itself supplies /etc/hosts, /etc/hostname and /etc/resolv.conf.
"""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import docker
import docker.errors

from lab import packages

TAG = "compose-agent-lab/busybox:latest"

# Raised when the recipe changes, so that an image made by an older checkout is made anew.
_RECIPE = "1"
_RECIPE_LABEL = "compose-agent-lab.recipe"
_LIST_TIMEOUT_S = 30

_FOLDERS = ("bin", "dev", "etc", "home", "proc", "root", "run", "sbin", "sys", "usr/bin", "usr/sbin", "var")
_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
    "etc/resolv.conf": "",
}


def ensure_image(client: docker.DockerClient, tag: str = TAG) -> str:
    """Make the image in the Engine unless it is there, and return its tag."""
    if not _is_there(client, tag):
        repository, _, version = tag.rpartition(":")
        changes = ['CMD ["sh"]', "ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin", f"LABEL {_RECIPE_LABEL}={_RECIPE}"]
        client.api.import_image_from_data(archive(), repository=repository, tag=version, changes=changes)
    return tag


def archive() -> bytes:
    """Return the image's file system as a tar archive, the same bytes for the same busybox."""
    program = packages.unpack(["busybox-static"]) / "bin" / "busybox"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder in _FOLDERS:
            tar.addfile(_entry(folder, tarfile.DIRTYPE, 0o755))
        for folder in ("tmp", "var/tmp"):
            tar.addfile(_entry(folder, tarfile.DIRTYPE, 0o1777))
        for path, text in _FILES.items():
            _add_file(tar, path, text.encode(), 0o644)
        _add_file(tar, "bin/busybox", program.read_bytes(), 0o755)
        for path in _applets(program):
            link = _entry(path, tarfile.SYMTYPE, 0o777)
            link.linkname = "/bin/busybox"
            tar.addfile(link)
    return buffer.getvalue()


def _is_there(client: docker.DockerClient, tag: str) -> bool:
    try:
        return bool(client.images.get(tag).labels.get(_RECIPE_LABEL) == _RECIPE)
    except docker.errors.ImageNotFound:
        return False


def _applets(program: Path) -> list[str]:
    done = subprocess.run(
        [program, "--list-full"], capture_output=True, text=True, timeout=_LIST_TIMEOUT_S, check=True
    )
    return [path for path in done.stdout.split() if path not in ("bin/busybox", "linuxrc")]


def _add_file(tar: tarfile.TarFile, path: str, content: bytes, mode: int) -> None:
    entry = _entry(path, tarfile.REGTYPE, mode)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _entry(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.type = kind
    entry.mode = mode
    return entry
