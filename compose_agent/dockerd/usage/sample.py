"""One reading of one container's usage: plain numbers in base units, None where unknown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class InterfaceIO(NamedTuple):
    """Counters of one network interface, as in ``/proc/<pid>/net/dev``."""

    receive_bytes: int
    receive_packets: int
    receive_errors: int
    receive_dropped: int
    transmit_bytes: int
    transmit_packets: int
    transmit_errors: int
    transmit_dropped: int


class DeviceIO(NamedTuple):
    """Counters of one block device; operations are None where the source has only bytes."""

    read_bytes: int
    write_bytes: int
    reads: int | None
    writes: int | None


class Sample(NamedTuple):
    """Counters since the container's start, and gauges at the moment of reading.

    ``*_seconds`` are seconds of CPU time, summed over cores. ``periods`` and what is throttled exist only
    under a CPU quota. ``working_set_bytes`` is usage without inactive file cache (floor 0), as the kubelet
    and cAdvisor define it. All memory is None without the memory controller. ``networks`` is None where the
    interfaces are not the container's own.
    """

    cpu_seconds: float
    cpu_user_seconds: float | None
    cpu_system_seconds: float | None
    cpu_periods: int | None
    cpu_throttled_periods: int | None
    cpu_throttled_seconds: float | None
    memory_bytes: int | None
    working_set_bytes: int | None
    rss_bytes: int | None
    cache_bytes: int | None
    swap_bytes: int | None
    pids: int | None
    networks: Mapping[str, InterfaceIO] | None
    devices: Mapping[str, DeviceIO]
