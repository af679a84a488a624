"""A folder, a token, and the complete removal of all that carries it, also after a crash.

Everything that the lab starts gets a scratch: a short folder for its files, and an environment
variable with its token.  Whoever inherits that variable, or sits in a cgroup named by the token,
belongs to it and goes with it.  A lock on the folder tells whether its owner is still alive; what
a killed owner left behind is removed by the next one.

Traps this module knows about:

- Docker's shims outlive dockerd and are nobody's children, but they inherit its environment.
- A signal does not reach a paused container on cgroup v1 before its freezer is thawed.
- Zombies that PID 1 never collects keep no cgroup busy, and their environment reads as empty.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lab import LabError, network

# Unix socket paths end at 108 bytes, and containerd's are long: not under a nested TMPDIR.
_PARENT = Path("/tmp")
_PREFIX = "compose-agent-lab-"
_MARK = "LAB_SCRATCH"
_POOL = "pool"

# SIGKILL works at once; what takes time is the kernel tearing down namespaces of many containers.
_REMOVAL_TIMEOUT_S = 20.0
_POLL_S = 0.02


class Scratch:
    """A private folder with its token, until ``close``."""

    def __init__(self) -> None:
        sweep()
        self.root = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_PARENT))
        # As open as /run is: who may use a socket in it is for the socket to say.
        self.root.chmod(0o711)
        self.token = self.root.name
        self._lock = _locked(self.root / "owner")

    def environment(self) -> dict[str, str]:
        """Return the variable that makes a process, and all that it starts, part of this scratch."""
        return {_MARK: self.token}

    def pool(self) -> Path:
        """Return the file that tells which addresses of the host's network belong to this scratch."""
        return self.root / _POOL

    def close(self) -> None:
        """End all processes, and remove cgroups, bridges and the folder."""
        try:
            _remove(self.root)
        finally:
            os.close(self._lock)


def sweep() -> None:
    """Remove the scratches of owners that were killed before they could do it themselves."""
    for lock in _PARENT.glob(f"{_PREFIX}*/owner"):
        # Gone, somebody else's, or its owner lives: in all three cases not ours to remove.
        with contextlib.suppress(FileNotFoundError, PermissionError, BlockingIOError), lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(lock.parent)


def processes(token: str) -> list[int]:
    """Return the ids of the living processes of a scratch: its programs and its containers'."""
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _belongs(folder, token.encode())]


def cgroups(token: str) -> Iterator[Path]:
    """Yield the cgroups of a scratch in all hierarchies, children before parents."""
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        mount, _, filesystem = line.partition(" - ")
        if filesystem.startswith("cgroup"):
            top = Path(mount.split()[4]) / token
            for folder, _, _ in os.walk(top, topdown=False):
                yield Path(folder)


def _locked(path: Path) -> int:
    """Create a locked file; it gets its name when the lock is held, so that no sweep can come between."""
    unnamed = path.with_suffix(".new")
    descriptor = os.open(unnamed, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    unnamed.rename(path)
    return descriptor


def _belongs(folder: Path, token: bytes) -> bool:
    try:
        if b"/" + token + b"/" in (folder / "cgroup").read_bytes():
            return True
        return f"{_MARK}=".encode() + token in (folder / "environ").read_bytes().split(b"\0")
    except OSError:
        # The process ended while it was looked at, or belongs to somebody else.
        return False


def _remove(root: Path) -> None:
    token = root.name
    _until(lambda: _kill_all(token), f"processes of {token} could not be ended")
    _until(lambda: _remove_cgroups(token), f"cgroups {token} could not be removed")
    network.release(root / _POOL)
    # The lock goes last, so that a removal that is cut short is taken up by the next sweep.
    for entry in sorted(root.iterdir(), key=lambda path: path.name == "owner"):
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    root.rmdir()


def _kill_all(token: str) -> bool:
    for state in (folder / "freezer.state" for folder in cgroups(token)):
        with contextlib.suppress(OSError):
            if state.exists():
                state.write_text("THAWED")
    remaining = processes(token)
    for pid in remaining:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return not remaining


def _remove_cgroups(token: str) -> bool:
    empty = True
    for folder in cgroups(token):
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            empty = False
    return empty


def _until(done: Callable[[], bool], failure: str) -> None:
    deadline = time.monotonic() + _REMOVAL_TIMEOUT_S
    while not done():
        if time.monotonic() > deadline:
            raise LabError(failure, remedy="look at them with ps and /proc/<pid>/cgroup")
        time.sleep(_POLL_S)
