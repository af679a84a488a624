"""What our families are called in OpenTelemetry: its semantic conventions, where it has one (1.44).

https://opentelemetry.io/docs/specs/semconv/system/container-metrics/. What has no convention keeps its name
and labels, so that a collector that somebody adds is pushed without a word here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from exporter.families import Family


class Kind(Enum):
    """How values of a metric are to be read: as they are, as parts of a sum, or as counted since a start."""

    GAUGE = "gauge"
    SUM = "sum"
    COUNTER = "counter"


@dataclass(frozen=True, slots=True)
class Told:
    """A metric: ``fixed`` are attributes of all that a family says, ``labels`` other names of its labels."""

    name: str
    unit: str = ""
    kind: Kind = Kind.GAUGE
    fixed: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


CPU_TIME = "container.cpu.time"
UPTIME = Told("container.uptime", "s")
MEMORY_AVAILABLE = Told("container.memory.available", "By", Kind.SUM)

# The convention has CPU time either with a mode or without one; these are the modes …
_CPU_MODES = ("user", "system")
# … and this is told where they are not known.
CPU_WITHOUT_MODE = "docker_container_cpu_usage_seconds_total"
# It stands in the resource.
NOT_TOLD = ("docker_container_info",)


def _network(direction: str) -> Told:
    fixed = {"network.io.direction": direction}
    return Told("container.network.io", "By", Kind.COUNTER, fixed, {"interface": "network.interface.name"})


def _disk(direction: str) -> Told:
    fixed = {"disk.io.direction": direction}
    return Told("container.disk.io", "By", Kind.COUNTER, fixed, {"device": "system.device"})


CONVENTIONS: Mapping[str, Told] = MappingProxyType(
    {
        CPU_WITHOUT_MODE: Told(CPU_TIME, "s", Kind.COUNTER),
        **{
            f"docker_container_cpu_{mode}_seconds_total": Told(
                CPU_TIME, "s", Kind.COUNTER, {"cpu.mode": mode}
            )
            for mode in _CPU_MODES
        },
        "docker_container_memory_usage_bytes": Told("container.memory.usage", "By", Kind.SUM),
        "docker_container_memory_working_set_bytes": Told("container.memory.working_set", "By", Kind.SUM),
        "docker_container_memory_rss_bytes": Told("container.memory.rss", "By", Kind.SUM),
        "docker_container_network_receive_bytes_total": _network("receive"),
        "docker_container_network_transmit_bytes_total": _network("transmit"),
        "docker_container_fs_read_bytes_total": _disk("read"),
        "docker_container_fs_write_bytes_total": _disk("write"),
    }
)

# Ends of names that say a unit, in UCUM.
_UNITS = {"_seconds": "s", "_bytes": "By"}


def told(family: Family) -> Told:
    """Return how a family is told."""
    if found := CONVENTIONS.get(family.name):
        return found
    unit = next((unit for end, unit in _UNITS.items() if family.base.endswith(end)), "")
    return Told(family.base, unit, Kind.COUNTER if family.type == "counter" else Kind.GAUGE)
