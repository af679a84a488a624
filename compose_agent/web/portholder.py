"""Who holds a TCP port, from /proc (proc(5): net/tcp, PID/fd, PID/comm)."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

_LISTEN = "0A"
_PROC = Path("/proc")


def holder_of(port: int, proc: Path = _PROC) -> str | None:
    """Return ``program (pid N)`` of the process listening on ``port``; None when it cannot be seen."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port, proc)}
    if not sockets:
        return None
    for process in proc.glob("[0-9]*"):
        if _has_descriptor(process, sockets):
            return f"{_program(process)} (pid {process.name})"
    return None


def _listening_inodes(port: int, proc: Path) -> set[str]:
    found = set()
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (proc / "net" / table).read_text("ascii").splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
                    found.add(columns[9])
    return found


def _has_descriptor(process: Path, targets: set[str]) -> bool:
    # Processes of other users and processes that end meanwhile cannot be read.
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                if str(descriptor.readlink()) in targets:
                    return True
    return False


def _program(process: Path) -> str:
    try:
        return (process / "comm").read_text("utf-8", "replace").strip()
    except OSError:
        return "a process"
