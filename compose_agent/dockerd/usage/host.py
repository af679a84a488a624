"""The host's own CPU, memory and load, from /proc (proc(5))."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from compose_agent.dockerd.usage.parse import CLOCK_TICKS_PER_SECOND

# The columns of /proc/stat; guest time is part of user and nice already.
_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_IDLE = ("idle", "iowait")
_KIB = 1024
# What is wanted stands in the first lines of each file.
_READ_BYTES = 16384


class HostSample(NamedTuple):
    """One reading of the host: CPU seconds by mode since boot, and gauges of the moment."""

    cpu_seconds: Mapping[str, float]
    memory_total_bytes: int | None
    memory_available_bytes: int | None
    loads: tuple[float, float, float]


def read_host(procfs: Path) -> HostSample:
    """Read the host's files below ``procfs``; OSError if they are not there, ValueError if garbled."""
    memory = _read(procfs / "meminfo")
    return HostSample(
        cpu_seconds=cpu_seconds(_read(procfs / "stat")),
        memory_total_bytes=value_in_kib(memory, b"MemTotal:"),
        memory_available_bytes=value_in_kib(memory, b"\nMemAvailable:"),
        loads=loads(_read(procfs / "loadavg")),
    )


def cpu_seconds(stat: bytes) -> dict[str, float]:
    """Return CPU time by mode in seconds from the first line of ``/proc/stat``."""
    ticks = stat.partition(b"\n")[0].split()[1:]
    return {mode: int(value) / CLOCK_TICKS_PER_SECOND for mode, value in zip(_MODES, ticks, strict=False)}


def busy_ratio(before: Mapping[str, float], after: Mapping[str, float]) -> float | None:
    """Return the share of all CPU time between two readings that was not idle; None without any."""
    passed = sum(after.values()) - sum(before.values())
    idle = sum(after.get(mode, 0.0) - before.get(mode, 0.0) for mode in _IDLE)
    # iowait may go backwards by a tick, as proc(5) warns.
    return min(1.0, max(0.0, 1 - idle / passed)) if passed > 0 else None


def value_in_kib(meminfo: bytes, mark: bytes) -> int | None:
    """Return in bytes what ``/proc/meminfo`` gives in kB."""
    line = meminfo[meminfo.find(mark) :].partition(b" kB")[0] if mark in meminfo else b""
    return int(line.rpartition(b" ")[2]) * _KIB if line else None


def loads(loadavg: bytes) -> tuple[float, float, float]:
    """Return the load averages over 1, 5 and 15 minutes in ``/proc/loadavg``."""
    one, five, fifteen = loadavg.split()[:3]
    return float(one), float(five), float(fifteen)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_READ_BYTES)
