"""The Engine's stats API as a :class:`Sample`: the way for remote Engines and unreadable files.

The API knows less: no swap, no operations on cgroup v2. Unlimited memory is the host's, so limits
are never taken from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compose_agent.dockerd.usage.sample import DeviceIO, InterfaceIO, Sample

_NANO = 1e-9
_INTERFACE_KEYS = tuple(
    f"{way}_{what}" for way in ("rx", "tx") for what in ("bytes", "packets", "errors", "dropped")
)


def sample_from_stats(
    raw: Mapping[str, Any], *, own_network: bool, devices: Mapping[str, str]
) -> Sample | None:
    """Return the sample in an answer of ``GET /containers/{id}/stats``; None if the container did not run."""
    cpu = (raw.get("cpu_stats") or {}).get("cpu_usage") or {}
    memory = raw.get("memory_stats") or {}
    if not cpu.get("total_usage"):
        return None
    details = memory.get("stats") or {}
    used, inactive = _first(memory, "usage"), _first(details, "total_inactive_file", "inactive_file")
    throttling = raw["cpu_stats"].get("throttling_data") or {}
    periods = int(throttling.get("periods") or 0)
    return Sample(
        cpu_seconds=int(cpu["total_usage"]) * _NANO,
        cpu_user_seconds=int(cpu.get("usage_in_usermode") or 0) * _NANO,
        cpu_system_seconds=int(cpu.get("usage_in_kernelmode") or 0) * _NANO,
        cpu_periods=periods or None,
        cpu_throttled_periods=int(throttling.get("throttled_periods") or 0) if periods else None,
        cpu_throttled_seconds=int(throttling.get("throttled_time") or 0) * _NANO if periods else None,
        memory_bytes=used,
        working_set_bytes=None if used is None or inactive is None else max(0, used - inactive),
        rss_bytes=_first(details, "total_rss", "anon"),
        cache_bytes=_first(details, "total_cache", "file"),
        swap_bytes=_first(details, "total_swap"),
        pids=_first(raw.get("pids_stats") or {}, "current"),
        networks=_networks(raw) if own_network else None,
        devices=_devices(raw.get("blkio_stats") or {}, devices),
    )


def _first(values: Mapping[str, Any], *keys: str) -> int | None:
    return next((int(values[key]) for key in keys if values.get(key) is not None), None)


def _networks(raw: Mapping[str, Any]) -> dict[str, InterfaceIO] | None:
    networks = raw.get("networks")
    if networks is None:
        return None
    return {
        name: InterfaceIO(*(int(counters.get(key) or 0) for key in _INTERFACE_KEYS))
        for name, counters in networks.items()
    }


def _devices(blkio: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, DeviceIO]:
    sizes = _by_device(blkio.get("io_service_bytes_recursive"))
    counts = _by_device(blkio.get("io_serviced_recursive"))
    return {
        names.get(device, device): DeviceIO(
            found.get("read", 0),
            found.get("write", 0),
            counts.get(device, {}).get("read"),
            counts.get(device, {}).get("write"),
        )
        for device, found in sizes.items()
    }


def _by_device(entries: list[Mapping[str, Any]] | None) -> dict[str, dict[str, int]]:
    """Return the counters by ``major:minor`` and lower-case operation: v1 says ``Read``, v2 ``read``."""
    found: dict[str, dict[str, int]] = {}
    for entry in entries or []:
        device = f"{entry['major']}:{entry['minor']}"
        found.setdefault(device, {})[str(entry["op"]).lower()] = int(entry["value"])
    return found
