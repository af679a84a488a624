"""The host's CPU, memory and load, for hosts without a node_exporter."""

from collections.abc import Callable
from pathlib import Path

from compose_agent.dockerd.usage.parse import CLOCK_TICKS_PER_SECOND
from exporter.families import Family, HostCollector, Scrape, Values
from exporter.settings import ExporterSettings

# The columns of /proc/stat in proc(5); guest time is part of user and nice already.
_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
_KIB = 1024


def cpu_seconds(stat: bytes) -> dict[str, float]:
    """Return CPU time by mode in seconds from the first line of ``/proc/stat``."""
    ticks = stat.partition(b"\n")[0].split()[1:]
    return {mode: int(value) / CLOCK_TICKS_PER_SECOND for mode, value in zip(_MODES, ticks, strict=False)}


def make(settings: ExporterSettings) -> Callable[[Scrape], Values]:
    """Return the function that reads the host's files."""

    def values(_: Scrape) -> Values:
        memory = _read(settings.procfs / "meminfo")
        total, available = value_in_kib(memory, b"MemTotal:"), value_in_kib(memory, b"\nMemAvailable:")
        load1 = float(_read(settings.procfs / "loadavg").split()[0])
        return (cpu_seconds(_read(settings.procfs / "stat")), total, available, load1)

    return values


def value_in_kib(meminfo: bytes, mark: bytes) -> int | None:
    """Return in bytes what ``/proc/meminfo`` gives in kB."""
    line = meminfo[meminfo.find(mark) :].partition(b" kB")[0] if mark in meminfo else b""
    return int(line.rpartition(b" ")[2]) * _KIB if line else None


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16384)


COLLECTOR = HostCollector(
    name="host",
    help="the host's CPU, memory and load (switch it off beside a node_exporter)",
    families=(
        Family(
            "docker_host_cpu_seconds_total", "counter", "CPU time of the host by mode, in seconds.", ("mode",)
        ),
        Family("docker_host_memory_total_bytes", "gauge", "Memory of the host, in bytes."),
        Family(
            "docker_host_memory_available_bytes",
            "gauge",
            "Memory that can be had without swapping, in bytes, as the kernel estimates it.",
        ),
        Family("docker_host_load1", "gauge", "Load average of the host over one minute."),
    ),
    make=make,
)
